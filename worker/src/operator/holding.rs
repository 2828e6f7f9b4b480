//! One person, held fast while a command works on them.

use anyhow::Context as _;
use shared::store::{
    hold::{self, Held},
    person::{self, Named, Person},
};
use sqlx::PgPool;

use super::NoSuchUser;

/// A person on whom nobody else works: no worker, no other operator.
pub(super) async fn hold(pool: &PgPool, name: &str) -> anyhow::Result<(Held, Person)> {
    let id = person::find(pool, name).await?.ok_or(NoSuchUser)?.id;
    let held = hold::take(pool, id).await?.context("a worker has the user: try again later")?;
    Ok((held, person::find(pool, Named::from(id)).await?.ok_or(NoSuchUser)?))
}

/// Lets go of whom a command that failed had held; the minute of the hold does it otherwise.
pub(super) async fn or_let_go<T>(pool: &PgPool, held: Held, done: anyhow::Result<T>) -> anyhow::Result<T> {
    if done.is_err() {
        hold::let_go(pool, held).await.ok();
    }
    done
}
