//! W3C Trace Context, carried from the HTTP request over the outbox row and the message to the last call.

use std::collections::HashMap;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header `traceparent` (<https://www.w3.org/TR/trace-context/>). What a caller puts into `tracestate` is left
/// behind: it may be anything and as long as a header may be, and would be kept in a row and sent to everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceContext(HashMap<String, String>);

impl TraceContext {
    /// The context of the span we are in; empty when nobody traces.
    pub fn current() -> Self {
        Self::of(&Span::current())
    }

    /// The context of a span.
    pub fn of(span: &Span) -> Self {
        let mut carrier = Self::default();
        TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
        carrier
    }

    /// Reads the header of some carrier.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let found = header(TRACEPARENT).map(|value| (TRACEPARENT.to_owned(), value.to_owned()));
        Self(found.into_iter().collect())
    }

    /// The headers to send along.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.headers().next().is_none()
    }

    /// Makes this context the parent of `span`. One that is empty or broken leaves the span a root.
    pub fn adopt(&self, span: &Span) {
        // Fails only when the span was already started or nobody traces; both leave the trace as it is.
        span.set_parent(self.extract()).ok();
    }

    /// Links `span` to this context, of which it is no part. One that is empty, broken or of the span's own trace is
    /// no link.
    pub fn link(&self, span: &Span) {
        let context = self.extract();
        let (other, own) = (context.span().span_context().clone(), span.context());
        if other.is_valid() && other.trace_id() != own.span().span_context().trace_id() {
            span.add_link(other);
        }
    }

    fn extract(&self) -> Context {
        TraceContextPropagator::new().extract_with_context(&Context::new(), self)
    }
}

const TRACEPARENT: &str = "traceparent";

impl Injector for TraceContext {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

impl Extractor for TraceContext {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_header_and_no_other() {
        let context = TraceContext::read(|_name| Some("00-…"));
        assert_eq!(context.headers().collect::<Vec<_>>(), [("traceparent", "00-…")]);
    }
}
