//! Events as AMQP messages: CloudEvents 1.0 in binary mode (`docs/asyncapi.json`).

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};
use shared::{
    domain::user::UserId,
    event::{OutboxEvent, Subject},
    trace_context::TraceContext,
};

/// Persistent: survives a restart of the broker even where a queue is not replicated.
const PERSISTENT: u8 = 2;

/// The header of a dead letter that says why it is one.
const REASON: &str = "x-usher-reason";

/// The properties and the body of an event, sent in the trace of `sending`.
pub fn encode(event: &OutboxEvent, sending: &TraceContext) -> (BasicProperties, Vec<u8>) {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.event_id.to_string().into())
        .with_type(event.event_type.as_str().into())
        .with_app_id("usher".into())
        .with_timestamp(u64::try_from(event.created_at.timestamp()).unwrap_or_default())
        .with_headers(headers(event, sending));
    (properties, event.data.to_string().into_bytes())
}

fn headers(event: &OutboxEvent, sending: &TraceContext) -> FieldTable {
    let mut headers = FieldTable::default();
    let mut insert = |name: &str, value: String| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    insert("cloudEvents_specversion", "1.0".to_owned());
    insert("cloudEvents_id", event.event_id.to_string());
    insert("cloudEvents_source", "/usher".to_owned());
    insert("cloudEvents_type", event.event_type.clone());
    insert("cloudEvents_subject", event.user_id.to_string());
    insert("cloudEvents_time", event.created_at.to_rfc3339_opts(SecondsFormat::Millis, true));
    // A process that traces nothing passes on what the row was given.
    let trace_context = if sending.is_empty() { &event.trace_context } else { sending };
    for (name, value) in trace_context.headers() {
        insert(name, value.to_owned());
    }
    headers
}

/// What a consumer needs of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Hint {
    pub user_id: UserId,
    pub trace_context: TraceContext,
}

/// Why a message cannot be understood; the reason stands in its dead letter and in the log. So it quotes nothing: a body
/// that is not ours may hold anything.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    #[error("the body has {0} bytes, more than any event of ours")]
    TooLarge(usize),
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    // The parser's own words would quote what it found instead.
    #[error("the body names no user: no userId that is a UUID by line {} column {}", .0.line(), .0.column())]
    NoUser(serde_json::Error),
}

const LARGEST_BODY: usize = 64 * 1024;

/// Takes any version of any event that names a user: a newer api must not fill an older worker's dead queue.
pub fn decode(delivery: &Delivery) -> Result<Hint, Undecodable> {
    if delivery.data.len() > LARGEST_BODY {
        return Err(Undecodable::TooLarge(delivery.data.len()));
    }
    let subject = Subject::from_body(&delivery.data).map_err(undecodable)?;
    Ok(Hint { user_id: subject.user_id, trace_context: trace_context(&delivery.properties) })
}

fn undecodable(error: serde_json::Error) -> Undecodable {
    if error.is_data() { Undecodable::NoUser(error) } else { Undecodable::NotJson(error) }
}

fn trace_context(properties: &BasicProperties) -> TraceContext {
    TraceContext::read(|name| text(properties, name))
}

/// A header that is a text.
fn text<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The properties of a dead letter: those of the original, and why it is one. Without the expiration, as the broker
/// itself does it: the letter must not vanish before somebody has looked at it.
pub fn with_reason(properties: &BasicProperties, reason: &str) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(ShortString::from(REASON), AMQPValue::LongString(reason.into()));
    carried(over(properties, headers), properties.user_id().as_ref(), BasicProperties::with_user_id)
}

/// The properties that a dead letter had before it was one. Without the login of its sender: the broker takes it from
/// nobody else.
pub fn without_reason(letter: &BasicProperties) -> BasicProperties {
    let added = |name: &str| {
        [REASON, "x-death", "x-delivery-count"].contains(&name)
            || ["x-first-death-", "x-last-death-"].iter().any(|prefix| name.starts_with(prefix))
    };
    let headers = letter.headers().clone().unwrap_or_default();
    let kept = headers.inner().iter().filter(|(name, _)| !added(name.as_str()));
    over(letter, kept.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>().into())
}

