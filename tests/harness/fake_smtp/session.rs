//! One conversation, as RFC 5321 has it.

use std::{future::pending, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{Fault, Security, Service, Step, Taken, locked, tls::Identity};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Session<'a> {
    stream: BufReader<Box<dyn Stream>>,
    service: &'a Service,
    is_secured: bool,
    is_logged_in: bool,
    from: String,
    to: String,
}

/// What follows an answer.
enum Next {
    Command,
    Tls,
    End,
}

impl<'a> Session<'a> {
    /// To its end, which may be the client's doing.
    pub(super) async fn hold(stream: TcpStream, service: &'a Service, identity: Option<&Identity>) -> io::Result<()> {
        let implicit = identity.filter(|_| service.security == Security::Implicit);
        let stream: Box<dyn Stream> = match implicit {
            Some(identity) => Box::new(identity.acceptor.accept(stream).await?),
            None => Box::new(stream),
        };
        let mut session = Self::on(stream, service, implicit.is_some());
        session.answer(Step::Greeting, "220 fake ready").await?;
        while matches!(session.command().await?, Next::Tls) {
            let (identity, plain) = (identity.expect("TLS was offered"), session.stream.into_inner());
            session = Self::on(Box::new(identity.acceptor.accept(plain).await?), service, true);
        }
        Ok(())
    }

    fn on(stream: Box<dyn Stream>, service: &'a Service, is_secured: bool) -> Self {
        let stream = BufReader::new(stream);
        let is_logged_in = service.login.is_none();
        Self { stream, service, is_secured, is_logged_in, from: String::new(), to: String::new() }
    }

    /// Answers commands until something else follows.
    async fn command(&mut self) -> io::Result<Next> {
        loop {
            let line = self.line().await?;
            locked(&self.service.heard).push(line.clone());
            let next = match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
                "EHLO" | "HELO" => self.greet().await?,
                "STARTTLS" => self.begin_tls().await?,
                "AUTH" => self.log_in(&line).await?,
                "MAIL" => self.sender(&line).await?,
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.content().await?,
                "RSET" | "NOOP" => self.say("250 ok").await.map(|()| Next::Command)?,
                "QUIT" => self.say("221 bye").await.map(|()| Next::End)?,
                _ => self.say("500 what?").await.map(|()| Next::Command)?,
            };
            if !matches!(next, Next::Command) {
                return Ok(next);
            }
        }
    }

    async fn greet(&mut self) -> io::Result<Next> {
        let mut offers = vec!["fake"];
        if self.service.security == Security::StartTls && !self.is_secured {
            offers.push("STARTTLS");
        }
        if self.service.login.is_some() {
            offers.push("AUTH PLAIN LOGIN");
        }
        for offer in offers {
            self.say(&format!("250-{offer}")).await?;
        }
        self.say("250 ENHANCEDSTATUSCODES").await.map(|()| Next::Command)
    }

    async fn begin_tls(&mut self) -> io::Result<Next> {
        match self.fault(Step::StartTls) {
            None => self.say("220 go ahead").await?,
            Some(Fault::Answer(other)) if other.starts_with("220") => self.say(other).await?,
            fault => return self.answer_or_fail(fault, "").await,
        }
        Ok(Next::Tls)
    }

    async fn log_in(&mut self, line: &str) -> io::Result<Next> {
        let expected = self.service.login.as_ref().map(|(user, password)| format!("\0{user}\0{password}"));
        let given = line.split(' ').nth(2).and_then(|text| STANDARD.decode(text).ok());
        self.is_logged_in = expected.is_some_and(|expected| given == Some(expected.into_bytes()));
        let answer = if self.is_logged_in { "235 2.7.0 welcome" } else { "535 5.7.8 wrong user or password" };
        self.answer(Step::Login, answer).await
    }

    async fn sender(&mut self, line: &str) -> io::Result<Next> {
        if !self.is_logged_in {
            return self.answer(Step::Sender, "530 5.7.0 log in first").await;
        }
        self.from = address_in(line);
        self.answer(Step::Sender, "250 2.1.0 ok").await
    }

    async fn recipient(&mut self, line: &str) -> io::Result<Next> {
        self.to = address_in(line);
        self.answer(Step::Recipient, "250 2.1.5 ok").await
    }

    async fn content(&mut self) -> io::Result<Next> {
        if let Some(fault) = self.fault(Step::Data) {
            return self.answer_or_fail(Some(fault), "").await;
        }
        self.say("354 go on").await?;
        let mut content = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push_str("\r\n");
        }
        let fault = self.fault(Step::Content);
        if matches!(fault, None | Some(Fault::HangUpAfterEffect)) {
            let taken = Taken { from: self.from.clone(), to: self.to.clone(), content };
            locked(&self.service.taken).push(taken);
        }
        self.answer_or_fail(fault, "250 2.0.0 taken").await
    }

    async fn answer(&mut self, step: Step, answer: &str) -> io::Result<Next> {
        let fault = self.fault(step);
        self.answer_or_fail(fault, answer).await
    }

    async fn answer_or_fail(&mut self, fault: Option<Fault>, answer: &str) -> io::Result<Next> {
        match fault {
            None => self.say(answer).await?,
            Some(Fault::Answer(other)) => {
                self.say(other).await?;
                // Who says so has closed (RFC 5321, section 3.8).
                return Ok(if other.starts_with("421") { Next::End } else { Next::Command });
            }
            Some(Fault::Silence) => pending().await,
            Some(Fault::HangUp | Fault::HangUpAfterEffect) => return Ok(Next::End),
        }
        Ok(Next::Command)
    }

    fn fault(&self, step: Step) -> Option<Fault> {
        self.service.faults().meet(step, &self.to)
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.get_mut().flush().await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Whoever takes a bare LF for the end of a line can be sold two mails for one.
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::InvalidData)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

/// Between the angle brackets.
fn address_in(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
