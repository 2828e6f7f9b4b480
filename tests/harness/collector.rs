//! A collector that keeps what it is sent: OTLP over HTTP, of as many processes as name it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinSet};

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    traces: Vec<Bytes>,
}

pub struct Collector {
    url: String,
    kept: Arc<Mutex<Kept>>,
    _server: JoinSet<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound port"));
        let kept = Arc::<Mutex<Kept>>::default();
        let router = Router::new().fallback(keep).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&kept));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.expect("the collector runs") });
        Self { url, kept, _server: server }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// As it was sent. Texts stand in the protocol's messages as they are.
    pub fn bytes(&self) -> Vec<u8> {
        self.kept().bytes.clone()
    }

    /// Every span, in the order of their beginnings.
    pub fn spans(&self) -> Vec<SeenSpan> {
        let requests: Vec<_> = self.kept().traces.iter().map(decode).collect();
        let resources = requests.into_iter().flat_map(|request| request.resource_spans);
        let mut spans: Vec<_> =
            resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans.into_iter().map(SeenSpan::from).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode(body: &Bytes) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body.as_ref()).expect("traces come as the protocol says")
}

/// An empty answer is the message that says: all taken.
async fn keep(State(kept): State<Arc<Mutex<Kept>>>, request: Request) {
    let is_traces = request.uri().path() == "/v1/traces";
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body can be read");
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.bytes.extend_from_slice(&body);
    if is_traces {
        kept.traces.push(body);
    }
}

/// A span, with its ids in hexadecimal digits, as the headers have them.
#[derive(Debug, Clone)]
pub struct SeenSpan {
    pub trace: String,
    pub id: String,
    /// Empty: a root.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub attributes: BTreeMap<String, String>,
    /// The traces and spans that it links to.
    pub links: Vec<(String, String)>,
}

impl From<Span> for SeenSpan {
    fn from(span: Span) -> Self {
        let kind = span.kind();
        let attributes = span.attributes.into_iter().map(|it| (it.key, text(it.value)));
        Self {
            kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            attributes: attributes.collect(),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}
