//! The administrator of realm `master`, who may do everything. The application never sees this login.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::harness::stack::Stack;

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

/// A login costs Keycloak a password hash, and its token lasts a minute: all tests share one.
pub(super) async fn administrator_token(http: &reqwest::Client) -> String {
    static CACHE: Mutex<Option<(String, Instant)>> = Mutex::new(None);
    let cached = CACHE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((token, good_until)) = cached
        && Instant::now() < good_until
    {
        return token;
    }
    let token = log_in(http).await;
    let good_until = Instant::now() + Duration::from_secs(token.expires_in / 2);
    *CACHE.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.access_token.clone(), good_until));
    token.access_token
}

async fn log_in(http: &reqwest::Client) -> Token {
    let stack = Stack::get();
    let url = format!("{}/realms/master/protocol/openid-connect/token", stack.keycloak_url.trim_end_matches('/'));
    let login = [
        ("grant_type", "password"),
        ("client_id", "admin-cli"),
        ("username", &stack.keycloak_admin),
        ("password", &stack.keycloak_admin_password),
    ];
    let answer = http.post(url).form(&login).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("no Keycloak at KEYCLOAK_URL: {error}; run `cargo dev test`"));
    let answer = answer.error_for_status().expect("KEYCLOAK_ADMIN may log in");
    answer.json().await.expect("Keycloak answers a token")
}
