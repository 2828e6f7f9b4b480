//! The least that can register: a handler that runs exactly the api's statement, by the api's own function, and does
//! nothing else. No limits, no spans, no log, no bell.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    domain::{
        email::EmailAddress,
        name::PersonName,
        user::{NewUser, UserId},
        username::Username,
    },
    store::registrations::{self, Candidate, Registered},
    trace_context::TraceContext,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::net::TcpListener;

/// As many as the api has by default.
const CONNECTIONS: u32 = 10;
const GRACE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Settings {
    database_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    username: String,
    email: String,
    first_name: String,
    last_name: String,
}

pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    let settings: Settings = envy::from_env()?;
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    let pool = pool.connect(&settings.database_url).await?;
    let routes =
        Router::new().route("/", get(async || "ready")).route("/users/register", post(register)).with_state(pool);
    Ok(axum::serve(TcpListener::bind(listen).await?, routes).await?)
}

async fn register(State(pool): State<PgPool>, Json(body): Json<Body>) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let user = parse(&body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let candidate =
        Candidate { id: UserId::generate(), user, trace: TraceContext::default(), with_password: false, key: None };
    let mut connection = pool.acquire().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    match registrations::register(&mut connection, &candidate, GRACE).await {
        Ok(Registered::Created { id, created_at }) => {
            Ok((StatusCode::CREATED, Json(json!({ "id": id, "createdAt": created_at }))))
        }
        Ok(_) => Err(StatusCode::CONFLICT),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn parse(body: &Body) -> Result<NewUser> {
    Ok(NewUser {
        locale: None,
        username: Username::parse(&body.username).context("username")?,
        email: EmailAddress::parse(&body.email).context("email")?,
        first_name: PersonName::parse(&body.first_name).context("first name")?,
        last_name: PersonName::parse(&body.last_name).context("last name")?,
    })
}
