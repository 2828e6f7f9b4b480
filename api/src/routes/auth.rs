//! `/auth`: getting a token, and finding out whether one is good.

use std::time::Duration;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    middleware::map_response,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    fields::Fault,
    problem::Problem,
    state::AppState,
    tokens::{
        bearer,
        claims::Claims,
        error::{AuthError, TokenFault, UpstreamError},
        issuer::TokenAnswer,
        request::{Grant, TokenRequest},
    },
};

/// Both addresses. What limits how often they may be asked is laid around this router; what is told to one caller is
/// kept by nobody on the way (RFC 6749, section 5.1).
pub fn router() -> OpenApiRouter<AppState> {
    let router = OpenApiRouter::new().routes(routes!(token)).routes(routes!(validate));
    router.layer(map_response(not_to_be_kept))
}

async fn not_to_be_kept(response: Response) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], response)
}

/// Logs a person in, or renews a token.
///
/// Keycloak checks the credentials and makes the tokens; its answer is passed on as it is. Every wrong credential is
/// answered in the same way: an unknown user, a wrong password, an account that is disabled or locked out, a refresh
/// token that has ended.
#[utoipa::path(
    post,
    path = "/auth/token",
    tag = "auth",
    request_body(content(
        (TokenRequest = "application/json"),
        (TokenRequest = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The tokens", body = IssuedToken),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The credentials are not right", body = Problem,
            content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String, description = "Always the same")),
            example = json!(Problem::example(&AuthError::InvalidCredentials.into()))),
        (status = 403, description = "The password is right, but there are steps left in the set-up mail", body = Problem,
            content_type = "application/problem+json",
            example = json!(Problem::example(&AuthError::AccountSetupRequired.into()))),
        (status = 408, description = "The body did not arrive in time", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::SlowBody))),
        (status = 413, description = "The body is longer than 16 KiB", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&ApiError::TooLarge))),
        (status = 415, description = "The body is neither a form nor JSON", body = Problem,
            content_type = "application/problem+json",
            example = json!(Problem::example(&AuthError::MediaType.into()))),
        (status = 422, description = "Fields are missing, faulty, unknown or repeated; all of them are listed", body = Problem,
            content_type = "application/problem+json", example = json!(Problem::example(&invalid_example()))),
        (status = 429, description = "Too many tries from this address, or for this account", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&too_many_example()))),
        (status = 503, description = "Keycloak is away, or this service is not set up right (`upstream_misconfigured`)",
            body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&away_example()))),
    ),
)]
pub async fn token(State(state): State<AppState>, grant: Grant) -> Result<impl IntoResponse, ApiError> {
    let _turn = match &grant {
        Grant::Password { username, .. } => Some(state.limits.admit_login(username.expose_secret()).await?),
        Grant::RefreshToken(_) => None,
    };
    let TokenAnswer(answer) = state.tokens.realm.issue(&grant).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.expose_secret().to_owned()))
}

