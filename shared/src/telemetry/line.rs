//! A line of the log in JSON, which names the span it was written in: `trace_id` and `span_id`, as OpenTelemetry spells
//! them in logs. So a line leads to its trace, and a trace to its lines.

use std::fmt;

use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
    },
    registry::LookupSpan,
};

/// tracing-subscriber's own line, and the two ids before everything else in it.
pub(super) struct Line(Format<Json>);

impl Line {
    pub(super) fn new() -> Self {
        Self(Format::default().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let current = Context::current();
        let span = current.span().span_context().clone();
        match line.strip_prefix('{').filter(|_| span.is_valid()) {
            Some(rest) => {
                write!(writer, r#"{{"trace_id":"{}","span_id":"{}",{rest}"#, span.trace_id(), span.span_id())
            }
            None => writer.write_str(&line),
        }
    }
}
