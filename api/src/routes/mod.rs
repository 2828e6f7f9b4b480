//! The table of addresses.

pub mod docs;
pub mod health;
pub mod users;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{middleware, state::AppState};

/// What the public listener answers.
pub fn router(state: AppState) -> Router {
    let (api, document) = api().with_state(state).split_for_parts();
    middleware::around(api.merge(docs::swagger(document)))
}

/// The description of the interface, made from the handlers.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<AppState> {
    docs::described().routes(routes!(users::register)).routes(routes!(users::status))
}
