//! A mail server of the test's own, which can be down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mailcrab::MailMessage;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    sync::broadcast::{self, Receiver},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{eventually::eventually, reserved_port::ReservedPort};

#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
    pub headers: HashMap<String, String>,
    /// Whom the sender's server named, which need not be who stands in the header.
    #[serde(rename = "envelope_recipients")]
    pub recipients: Vec<String>,
}

impl Mail {
    pub fn is_to(&self, address: &str) -> bool {
        self.recipients.iter().any(|recipient| recipient.trim_matches(['<', '>']).eq_ignore_ascii_case(address))
    }

    /// The first link in the text.
    pub fn link(&self) -> &str {
        let start = self.text.find("http").expect("the mail has a link");
        self.text[start..].split(char::is_whitespace).next().expect("a link ends somewhere")
    }
}

/// It keeps its port while it is down: connections are refused, and it comes up, or back, at the same address.
pub struct Mailbox {
    port: ReservedPort,
    mails: Arc<Mutex<Vec<Mail>>>,
    stop: CancellationToken,
    servers: JoinSet<()>,
    keepers: JoinSet<()>,
}

impl Mailbox {
    pub async fn start() -> Self {
        let mut mailbox = Self::down();
        mailbox.come_up().await;
        mailbox
    }

    pub fn down() -> Self {
        Self {
            port: ReservedPort::new(),
            mails: Arc::default(),
            stop: CancellationToken::new(),
            servers: JoinSet::new(),
            keepers: JoinSet::new(),
        }
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub async fn come_up(&mut self) {
        let (sender, receiver) = broadcast::channel(1024);
        let server = mailcrab::mail_server([127, 0, 0, 1].into(), self.port(), sender, false, self.stop.clone());
        self.servers.spawn(async move { server.await.expect("a mail server") });
        self.keepers.spawn(keep(receiver, Arc::clone(&self.mails)));
        let address = self.port.address();
        eventually("the mail server answers", Duration::from_secs(5), || TcpStream::connect(address)).await;
    }

    /// Takes no more connections. Open ones live on: behind a client that keeps them, put a proxy and cut it.
    pub async fn go_down(&mut self) {
        self.stop.cancel();
        while self.servers.join_next().await.is_some() {}
        self.stop = CancellationToken::new();
    }

    /// In the order in which they came; what the mail server said yes to is here.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.is_to(address)).collect()
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn keep(mut incoming: Receiver<MailMessage>, mails: Arc<Mutex<Vec<Mail>>>) {
    while let Ok(message) = incoming.recv().await {
        // The fields are private; its JSON is not.
        let mail = serde_json::to_value(&message).and_then(serde_json::from_value).expect("a mail has all its fields");
        mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SESSION: &[u8] = b"HELO test\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<Anna@example.test>\r\nDATA\r\n\
        From: a@example.test\r\nTo: Anna@example.test\r\nSubject: Hello\r\n\r\nhttp://example.test/link to follow\r\n\
        .\r\nQUIT\r\n";

    async fn send(port: u16) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the mail server answers");
        stream.write_all(SESSION).await.expect("a session can be sent");
        let mut said = String::new();
        stream.read_to_string(&mut said).await.expect("the mail server hangs up");
        assert!(said.contains("queued as"), "{said}");
    }

    #[tokio::test]
    async fn it_is_down_up_and_down_at_one_port() {
        let mut mailbox = Mailbox::down();
        let address = ("127.0.0.1", mailbox.port());
        TcpStream::connect(address).await.expect_err("nobody is there yet");

        mailbox.come_up().await;
        send(mailbox.port()).await;
        let mails = eventually("the mail is kept", Duration::from_secs(5), async || {
            Some(mailbox.mails_to("anna@example.test")).filter(|mails| !mails.is_empty())
        });
        assert_eq!(mails.await[0].link(), "http://example.test/link");

        mailbox.go_down().await;
        TcpStream::connect(address).await.expect_err("nobody is there any more");
        mailbox.come_up().await;
        send(mailbox.port()).await;
    }
}
