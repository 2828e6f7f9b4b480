//! The mails that were caught, the newest last, up to a limit.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

/// About 7 kB each. A long run of `cargo dev chaos` counts 20,000.
const KEPT: usize = 25_000;

#[derive(Clone, Default)]
pub(super) struct Mailbox {
    mails: Arc<Mutex<VecDeque<Arc<Mail>>>>,
}

pub(super) struct Mail {
    pub(super) content: Content,
    pub(super) received: DateTime<Utc>,
}

/// The library keeps these fields to itself; its serialised form shows them.
#[derive(Deserialize)]
pub(super) struct Content {
    pub(super) id: Uuid,
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    pub(super) envelope_recipients: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

impl Mailbox {
    pub(super) fn keep(&self, mail: &mailcrab::MailMessage) {
        match serde_json::to_value(mail).and_then(serde_json::from_value) {
            Ok(content) => self.push(content),
            Err(error) => eprintln!("a mail cannot be read: {error}"),
        }
    }

    fn push(&self, content: Content) {
        let mut mails = self.lock();
        if mails.len() == KEPT {
            mails.pop_front();
        }
        mails.push_back(Arc::new(Mail { content, received: Utc::now() }));
    }

    /// Newest first.
    pub(super) fn all(&self) -> Vec<Arc<Mail>> {
        self.lock().iter().rev().cloned().collect()
    }

    pub(super) fn to(&self, address: &str) -> Vec<Arc<Mail>> {
        self.all().into_iter().filter(|mail| mail.is_to(address)).collect()
    }

    pub(super) fn find(&self, id: Uuid) -> Option<Arc<Mail>> {
        self.lock().iter().find(|mail| mail.content.id == id).cloned()
    }

    pub(super) fn empty(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Mail>>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn is_to(&self, address: &str) -> bool {
        let named = self.content.to.iter().filter_map(|it| it.email.as_deref());
        let addressed = self.content.envelope_recipients.iter().map(|it| it.trim_matches(['<', '>']));
        named.chain(addressed).any(|it| it.eq_ignore_ascii_case(address))
    }
}
