//! The mail catcher of the stack, where the shared realm sends its mail.

use serde::Deserialize;

use super::{http, mailbox::Mail, stack::Stack};

/// Mailpit's API, or what speaks like it.
pub struct MailCatcher {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Listing {
    messages: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(rename = "ID")]
    id: String,
    to: Vec<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    subject: String,
    text: String,
    #[serde(rename = "HTML")]
    html: String,
    to: Vec<Address>,
}

impl MailCatcher {
    pub fn shared() -> Self {
        Self { http: http::client(), url: Stack::get().mail_url.trim_end_matches('/').to_owned() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// In the order in which they came.
    pub async fn mails_to(&self, address: &str) -> Vec<Mail> {
        let listing: Listing = self.get("messages?limit=1000").await;
        let is_to = |listed: &Listed| listed.to.iter().any(|to| to.address.eq_ignore_ascii_case(address));
        let mut mails = Vec::new();
        // Listed newest first.
        for listed in listing.messages.into_iter().rev().filter(is_to) {
            mails.push(mail_of(self.get(&format!("message/{}", listed.id)).await));
        }
        mails
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.http.get(format!("{}/api/v1/{path}", self.url)).send().await;
        let answer =
            answer.unwrap_or_else(|error| panic!("no mail catcher at MAIL_URL: {error}; run `cargo dev test`"));
        answer.error_for_status().expect("a message that is listed is there").json().await.expect("Mailpit's JSON")
    }
}

fn mail_of(content: Content) -> Mail {
    Mail {
        subject: content.subject,
        text: content.text,
        html: content.html,
        headers: std::collections::HashMap::new(),
        recipients: content.to.into_iter().map(|to| to.address).collect(),
    }
}
