//! A mail server that takes every mail and keeps none: a catcher with a page costs more than all that is measured.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Ends when dropped.
pub(crate) struct MailSink {
    pub(crate) port: u16,
    taken: Arc<Taken>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Taken {
    /// When, by address.
    mails: Mutex<HashMap<String, Instant>>,
    changed: Notify,
}

impl MailSink {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, taken) = (listener.local_addr()?.port(), Arc::new(Taken::default()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&taken)));
        Ok(Self { port, taken, _server: server })
    }

    /// When the mail to `address` was accepted, as soon as it is.
    pub(crate) async fn mail_to(&self, address: &str, within: Duration) -> Result<Instant> {
        self.until(within, |mails| mails.get(address).copied()).await
    }

    /// When the mail was accepted that is the `number`th, as soon as it is.
    pub(crate) async fn nth(&self, number: usize, within: Duration) -> Result<Instant> {
        let nth = |mails: &HashMap<String, Instant>| {
            let mut times: Vec<Instant> = mails.values().copied().collect();
            times.sort_unstable();
            times.get(number.checked_sub(1)?).copied()
        };
        self.until(within, nth).await
    }

    pub(crate) fn forget(&self) {
        self.taken.locked().clear();
    }

    async fn until<T>(&self, within: Duration, found: impl Fn(&HashMap<String, Instant>) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let changed = self.taken.changed.notified();
            if let Some(value) = found(&self.taken.locked()) {
                return Ok(value);
            }
            ensure!(timeout_at(deadline, changed).await.is_ok(), "a mail did not come within {within:?}");
        }
    }
}

impl Taken {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, taken: Arc<Taken>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let taken = Arc::clone(&taken);
        sessions.spawn(async move { drop(session(stream, &taken).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn session(stream: TcpStream, taken: &Taken) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut lines, mut out) = {
        let (read, write) = stream.into_split();
        (BufReader::new(read).lines(), write)
    };
    let (mut recipient, mut in_mail) = (String::new(), false);
    out.write_all(b"220 sink\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            _ if in_mail && line != "." => continue,
            _ if in_mail => {
                in_mail = false;
                taken.locked().insert(std::mem::take(&mut recipient), Instant::now());
                taken.changed.notify_waiters();
                b"250 taken\r\n"
            }
            Some("RCPT") => {
                recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                b"250 ok\r\n"
            }
            Some("DATA") => {
                in_mail = true;
                b"354 go on\r\n"
            }
            Some("QUIT") => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        out.write_all(answer).await?;
    }
    Ok(())
}
