//! What happens around every request of the public listener, from the outside in: an id, a span, headers for browsers,
//! a problem document for every error, an answer for a handler that panics or hangs, and a refusal of what is too much:
//! at once, from one client, in one body.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
};
use shared::trace_context::TraceContext;
use tower::{ServiceBuilder, util::option_layer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};
use tracing::{Instrument as _, Span, field, record_all};
use uuid::Uuid;

use crate::{
    config::callers::Origins,
    error::ApiError,
    limits::{self, Limits},
    metrics, problem,
    routes::users,
    security_headers,
};

/// A registration has some hundred bytes.
const MAX_BODY: usize = 16 * 1024;

/// More than every deadline below it; only what has none of its own meets this one.
const DEADLINE: Duration = Duration::from_secs(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, ours or the caller's.
#[derive(Debug, Clone)]
struct RequestId(HeaderValue);

/// Wraps a router; in each part the first layer is the outermost, and `answering` is around `refusing`. In two parts,
/// and not each by itself: a router keeps every layer that it is given in a box of its own, and copies all boxes for
/// each request.
pub fn around(router: Router, limits: &Limits, origins: &Origins) -> Router {
    let answering = ServiceBuilder::new()
        .layer(from_fn(with_an_id))
        .layer(from_fn(in_a_span))
        .layer(from_fn(security_headers::add))
        .layer(option_layer(cors(origins)))
        .layer(map_response(as_problem));
    let refusing = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(|_panic| ApiError::Panicked.into_response()))
        .layer(from_fn_with_state(DEADLINE, within_the_deadline))
        .layer(from_fn_with_state(limits.clone(), limits::by_load))
        .layer(from_fn_with_state(limits.clone(), limits::by_client))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    router.layer(refusing).layer(answering)
}

/// Only what is configured is allowed: without it browsers keep every page but our own away.
fn cors(Origins(origins): &Origins) -> Option<CorsLayer> {
    let layer = || {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.clone()))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, users::IDEMPOTENCY_KEY])
            .expose_headers([header::LOCATION, header::RETRY_AFTER, REQUEST_ID, users::REPLAYED])
            .max_age(Duration::from_hours(1))
    };
    (!origins.is_empty()).then(layer)
}

/// Takes the caller's id over when it is plain, so that nothing else gets into our logs by it.
async fn with_an_id(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID).filter(|id| is_plain(id)).cloned();
    let made = || HeaderValue::from_str(&Uuid::now_v7().to_string()).ok();
    let Some(id) = given.or_else(made) else { return next.run(request).await };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn is_plain(id: &HeaderValue) -> bool {
    (1..=64).contains(&id.len()) && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// One span for each request, in the caller's trace if there is one.
async fn in_a_span(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(header).adopt(&span);
    span.record("trace.id", problem::trace_id(&span));
    let (began, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    async {
        let response = next.run(request).await;
        let status = response.status();
        metrics::answered(&method, route.as_ref().map(MatchedPath::as_str), status, began.elapsed());
        let verdict = status.is_server_error().then_some("ERROR");
        // At once: every layer is told of each record.
        let span = Span::current();
        record_all!(span, http.response.status_code = status.as_u16(), otel.status_code = verdict);
        tracing::debug!(status = status.as_u16(), "answered");
        response
    }
    .instrument(span)
    .await
}

/// Carries the route, never the path or the query: they may hold anything.
fn span_of(request: &Request) -> Span {
    let method = request.method().as_str();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let id = request.extensions().get::<RequestId>().and_then(|id| id.0.to_str().ok());
    tracing::info_span!(
        "request",
        "otel.name" = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        "otel.kind" = "server",
        "otel.status_code" = field::Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = field::Empty,
        "request.id" = id,
        "trace.id" = field::Empty,
        "user.id" = field::Empty,
    )
}

/// Turns the errors that the router answers by itself (no such path, not this method) into problem documents. The router
/// adds the header Allow only outside of this.
async fn as_problem(response: Response) -> Response {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if !is_error || is_problem(response.headers()) {
        return response;
    }
    ApiError::Plain(response.status()).into_response()
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == problem::MEDIA_TYPE)
}

async fn within_the_deadline(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(deadline, next.run(request)).await;
    answer.unwrap_or_else(|_elapsed| ApiError::Late.into_response())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{StatusCode, request::Builder},
        routing::post,
    };
    use shared::config::Environment;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{config::limits::LimitSection, limits::address::TrustedProxies};

    fn limits() -> Limits {
        let mut environment = Environment::of([]);
        Limits::new(&LimitSection::read(&mut environment).unwrap(), TrustedProxies::default(), None)
    }

    async fn answer(request: Builder) -> Response {
        async fn panics() {
            panic!("on purpose")
        }
        let router = around(Router::new().route("/panics", post(panics)), &limits(), &Origins::default());
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_error_is_a_problem() {
        for (method, path, status) in [("POST", "/panics", 500), ("GET", "/panics", 405), ("GET", "/nothing", 404)] {
            let response = answer(Request::builder().method(method).uri(path)).await;
            assert_eq!(response.status(), StatusCode::from_u16(status).unwrap(), "{method} {path}");
            assert!(is_problem(response.headers()), "{method} {path}");
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }

    #[tokio::test]
    async fn a_plain_request_id_is_kept_and_any_other_replaced() {
        let kept = answer(Request::builder().uri("/").header(REQUEST_ID, "abc-1")).await;
        assert_eq!(kept.headers()[REQUEST_ID], "abc-1");
        let replaced = answer(Request::builder().uri("/").header(REQUEST_ID, "ada@example.org")).await;
        assert_eq!(replaced.headers()[REQUEST_ID].len(), 36);
    }

    #[tokio::test]
    async fn a_handler_that_hangs_is_answered_for() {
        let router = Router::new().route("/hangs", post(std::future::pending::<()>));
        let router = router.layer(from_fn_with_state(Duration::from_millis(1), within_the_deadline));
        let request = Request::builder().method("POST").uri("/hangs").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(is_problem(response.headers()) && response.headers().contains_key(header::RETRY_AFTER));
    }
}
