//! The table of addresses.

pub mod auth;
pub mod docs;
pub mod health;
pub mod mail_requests;
pub mod metrics;
pub mod users;
pub mod version;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{config::callers::Origins, middleware, state::AppState};

/// What the public listener answers.
pub fn router(state: AppState, origins: &Origins) -> Router {
    let limits = state.limits.clone();
    let (api, document) = api().with_state(state).split_for_parts();
    middleware::around(api.merge(docs::swagger(document)), &limits, origins)
}

/// The description of the interface, made from the handlers.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<AppState> {
    let mut api = docs::described()
        .routes(routes!(users::register))
        .routes(routes!(users::status))
        .routes(routes!(mail_requests::request))
        .merge(auth::router())
        .routes(routes!(version::version));
    docs::promise_headers(api.get_openapi_mut());
    api
}
