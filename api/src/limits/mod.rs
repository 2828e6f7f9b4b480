//! What keeps one from taking everything: how often each may ask, and how much is done at once.
//!
//! Registration says `username_taken` and `email_taken`, so it can be asked who is registered. That is a decision:
//! whoever mistyped must learn it, and an answer that hid it would have to promise an account that never comes. What
//! limits it is the rate by client address here: with the default, one address can try 14,400 names a day, not
//! millions. Whoever asks for a mail or a token learns nothing about who exists.

pub mod address;
pub mod limiter;
pub mod load;
pub mod rate;
pub mod shared;
pub mod turns;

use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use self::{
    address::{Client, TrustedProxies},
    limiter::Limiter,
    load::Places,
    shared::SharedCounts,
    turns::{Turn, Turns},
};
use crate::{config::limits::LimitConfig, error::ApiError};

/// All limits of this process.
#[derive(Debug, Clone)]
pub struct Limits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    proxies: TrustedProxies,
    register: Limiter<Client>,
    mail_request: Limiter<Client>,
    token: Limiter<Client>,
    validate_token: Limiter<Client>,
    token_account: Limiter<LoginName>,
    turns: Turns,
    places: Places,
}

/// By its SHA-256: nobody's name is kept.
#[derive(Clone, PartialEq, Eq, Hash)]
struct LoginName([u8; 32]);

impl LoginName {
    fn of(login: &str) -> Self {
        Self(Sha256::digest(login.trim().to_lowercase()).into())
    }
}

impl fmt::Display for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Limits {
    pub fn new(config: &LimitConfig, proxies: TrustedProxies, shared: Option<&SharedCounts>) -> Self {
        Self(Arc::new(Inner {
            proxies,
            register: Limiter::new("register", config.register, shared),
            mail_request: Limiter::new("mail_request", config.mail_request, shared),
            token: Limiter::new("token", config.token, shared),
            validate_token: Limiter::new("validate_token", config.validate_token, None),
            token_account: Limiter::new("token_account", config.token_account, shared),
            turns: Turns::default(),
            places: Places::new(config.concurrency),
        }))
    }

    /// Counts a try to log in as somebody, who need not exist, and waits for its turn, which lasts until it is dropped.
    pub async fn admit_login(&self, login: &str) -> Result<Turn, ApiError> {
        let login = LoginName::of(login);
        self.0.token_account.admit(&login).await.map_err(too_many)?;
        self.0.turns.take(&login).await.ok_or(ApiError::Overloaded)
    }

    /// Counts a request by its client's address, if its route is one that is counted.
    async fn admit(&self, route: Option<&str>, client: Client) -> Result<(), ApiError> {
        let limiter = match route {
            Some("/users/register") => &self.0.register,
            Some("/users/send-password-setup-email") => &self.0.mail_request,
            Some("/auth/token") => &self.0.token,
            Some("/auth/validate-token") => &self.0.validate_token,
            _ => return Ok(()),
        };
        limiter.admit(&client).await.map_err(too_many)
    }

    fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        peer.map_or(Client::UNKNOWN, |peer| self.0.proxies.client(peer, headers))
    }

    /// Forgets, every now and then, who has not asked for a while.
    pub async fn keep_small(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        const PAUSE: Duration = Duration::from_mins(1);
        while shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
            for limiter in [&self.0.register, &self.0.mail_request, &self.0.token, &self.0.validate_token] {
                limiter.forget_old();
            }
            self.0.token_account.forget_old();
        }
        Ok(())
    }
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::TooMany { wait }
}

/// Answers 429 to whoever asks too often.
pub async fn by_client(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    match limits.admit(route, limits.client(peer, request.headers())).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Answers 503 to what is too much at once.
pub async fn by_load(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    match limits.0.places.take(request.uri()) {
        Some(_place) => next.run(request).await,
        None => ApiError::Overloaded.into_response(),
    }
}