/// Why a letter is dead: our own words, or the broker's code when its queue dead-lettered it by itself.
pub fn reason(letter: &BasicProperties) -> Option<&str> {
    text(letter, REASON).or_else(|| text(letter, "x-first-death-reason"))
}

/// The type of the event, as the sender has it.
pub fn event_type(properties: &BasicProperties) -> Option<&str> {
    text(properties, "cloudEvents_type").or_else(|| properties.kind().as_ref().map(ShortString::as_str))
}

/// When it happened, as the sender has it.
pub fn happened_at(properties: &BasicProperties) -> Option<DateTime<Utc>> {
    let precise = text(properties, "cloudEvents_time").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    precise
        .map(|time| time.to_utc())
        .or_else(|| DateTime::from_timestamp(i64::try_from((*properties.timestamp())?).ok()?, 0))
}

/// Everything but the headers, which are given, the expiration and the sender.
fn over(properties: &BasicProperties, headers: FieldTable) -> BasicProperties {
    let letter = BasicProperties::default().with_headers(headers).with_delivery_mode(PERSISTENT);
    let letter = carried(letter, properties.content_type().as_ref(), BasicProperties::with_content_type);
    let letter = carried(letter, properties.content_encoding().as_ref(), BasicProperties::with_content_encoding);
    let letter = carried(letter, properties.priority().as_ref(), BasicProperties::with_priority);
    let letter = carried(letter, properties.correlation_id().as_ref(), BasicProperties::with_correlation_id);
    let letter = carried(letter, properties.reply_to().as_ref(), BasicProperties::with_reply_to);
    let letter = carried(letter, properties.message_id().as_ref(), BasicProperties::with_message_id);
    let letter = carried(letter, properties.timestamp().as_ref(), BasicProperties::with_timestamp);
    let letter = carried(letter, properties.kind().as_ref(), BasicProperties::with_type);
    carried(letter, properties.app_id().as_ref(), BasicProperties::with_app_id)
}

fn carried<T: Clone>(
    to: BasicProperties,
    value: Option<&T>,
    with: impl FnOnce(BasicProperties, T) -> BasicProperties,
) -> BasicProperties {
    match value {
        Some(value) => with(to, value.clone()),
        None => to,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn delivery(properties: BasicProperties, body: Vec<u8>) -> Delivery {
        let mut delivery = Delivery::mock(1, "usher.events".into(), "user.created".into(), false, body);
        delivery.properties = properties;
        delivery
    }

    fn traceparent(text: &'static str) -> TraceContext {
        TraceContext::read(|name| (name == "traceparent").then_some(text))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let user_id = UserId::generate();
        let row = traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let sending = traceparent("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        let event = OutboxEvent {
            event_id: Uuid::now_v7(),
            event_type: "user.created".to_owned(),
            user_id,
            data: shared::event::about(user_id),
            trace_context: row.clone(),
            created_at: DateTime::UNIX_EPOCH,
            tries: 0,
        };
        for (sending, trace_context) in [(&sending, &sending), (&TraceContext::default(), &row)] {
            let (properties, body) = encode(&event, sending);
            let hint = decode(&delivery(properties, body)).unwrap();
            assert_eq!(hint, Hint { user_id, trace_context: trace_context.clone() });
        }
    }

    #[test]
    fn what_names_no_user_is_undecodable() {
        let reason =
            |body: &[u8]| decode(&delivery(BasicProperties::default(), body.to_vec())).unwrap_err().to_string();
        for body in [&b""[..], b"\xff\xfe", b"ada@example.org", b"\"ada"] {
            assert!(reason(body).starts_with("the body is not JSON: "), "{}", reason(body));
        }
        for body in ["{}", "[]", "\"ada@example.org\"", r#"{"userId":"ada@example.org"}"#, r#"{"userId":42}"#] {
            assert!(reason(body.as_bytes()).contains("no userId"), "{}", reason(body.as_bytes()));
            assert!(!reason(body.as_bytes()).contains("ada") && !reason(body.as_bytes()).contains("42"));
        }
        let large = delivery(BasicProperties::default(), vec![b' '; LARGEST_BODY + 1]);
        assert!(matches!(decode(&large), Err(Undecodable::TooLarge(_))));
    }
}
