//! The mail catcher's part, by Mailpit's API.

use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Listing {
    messages: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    to: Vec<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    address: String,
}

/// One entry for each mail to an address that begins with `prefix`.
pub(super) async fn recipients(mail_url: &str, prefix: &str) -> Result<Vec<String>> {
    let url = format!("{}/api/v1/messages?limit=1000000", mail_url.trim_end_matches('/'));
    let answer = reqwest::get(url).await.context("reach the mail catcher")?.error_for_status()?;
    let listing: Listing = answer.json().await.context("read the mails")?;
    let recipients = listing.messages.into_iter().flat_map(|mail| mail.to).map(|to| to.address.to_lowercase());
    Ok(recipients.filter(|recipient| recipient.starts_with(prefix)).collect())
}
