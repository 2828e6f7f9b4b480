//! The fields of a span in JSON, as the lines of the log carry them.

use std::fmt;

use tracing::span::Record;
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
};

/// As [`JsonFields`] writes them, but what is recorded later is only appended: there every record reads and writes all
/// fields anew, several times in a request, most of which log no line. Of two values with one name the later one stands
/// in the line.
pub(super) struct Fields(JsonFields);

impl Fields {
    pub(super) fn new() -> Self {
        Self(JsonFields::new())
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut more = String::new();
        self.0.format_fields(Writer::new(&mut more), fields)?;
        append(&mut current.fields, &more);
        Ok(())
    }
}

/// The members of one object to those of another, both as they are written without spaces; an empty text is no member.
fn append(object: &mut String, more: &str) {
    let Some(members) = more.strip_prefix('{').filter(|members| *members != "}") else { return };
    if object.pop().is_none() {
        object.push('{');
    } else if object != "{" {
        object.push(',');
    }
    object.push_str(members);
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, pipe},
        sync::Arc,
    };

    use serde_json::{Value, json};
    use tracing::{field, subscriber::with_default};
    use tracing_subscriber::{fmt, layer::SubscriberExt as _, registry};

    use super::*;

    #[test]
    fn what_was_recorded_later_stands_in_the_line() {
        let (written, writer) = pipe().unwrap();
        let lines = fmt::layer().json().fmt_fields(Fields::new()).with_writer(Arc::new(writer));
        with_default(registry().with(lines), || {
            let span = tracing::info_span!("request", id = "a\"}", user = field::Empty, status = field::Empty);
            span.record("user", "ada").record("status", 500).record("status", 201);
            span.in_scope(|| tracing::info!("done"));
        });
        let line = BufReader::new(written).lines().next().unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["span"], json!({ "name": "request", "id": "a\"}", "user": "ada", "status": 201 }));
    }

    #[test]
    fn members_are_appended() {
        for (object, more, both) in [
            (r#"{"a":1}"#, r#"{"b":"}","c":2}"#, r#"{"a":1,"b":"}","c":2}"#),
            ("{}", r#"{"b":2}"#, r#"{"b":2}"#),
            ("", r#"{"b":2}"#, r#"{"b":2}"#),
            (r#"{"a":1}"#, "{}", r#"{"a":1}"#),
        ] {
            let mut text = object.to_owned();
            append(&mut text, more);
            assert_eq!(text, both, "{object} and {more}");
        }
    }
}
