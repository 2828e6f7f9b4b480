//! The HTTP client of the harness.

use std::time::Duration;

/// One for each runtime, thus one for each test: pooled connections die with the runtime that drives them.
/// Every service here speaks plain HTTP on loopback: no certificates to load, and no proxy between.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(30))
        .build()
        .expect("an HTTP client")
}
