//! The part of Mailpit's API that tests and people use, with its names.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::mailbox::{Address, Mail, Mailbox};

const SNIPPET: usize = 120;

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    start: usize,
    #[serde(default = "page_size")]
    limit: usize,
    #[serde(default)]
    query: String,
}

fn page_size() -> usize {
    50
}

pub(super) async fn list(State(mailbox): State<Mailbox>, Query(page): Query<Page>) -> Json<Value> {
    let mails = mailbox.all();
    Json(answer(mails.len(), &mails, &page))
}

/// Knows `to:ADDRESS`, nothing else.
pub(super) async fn search(
    State(mailbox): State<Mailbox>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, (StatusCode, &'static str)> {
    let query = page.query.trim();
    let address =
        query.strip_prefix("to:").ok_or((StatusCode::BAD_REQUEST, "this catcher searches for to:ADDRESS only"))?;
    let mails = mailbox.to(address.trim_matches('"'));
    Ok(Json(answer(mailbox.all().len(), &mails, &page)))
}

pub(super) async fn message(State(mailbox): State<Mailbox>, Path(id): Path<Uuid>) -> Result<Json<Value>, StatusCode> {
    let mail = mailbox.find(id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({
        "ID": mail.content.id,
        "From": address(&mail.content.from),
        "To": mail.content.to.iter().map(address).collect::<Vec<_>>(),
        "Subject": mail.content.subject,
        "Text": mail.content.text,
        "HTML": mail.content.html,
        "Date": mail.received,
    })))
}

pub(super) async fn empty(State(mailbox): State<Mailbox>) -> &'static str {
    mailbox.empty();
    "ok"
}

fn answer(total: usize, found: &[std::sync::Arc<Mail>], page: &Page) -> Value {
    let messages: Vec<Value> = found.iter().skip(page.start).take(page.limit).map(|mail| summary(mail)).collect();
    json!({
        "total": total,
        "messages_count": found.len(),
        "count": messages.len(),
        "start": page.start,
        "messages": messages,
    })
}

fn summary(mail: &Mail) -> Value {
    let words: String = mail.content.text.split_whitespace().collect::<Vec<_>>().join(" ");
    json!({
        "ID": mail.content.id,
        "From": address(&mail.content.from),
        "To": mail.content.to.iter().map(address).collect::<Vec<_>>(),
        "Subject": mail.content.subject,
        "Created": mail.received,
        "Snippet": words.chars().take(SNIPPET).collect::<String>(),
    })
}

fn address(address: &Address) -> Value {
    json!({ "Name": address.name.as_deref().unwrap_or_default(), "Address": address.email.as_deref().unwrap_or_default() })
}
