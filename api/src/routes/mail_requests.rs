//! `/users/send-password-setup-email`: another mail, for whoever lost the first.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    body::JsonObject,
    database::DatabaseError,
    error::ApiError,
    fields::Fault,
    mail_request::{self, MailRequest},
    problem::Problem,
    state::AppState,
};

/// Asks for another mail to set a password.
///
/// The answer is the same whether or not there is such a user. A user who is owed a mail anyway gets that one alone,
/// and nobody is mailed more often than every minute and ten times a day.
#[utoipa::path(
    post,
    path = "/users/send-password-setup-email",
    tag = "users",
    request_body(content = MailRequest, examples(
        ("by username" = (value = json!({ "username": "ada" }))),
        ("by address" = (value = json!({ "email": "ada@example.org" }))),
    )),
    responses(
        (status = 202, description = "If there is such a user, a mail will be sent", body = MailRequested),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json",
            example = json!(Problem::example(&ApiError::BrokenBody))),
        (status = 408, description = "The body did not arrive in time", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::SlowBody))),
        (status = 413, description = "The body is longer than 16 KiB", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::TooLarge))),
        (status = 415, description = "The body is not sent as JSON", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::MediaType))),
        (status = 422, description = "Not exactly one of username and email, or none that could be registered",
            body = Problem, content_type = "application/problem+json",
            example = json!(Problem::example(&invalid_example()))),
        (status = 429, description = "Too many requests from this address", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&ApiError::TooMany { wait: Duration::from_secs(11) }))),
        (status = 503, description = "The database is away", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&DatabaseError::Late.into()))),
    ),
)]
pub async fn request(State(state): State<AppState>, body: JsonObject) -> Result<impl IntoResponse, ApiError> {
    let target = mail_request::parse(body.0).map_err(ApiError::Invalid)?;
    mail_request::request(&state, &target).await?;
    Ok((StatusCode::ACCEPTED, Json(MailRequested { detail: DETAIL })))
}

/// The same for everybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailRequested {
    #[schema(example = "if there is such a user, a mail with a link to set the password will arrive soon")]
    detail: &'static str,
}

const DETAIL: &str = "if there is such a user, a mail with a link to set the password will arrive soon";

fn invalid_example() -> ApiError {
    ApiError::Invalid(vec![Fault::of_all("one_of", "must have either username or email")])
}
