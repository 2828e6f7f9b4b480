//! What is spoken on one connection. Every step has the same deadline, and tells which step it was when it fails.

use std::future::Future;

use lettre::{
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt, Rset},
    },
};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout_at};

use super::{
    error::{SmtpError, Step},
    line_by_line::LineByLine,
};
use crate::config::smtp::{SmtpConfig, SmtpTls};

/// One conversation, which may go on with another mail.
pub(super) struct Session(AsyncSmtpConnection);

impl Session {
    pub(super) async fn open(
        config: &SmtpConfig,
        tls: Option<&TlsParameters>,
        deadline: Instant,
    ) -> Result<Self, SmtpError> {
        let hello = &config.ehlo_name;
        let server = (config.host.as_str(), config.port);
        let mut connection = if let Some(tls) = tls.filter(|_| config.tls == SmtpTls::Implicit) {
            let connecting = AsyncSmtpConnection::connect_tokio1(server, None, hello, Some(tls.clone()), None);
            by(deadline, Step::Connect, connecting).await?
        } else {
            let line = Box::new(by(deadline, Step::Connect, LineByLine::connect(server)).await?);
            by(deadline, Step::Connect, AsyncSmtpConnection::connect_with_transport(line, hello)).await?
        };
        if let Some(tls) = tls.filter(|_| config.tls == SmtpTls::StartTls) {
            if !connection.can_starttls() {
                return Err(SmtpError::Lacking { what: "STARTTLS (SMTP_TLS)" });
            }
            by(deadline, Step::Connect, connection.starttls(tls.clone(), hello)).await?;
        }
        if let Some(login) = &config.login {
            let login = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
            by(deadline, Step::LogIn, connection.auth(DEFAULT_MECHANISMS, &login)).await?;
        }
        Ok(Self(connection))
    }

    /// Hands over one mail, which is ASCII throughout.
    pub(super) async fn deliver(
        &mut self,
        envelope: &Envelope,
        mail: &[u8],
        deadline: Instant,
    ) -> Result<(), SmtpError> {
        let sender = Mail::new(envelope.from().cloned(), vec![]);
        by(deadline, Step::Sender, self.0.command(sender)).await?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), vec![]);
            by(deadline, Step::Recipient, self.0.command(recipient)).await?;
        }
        by(deadline, Step::Recipient, self.0.command(Data)).await?;
        by(deadline, Step::Content, self.0.message(mail)).await.map(drop)
    }

    /// Goodbye, which the server may take as it likes.
    pub(super) async fn quit(mut self, deadline: Instant) {
        timeout_at(deadline, self.0.quit()).await.ok();
    }

    /// Forgets a mail that was refused. Says whether another one may follow.
    pub(super) async fn reset(&mut self, deadline: Instant) -> bool {
        by(deadline, Step::Sender, self.0.command(Rset)).await.is_ok()
    }
}

async fn by<T, E>(deadline: Instant, step: Step, doing: impl Future<Output = Result<T, E>>) -> Result<T, SmtpError>
where
    SmtpError: From<(Step, E)>,
{
    match timeout_at(deadline, doing).await {
        Ok(done) => done.map_err(|error| (step, error).into()),
        Err(_) => Err(SmtpError::Silent { step }),
    }
}