/// Tells whether an access token is good, and whose it is.
///
/// It is checked with the keys of the realm, without asking Keycloak, and so also while Keycloak is away. What happened
/// after the token was made, like a logout, only shows with `introspect=true`, which asks.
#[utoipa::path(
    get,
    path = "/auth/validate-token",
    tag = "auth",
    params(ValidateQuery),
    security(("bearer" = []), ("password" = [])),
    responses(
        (status = 200, description = "The token is good", body = ActiveToken),
        (status = 400, description = "The header or the query cannot be understood", body = Problem,
            content_type = "application/problem+json",
            example = json!(Problem::example(&AuthError::MalformedHeader.into()))),
        (status = 401, description = "There is no token, or it is not good", body = Problem,
            content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String, description = "Why the token is not good (RFC 6750, section 3)")),
            example = json!(Problem::example(&AuthError::InvalidToken(TokenFault::Expired).into()))),
        (status = 429, description = "Too many tries from this address", body = Problem,
            content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&too_many_example()))),
        (status = 503, description = "No key to check with was ever fetched (`keys_unavailable`), or Keycloak cannot be \
            asked to introspect", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait")),
            example = json!(Problem::example(&AuthError::KeysUnavailable.into()))),
    ),
)]
pub async fn validate(
    State(state): State<AppState>,
    query: Result<Query<ValidateQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<ActiveToken>, ApiError> {
    let token = bearer::token(&headers)?;
    let Query(query) = query.map_err(|_rejection| AuthError::Query)?;
    let claims = state.tokens.validator.validate(&token).await?;
    if query.introspect {
        state.tokens.realm.is_active(&token, &claims).await?;
    }
    Ok(Json(ActiveToken { active: true, user: TokenUser::of(claims)? }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ValidateQuery {
    /// Also ask Keycloak, which knows whether the session has ended or the user was disabled.
    #[serde(default)]
    #[param(required = false)]
    introspect: bool,
}

/// What Keycloak hands out (RFC 6749, section 5.1); there may be more in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedToken {
    /// To be sent along as `Authorization: Bearer …`.
    access_token: String,
    /// Seconds.
    #[schema(example = 300)]
    expires_in: u64,
    refresh_token: Option<String>,
    /// Seconds.
    #[schema(example = 1800)]
    refresh_expires_in: Option<u64>,
    /// Who logged in, for the application that did it; not to be sent anywhere.
    id_token: Option<String>,
    #[schema(example = "Bearer")]
    token_type: String,
    #[schema(example = "openid profile email")]
    scope: Option<String>,
}

/// A token that is good.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActiveToken {
    /// Always true: a token that is not good is answered with 401.
    #[schema(example = true)]
    active: bool,
    user: TokenUser,
}

/// Whose a token is, as it says itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenUser {
    /// The id of the account in Keycloak.
    #[schema(example = "4f1c1b0e-6a0e-4d9a-9f5e-0c9d7d3a5a11")]
    sub: String,
    #[schema(example = "ada")]
    username: Option<String>,
    #[schema(format = Email, example = "ada@example.org")]
    email: Option<String>,
    email_verified: bool,
    #[schema(example = "Ada")]
    first_name: Option<String>,
    #[schema(example = "Lovelace")]
    last_name: Option<String>,
    /// The roles of the realm that the client may know of.
    roles: Vec<String>,
    /// When the token ends.
    expires_at: DateTime<Utc>,
}

impl TokenUser {
    fn of(claims: Claims) -> Result<Self, AuthError> {
        let expires_at = claims.expires_at().ok_or(TokenFault::Malformed)?;
        Ok(Self {
            sub: claims.sub.ok_or(TokenFault::Incomplete)?,
            username: claims.preferred_username,
            email: claims.email,
            email_verified: claims.email_verified,
            first_name: claims.given_name,
            last_name: claims.family_name,
            roles: claims.realm_access.roles,
            expires_at,
        })
    }
}

fn invalid_example() -> ApiError {
    ApiError::Invalid(vec![Fault::new("required", "must be given", "password")])
}

fn too_many_example() -> ApiError {
    ApiError::TooMany { wait: Duration::from_secs(5) }
}

fn away_example() -> ApiError {
    AuthError::from(UpstreamError::Unreadable { doing: "issue a token" }).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::routes;

    fn document() -> Value {
        serde_json::to_value(routes::openapi()).unwrap()
    }

    #[test]
    fn every_answer_is_described() {
        let paths = &document()["paths"];
        for (path, method, statuses) in [
            ("/auth/token", "post", &["200", "400", "401", "403", "408", "413", "415", "422", "429", "503"][..]),
            ("/auth/validate-token", "get", &["200", "400", "401", "429", "503"]),
        ] {
            for status in statuses {
                assert!(paths[path][method]["responses"][status].is_object(), "{path}: {status}");
            }
        }
    }

    #[test]
    fn swaggers_page_can_log_in() {
        let document = document();
        let scheme = &document["components"]["securitySchemes"]["password"];
        assert_eq!(scheme["flows"]["password"]["tokenUrl"], "/auth/token");
        let content = &document["paths"]["/auth/token"]["post"]["requestBody"]["content"];
        assert!(content["application/json"].is_object() && content["application/x-www-form-urlencoded"].is_object());
        let security = &document["paths"]["/auth/validate-token"]["get"]["security"];
        assert_eq!(*security, json!([{ "bearer": [] }, { "password": [] }]));
    }
}
