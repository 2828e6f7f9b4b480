//! A Keycloak that answers everything after a fixed time and does nothing: what is measured beside it is Usher alone.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::{
    Json, Router,
    http::{HeaderName, StatusCode, header},
    routing::{post, put},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

/// Ends when dropped.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    mails: Arc<Mutex<Vec<Instant>>>,
    _server: JoinSet<()>,
}

impl Stub {
    pub(crate) async fn start(answers_after: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, mails) = (listener.local_addr()?, Arc::<Mutex<Vec<Instant>>>::default());
        let sent = Arc::clone(&mails);
        let mail = async move || {
            sleep(answers_after).await;
            sent.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            StatusCode::NO_CONTENT
        };
        let routes = Router::new()
            .route("/realms/{realm}/protocol/openid-connect/token", post(token))
            .route("/admin/realms/{realm}/users", post(move || create(answers_after)))
            .route("/admin/realms/{realm}/users/{id}/execute-actions-email", put(mail));
        let mut server = JoinSet::new();
        server.spawn(async move { drop(axum::serve(listener, routes).await) });
        Ok(Self { address, mails, _server: server })
    }

    pub(crate) fn forget(&self) {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// When each mail was asked for, once there are `count` of them.
    pub(crate) async fn mails(&self, count: usize, within: Duration) -> Result<Vec<Instant>> {
        let began = Instant::now();
        loop {
            let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if mails.len() >= count {
                return Ok(mails);
            }
            ensure!(began.elapsed() < within, "{} of {count} users are served after {within:?}", mails.len());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn token() -> Json<Value> {
    Json(json!({ "access_token": "of-the-stub", "expires_in": 300 }))
}

async fn create(answers_after: Duration) -> (StatusCode, [(HeaderName, String); 1]) {
    sleep(answers_after).await;
    (StatusCode::CREATED, [(header::LOCATION, format!("http://stub/users/{}", Uuid::new_v4()))])
}
