//! A mail server that behaves, and misbehaves when told.
//!
//! It speaks what our own mails need of SMTP, keeps what it took, and fails on command, at one step of the conversation,
//! for everybody or for one recipient. What a mail looks like to a person, the mail catcher of the stack shows.

mod fault;
mod session;
mod tls;

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpListener, task::JoinSet};

use fault::Faults;
use session::Session;
use tls::Identity;

pub use fault::{Fault, Step};

pub struct FakeSmtp {
    port: u16,
    service: Arc<Service>,
    identity: Option<Identity>,
    _server: JoinSet<()>,
}

/// A mail that the server said yes to, or would have.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: String,
    pub content: String,
}

impl Taken {
    /// Names and values, each in one line, in their order.
    pub fn headers(&self) -> Vec<(String, String)> {
        let head = self.content.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        unfolded.split("\r\n").map(|line| header(line).unwrap_or_else(|| panic!("no header: {line}"))).collect()
    }

    pub fn header(&self, name: &str) -> String {
        let found: Vec<_> = self.headers().into_iter().filter(|(other, _)| other == name).collect();
        assert_eq!(found.len(), 1, "{name} in {:?}", self.headers());
        found[0].1.clone()
    }
}

/// What is spoken below the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    StartTls,
    Implicit,
}

struct Service {
    security: Security,
    login: Option<(String, String)>,
    faults: Mutex<Faults>,
    taken: Mutex<Vec<Taken>>,
    /// Every line that came, of all connections; the contents of mails are left out.
    heard: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

impl FakeSmtp {
    pub async fn start() -> Self {
        Self::start_with(Security::Plain, None).await
    }

    /// Only who logs in may send.
    pub async fn with_login(user: &str, password: &str) -> Self {
        Self::start_with(Security::Plain, Some((user.to_owned(), password.to_owned()))).await
    }

    pub async fn secured_by(security: Security) -> Self {
        Self::start_with(security, Some(("usher".to_owned(), "s3cret-of-usher".to_owned()))).await
    }

    async fn start_with(security: Security, login: Option<(String, String)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port on loopback");
        let port = listener.local_addr().expect("a listener has an address").port();
        let service = Arc::new(Service {
            security,
            login,
            faults: Mutex::default(),
            taken: Mutex::default(),
            heard: Mutex::default(),
            connections: Mutex::default(),
        });
        let identity = (security != Security::Plain).then(Identity::invent);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&service), identity.clone()));
        Self { port, service, identity, _server: server }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom a client must trust to talk to this server.
    pub fn authority(&self) -> &Path {
        self.identity.as_ref().expect("a server with TLS").authority()
    }

    /// The next `times` conversations that come to `step` meet `fault`.
    pub fn fail_next(&self, step: Step, times: usize, fault: Fault) {
        self.service.faults().add(step, None, Some(times), fault);
    }

    /// Until [`heal`](Self::heal).
    pub fn fail_always(&self, step: Step, fault: Fault) {
        self.service.faults().add(step, None, None, fault);
    }

    /// What is for `recipient` fails, everybody else is served. Until [`heal`](Self::heal).
    pub fn fail_for(&self, recipient: &str, step: Step, fault: Fault) {
        self.service.faults().add(step, Some(recipient.to_owned()), None, fault);
    }

    pub fn heal(&self) {
        self.service.faults().clear();
    }

    pub fn mails(&self) -> Vec<Taken> {
        locked(&self.service.taken).clone()
    }

    pub fn mails_to(&self, address: &str) -> Vec<Taken> {
        self.mails().into_iter().filter(|mail| mail.to.eq_ignore_ascii_case(address)).collect()
    }

    pub fn heard(&self) -> Vec<String> {
        locked(&self.service.heard).clone()
    }

    pub fn connections(&self) -> usize {
        *locked(&self.service.connections)
    }
}

impl Service {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>, identity: Option<Identity>) {
    let mut sessions = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        *locked(&service.connections) += 1;
        let (service, identity) = (Arc::clone(&service), identity.clone());
        // A client that hangs up ends its own conversation and no other.
        sessions.spawn(async move { drop(Session::hold(stream, &service, identity.as_ref()).await) });
        while sessions.try_join_next().is_some() {}
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
