//! What the application relies on in Keycloak, asked of the real one and of the fake alike.
//!
//! When an upgrade of Keycloak breaks one of these, the worker's table of outcomes and the fake are what to look at.

/// Each article of the contract as two tests: `fake::…` and `real::…`.
macro_rules! contract {
    ($($article:ident)*) => {
        mod fake {
            $(#[tokio::test]
            async fn $article() {
                crate::keycloak_contract::with_fake(super::$article).await;
            })*
        }

        mod real {
            $(#[tokio::test]
            async fn $article() {
                crate::keycloak_contract::with_real(super::$article).await;
            })*
        }
    };
}

mod action_links;
mod client;
mod mails;
mod tokens;
mod users;

use std::future::Future;

use crate::harness::{fake_keycloak::FakeKeycloak, keycloak::Realm};
use client::Client;

async fn with_fake<F: Future<Output = ()>>(article: impl FnOnce(Client) -> F) {
    let keycloak = FakeKeycloak::start().await;
    article(Client::enter(keycloak.access()).await).await;
}

async fn with_real<F: Future<Output = ()>>(article: impl FnOnce(Client) -> F) {
    let realm = Realm::shared();
    article(Client::enter(realm.access()).await).await;
}
