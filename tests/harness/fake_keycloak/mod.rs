//! A Keycloak that behaves, and misbehaves when told.
//!
//! It keeps its users in memory, follows Keycloak's rules for what the worker asks of it, and answers with Keycloak's
//! texts: `keycloak_contract.rs` holds it to what the real one does. Where the real one fails by accident, this one
//! fails on command, at one endpoint, for one user, before or after it did what it was asked.
//!
//! To have the whole server away and back, put a [`Proxy`](super::proxy::Proxy) before it and cut that.

mod account;
mod accounts;
mod answer;
mod fault;
mod gate;
mod request;
mod rules;
mod server;
mod service;
#[cfg(test)]
mod tests;
mod tokens;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::keycloak_access::KeycloakAccess;
use server::{Front, serve};
use service::Service;

pub use account::{Account, Mail};
pub use answer::Answer;
pub use fault::{Fault, Who};
pub use gate::Gate;
pub use request::{Endpoint, Request};

pub struct FakeKeycloak {
    access: KeycloakAccess,
    service: Arc<Service>,
    _server: JoinSet<()>,
}

impl FakeKeycloak {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port on loopback");
        let access = access_at(listener.local_addr().expect("a listener has an address"));
        let service = Arc::new(Service::new(access.clone()));
        let mut server = JoinSet::new();
        server.spawn(serve(Front::new(listener), Arc::clone(&service)));
        Self { access, service, _server: server }
    }

    pub fn access(&self) -> &KeycloakAccess {
        &self.access
    }

    /// The next `times` requests to `endpoint` meet `fault`. Faults take turns in the order in which they were set.
    pub fn fail_next(&self, endpoint: Endpoint, times: usize, fault: Fault) {
        self.service.faults().add(endpoint, Who::Anybody, Some(times), fault);
    }

    /// Until [`heal`](Self::heal).
    pub fn fail_always(&self, endpoint: Endpoint, fault: Fault) {
        self.service.faults().add(endpoint, Who::Anybody, None, fault);
    }

    /// What is about `username` fails, everybody else is served. Until [`heal`](Self::heal).
    pub fn fail_for(&self, username: &str, endpoint: Endpoint, fault: Fault) {
        self.service.faults().add(endpoint, Who::User(username.to_owned()), None, fault);
    }

    /// Takes all faults back. Who is being held or made to wait already stays so.
    pub fn heal(&self) {
        self.service.faults().clear();
    }

    /// Stops the next request to `endpoint` before it has any effect, until the gate is opened or dropped.
    pub fn hold(&self, endpoint: Endpoint) -> Gate {
        self.service.gates().before_effect(endpoint)
    }

    /// Stops it after its effect, before the answer.
    pub fn hold_answer(&self, endpoint: Endpoint) -> Gate {
        self.service.gates().before_answer(endpoint)
    }

    /// For how long a token is good that is handed out from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.service.tokens().set_lifetime(lifetime);
    }

    /// Every token that was handed out is worth nothing any more.
    pub fn revoke_tokens(&self) {
        self.service.tokens().revoke();
    }

    /// The realm signs with these keys, and no others, from now on.
    pub fn set_keys(&self, jwks: impl IntoIterator<Item = Value>) {
        *self.service.keys() = jwks.into_iter().collect();
    }

    /// What came to `endpoint`, in order, whatever became of it.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        self.service.requests(endpoint)
    }

    /// How many came.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.service.count(endpoint)
    }

    pub fn users(&self) -> Vec<Account> {
        self.service.accounts().all()
    }

    pub fn user_by_username(&self, username: &str) -> Option<Account> {
        self.service.accounts().by_username(username)
    }

    /// The mails that left for the user, in order.
    pub fn mails_to(&self, username: &str) -> Vec<Mail> {
        self.service.accounts().mails_to(username)
    }

    /// Someone whom the application knows nothing about, past all faults. Returns the id.
    pub fn create_user(&self, user: &Value) -> String {
        self.service.accounts().create(&user.to_string()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// The owner of the address follows the link of a mail that only confirms it.
    /// As its owner does in the account console.
    pub fn change_address(&self, username: &str, email: &str) {
        self.service.accounts().change_address(username, email);
    }

    pub fn confirm_address(&self, username: &str) {
        self.service.accounts().confirm_address(username);
    }

    /// An administrator takes the user away.
    pub fn delete_user(&self, id: &str) {
        self.service.accounts().delete(id).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    }
}

fn access_at(address: SocketAddr) -> KeycloakAccess {
    KeycloakAccess {
        url: format!("http://{address}"),
        realm: "usher".to_owned(),
        client_id: "usher-app".to_owned(),
        client_secret: "secret-of-the-app".to_owned(),
        admin_client_id: "usher-provisioner".to_owned(),
        admin_client_secret: "secret-of-the-provisioner".to_owned(),
        redirect_uri: "http://localhost:3000/welcome".to_owned(),
    }
}
