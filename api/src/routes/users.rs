//! `/users`: registering, and how far a registration has come.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::{
        idempotency_key::{IdempotencyKey, InvalidIdempotencyKey},
        user::{PasswordState, Progress, UserId, UserStatus},
    },
    store::registrations,
};
use tracing::{Span, field::display};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, SchemaType, Type},
};
use uuid::Uuid;

use crate::{
    body::JsonObject,
    database::DatabaseError,
    error::ApiError,
    fields::Fault,
    metrics,
    new_user::{self, RegisterRequest},
    problem::Problem,
    registration::{self, Created},
    state::AppState,
};

/// Registers a user.
///
/// 201 is a promise: the user is committed, will exist in Keycloak exactly once, and will get a mail to set a password.
#[utoipa::path(
    post,
    path = "/users/register",
    tag = "users",
    params(("Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "Makes a registration repeatable: for a day, the same key with the same body gets the same \
            answer again, however often it is sent. Without it, who gets no answer and asks again is told that the \
            username is taken. Nobody else must think of the same one, so let it be a UUID.")),
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "Committed", body = RegisteredUser,
            headers(("Location" = String, description = "Where to ask how far it is"),
                ("Idempotent-Replayed" = String, description = "`true` on an answer that was given before"))),
        (status = 400, description = "The body is not JSON, or the key is none", body = Problem,
            content_type = "application/problem+json",
            example = json!(Problem::example(&ApiError::IdempotencyKey(InvalidIdempotencyKey)))),
        (status = 408, description = "The body did not arrive in time", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::SlowBody))),
        (status = 409, description = "The username or the address is taken", body = Problem,
            content_type = "application/problem+json",
            example = json!(Problem::example(&ApiError::Taken { username: true, email: false }))),
        (status = 413, description = "The body is longer than 16 KiB", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::TooLarge))),
        (status = 415, description = "The body is not sent as JSON", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::MediaType))),
        (status = 422, description = "Fields are missing, faulty, unknown or repeated, and all of them are listed; or the key \
            was sent with another body before", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&invalid_example()))),
        (status = 429, description = "Too many registrations from this address", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&ApiError::TooMany { wait: Duration::from_secs(5) }))),
        (status = 503, description = "The database is away; or, for a registration with a password, what keeps passwords is",
            body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&DatabaseError::Late.into()))),
    ),
)]
pub async fn register(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<impl IntoResponse, ApiError> {
    let key = idempotency_key(&headers)?;
    let rules = state.passwords.as_ref().map(|passwords| &passwords.rules);
    let (user, password) = new_user::parse(body.0, rules).map_err(ApiError::Invalid)?;
    let registered = registration::register(&state, user, password, key).await;
    metrics::registered(&registered);
    let created = registered?;
    let location = format!("/users/{}/status", created.id);
    let replayed = created.before.then_some([(REPLAYED, "true")]);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], replayed, Json(RegisteredUser::from(created))))
}

/// The one key of a request; a second one would leave open which holds.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => IdempotencyKey::parse(key.as_bytes()).map(Some).map_err(ApiError::IdempotencyKey),
        (Some(_), Some(_)) => Err(ApiError::IdempotencyKey(InvalidIdempotencyKey)),
    }
}

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Tells how far a user has come.
///
/// Whoever has the id may ask, so there is nothing personal in the answer.
#[utoipa::path(
    get,
    path = "/users/{id}/status",
    tag = "users",
    params(("id" = Uuid, Path, description = "The id from the registration")),
    responses(
        (status = 200, description = "How far the user has come", body = UserProgress),
        (status = 404, description = "No user has this id", body = Problem, content_type = "application/problem+json",
            example = json!(Problem::example(&ApiError::UnknownUser))),
        (status = 503, description = "The database is away", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&DatabaseError::Late.into()))),
    ),
)]
pub async fn status(
    State(state): State<AppState>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let id = id.map(|Path(id)| UserId::from(id)).map_err(|_no_uuid| ApiError::UnknownUser)?;
    Span::current().record("user.id", display(id));
    let progress = state.database.ask(async |connection| registrations::progress(connection, id).await).await?;
    let progress = progress.ok_or(ApiError::UnknownUser)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(UserProgress::of(id, progress))))
}

/// A user who was just registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredUser {
    id: Uuid,
    /// As it was kept: in lower case.
    #[schema(example = "ada")]
    username: String,
    #[schema(format = Email, example = "ada@example.org")]
    email: String,
    #[schema(example = "Ada")]
    first_name: String,
    #[schema(example = "Lovelace")]
    last_name: String,
    #[schema(schema_with = status_schema)]
    status: UserStatus,
    created_at: DateTime<Utc>,
}

impl From<Created> for RegisteredUser {
    fn from(Created { id, created_at, user, before: _ }: Created) -> Self {
        Self {
            id: id.as_uuid(),
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            first_name: user.first_name.as_str().to_owned(),
            last_name: user.last_name.as_str().to_owned(),
            status: UserStatus::Pending,
            created_at,
        }
    }
}

/// How far a user has come.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserProgress {
    id: Uuid,
    #[schema(schema_with = status_schema)]
    status: UserStatus,
    created_at: DateTime<Utc>,
    /// When the account was known to exist in Keycloak.
    synced_at: Option<DateTime<Utc>>,
    /// When a mail server last accepted a mail to set the password.
    mail_sent_at: Option<DateTime<Utc>>,
    /// Since when an operator is needed.
    parked_at: Option<DateTime<Utc>>,
    /// Why an operator is needed.
    #[schema(example = "conflict")]
    parked_reason: Option<String>,
    /// What became of a password that was chosen at the registration.
    #[schema(schema_with = password_schema)]
    password: Option<String>,
}

impl UserProgress {
    fn of(id: UserId, progress: Progress) -> Self {
        Self {
            id: id.as_uuid(),
            status: progress.status(),
            created_at: progress.created_at,
            synced_at: progress.synced_at,
            mail_sent_at: progress.mail_sent_at,
            parked_at: progress.parked_at,
            parked_reason: progress.parked_reason,
            password: progress.password_state,
        }
    }
}

fn status_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "pending: committed; synced: in Keycloak, a mail is owed; complete: the mail is on its way; \
             parked: waits for an operator",
        ))
        .enum_values(Some(["pending", "synced", "complete", "parked"]))
        .build()
}

fn password_schema() -> Object {
    let states = PasswordState::ALL.map(|state| Some(state.as_str()));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(
            "waiting: for the account; set: valid once the first mail's link has confirmed the address; \
             lost, refused: the mail lets another one be set; null: none was chosen",
        ))
        .enum_values(Some(states.into_iter().chain([None])))
        .build()
}

fn invalid_example() -> ApiError {
    ApiError::Invalid(vec![
        Fault::new("domain", "must end in a domain name with a dot, such as example.org", "email"),
        Fault::new("required", "must be given", "lastName"),
    ])
}
