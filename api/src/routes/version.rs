//! `/version`: what runs here.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{error::ApiError, problem::Problem};

/// Says what runs here.
#[utoipa::path(
    get,
    path = "/version",
    tag = "service",
    responses(
        (status = 200, description = "What runs here", body = About),
        (status = 503, description = "More is being asked than can be done at once", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&ApiError::Overloaded))),
    ),
)]
pub async fn version() -> Json<About> {
    Json(THIS)
}

/// Name, version and origin of the program.
#[derive(Debug, Serialize, ToSchema)]
pub struct About {
    #[schema(example = "usher-api")]
    name: &'static str,
    #[schema(example = "1.0.0")]
    version: &'static str,
    /// The commit it was built from; null when the build was not told (`USHER_COMMIT`).
    #[schema(example = "13bf622")]
    commit: Option<&'static str>,
}

const THIS: About =
    About { name: "usher-api", version: env!("CARGO_PKG_VERSION"), commit: option_env!("USHER_COMMIT") };
