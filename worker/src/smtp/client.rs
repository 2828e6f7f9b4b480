//! Sends mails to one server, over connections that are kept for the next one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        self,
        client::{CertificateStore, TlsParameters},
    },
};
use tokio::time::Instant;
use tracing::{Span, field};

use super::{error::SmtpError, session::Session};
use crate::config::smtp::{SmtpConfig, SmtpTls};

/// How long an idle connection is worth keeping: servers close it after some minutes.
const KEPT: Duration = Duration::from_mins(1);

pub struct SmtpClient {
    config: SmtpConfig,
    tls: Option<TlsParameters>,
    /// The one used last is last: under less load the others grow old.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    session: Session,
    since: Instant,
}

impl SmtpClient {
    /// Connects to nothing yet.
    pub fn new(config: SmtpConfig) -> Result<Self, smtp::Error> {
        let tls = (config.tls != SmtpTls::None).then(|| tls(&config)).transpose()?;
        Ok(Self { config, tls, idle: Mutex::default() })
    }

    /// Success says that the server took the mail. All of it together has the time of one `SMTP_TIMEOUT`.
    #[tracing::instrument(skip_all, name = "smtp", fields(
        otel.name = "hand the mail over", otel.kind = "client", otel.status_code = field::Empty,
        server.address = self.config.host, server.port = self.config.port,
    ))]
    pub async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), SmtpError> {
        let sent = self.send_by(envelope, mail, Instant::now() + self.config.timeout).await;
        if sent.is_err() {
            Span::current().record("otel.status_code", "ERROR");
        }
        sent
    }

    /// Says hello as before a mail, with TLS and login, and sends none.
    pub async fn greet(&self) -> Result<(), SmtpError> {
        let deadline = Instant::now() + self.config.timeout;
        let session = Session::open(&self.config, self.tls.as_ref(), deadline).await?;
        session.quit(deadline).await;
        Ok(())
    }

    async fn send_by(&self, envelope: &Envelope, mail: &[u8], deadline: Instant) -> Result<(), SmtpError> {
        if let Some(session) = self.take_idle() {
            match self.send_on(session, envelope, mail, deadline).await {
                // Closed while it was idle, which shows only now.
                Err(error) if error.is_stale() => {}
                done => return done,
            }
        }
        let session = Session::open(&self.config, self.tls.as_ref(), deadline).await?;
        self.send_on(session, envelope, mail, deadline).await
    }

    async fn send_on(
        &self,
        mut session: Session,
        envelope: &Envelope,
        mail: &[u8],
        deadline: Instant,
    ) -> Result<(), SmtpError> {
        let sent = session.deliver(envelope, mail, deadline).await;
        let usable = match &sent {
            Ok(()) => true,
            Err(error) => error.leaves_the_session_usable() && session.reset(deadline).await,
        };
        if usable {
            self.idle().push(Idle { session, since: Instant::now() });
        }
        sent
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < KEPT);
        idle.pop().map(|idle| idle.session)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With authorities of its own (`SMTP_CA_FILE`) it trusts no others.
fn tls(config: &SmtpConfig) -> Result<TlsParameters, smtp::Error> {
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(authority) = &config.authority {
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authority.clone());
    }
    tls.build()
}
