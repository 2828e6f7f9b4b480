//! The mail server that the worker itself sends through.

use std::{fmt, fs, net::IpAddr, time::Duration};

use lettre::transport::smtp::{client::Certificate, extension::ClientId};
use secrecy::SecretString;
use serde::Deserialize;
use shared::config::{Environment, Setting};

use super::seconds;

#[derive(Debug, Clone)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    /// What we call ourselves, which some servers look up.
    pub ehlo_name: ClientId,
    pub tls: SmtpTls,
    /// Trusted instead of the system's authorities.
    pub authority: Option<Certificate>,
    pub login: Option<SmtpLogin>,
    /// For one mail, from the connection to the last answer.
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct SmtpLogin {
    pub user: String,
    pub password: SecretString,
}

/// How what is sent is kept from those on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte, as on port 465.
    Implicit,
    /// By STARTTLS, and not without.
    StartTls,
    /// Everybody on the way can read the links.
    None,
}

impl fmt::Display for SmtpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::None => "none",
        })
    }
}

/// What `SMTP_TLS` can say: without TLS only within this machine, unless it is said more loudly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Implicit,
    StartTls,
    NoneOnLoopback,
    NoneAnywhere,
}

impl Setting for Said {
    const EXPECTED: &'static str = "implicit, starttls, none or none-beyond-loopback";
    fn parse(raw: &str) -> Option<Self> {
        match raw {
            "implicit" => Some(Self::Implicit),
            "starttls" => Some(Self::StartTls),
            "none" => Some(Self::NoneOnLoopback),
            "none-beyond-loopback" => Some(Self::NoneAnywhere),
            _ => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Implicit => "implicit".to_owned(),
            Self::StartTls => "starttls".to_owned(),
            Self::NoneOnLoopback => "none".to_owned(),
            Self::NoneAnywhere => "none-beyond-loopback".to_owned(),
        }
    }
}

/// This machine's name by default.
struct EhloName(ClientId);

impl Setting for EhloName {
    const EXPECTED: &'static str = "a domain name such as worker.example.org";
    fn parse(raw: &str) -> Option<Self> {
        let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        raw.split('.').all(is_label).then(|| Self(ClientId::Domain(raw.to_owned())))
    }

    fn written(&self) -> String {
        self.0.to_string()
    }
}

/// `SMTP_*`
#[derive(Debug, Default, Deserialize)]
pub struct SmtpSection {
    host: Option<String>,
    port: Option<String>,
    ehlo_name: Option<String>,
    tls: Option<String>,
    ca_file: Option<String>,
    timeout: Option<String>,
}

/// `EMAIL_*`: the login.
#[derive(Debug, Default, Deserialize)]
pub struct EmailSection {
    user: Option<String>,
    password: Option<String>,
}

impl SmtpSection {
    pub const PREFIX: &'static str = "SMTP_";

    pub(super) fn read(environment: &mut Environment) -> Option<SmtpConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let host: Option<String> = environment.required("SMTP_HOST", raw.host);
        let port = environment.or("SMTP_PORT", raw.port, 587);
        let ehlo_name = environment.or_derived(
            "SMTP_EHLO_NAME",
            raw.ehlo_name,
            EhloName(ClientId::default()),
            "this machine's name",
        );
        let said = environment.or("SMTP_TLS", raw.tls, Said::StartTls);
        let tls = said.zip(host.as_deref()).and_then(|(said, host)| tls(environment, said, host));
        let authority = environment.if_set::<Authority>("SMTP_CA_FILE", raw.ca_file);
        let timeout = environment.or("SMTP_TIMEOUT", raw.timeout, seconds(8));
        let login = EmailSection::read(environment);
        Some(SmtpConfig {
            host: host?,
            port: port?,
            ehlo_name: ehlo_name?.0,
            tls: tls?,
            authority: authority?.map(|authority| authority.certificate),
            login: login?,
            timeout: timeout?,
        })
    }
}

impl EmailSection {
    pub const PREFIX: &'static str = "EMAIL_";

    /// Both or none; `None` is a fault.
    #[expect(clippy::option_option, reason = "a login may be absent, and reading it may fail")]
    fn read(environment: &mut Environment) -> Option<Option<SmtpLogin>> {
        let raw: Self = environment.section(Self::PREFIX);
        let password = environment.secret_if_set("EMAIL_PASSWORD", "a text", raw.password)?;
        let user = environment.if_set("EMAIL_USER", raw.user)?;
        match (user, password) {
            (Some(user), Some(password)) => Some(Some(SmtpLogin { user, password })),
            (None, None) => Some(None),
            _ => environment.fault("EMAIL_USER and EMAIL_PASSWORD are only of use together"),
        }
    }
}

fn tls(environment: &mut Environment, said: Said, host: &str) -> Option<SmtpTls> {
    match said {
        Said::Implicit => Some(SmtpTls::Implicit),
        Said::StartTls => Some(SmtpTls::StartTls),
        Said::NoneAnywhere => Some(SmtpTls::None),
        Said::NoneOnLoopback if is_loopback(host) => Some(SmtpTls::None),
        Said::NoneOnLoopback => environment.fault(
            "SMTP_TLS=none is for a mail server on this machine: elsewhere everybody on the way could read the links \
             (none-beyond-loopback allows it)",
        ),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whom to trust, and where that stands.
struct Authority {
    path: String,
    certificate: Certificate,
}

impl Setting for Authority {
    const EXPECTED: &'static str = "a file with certificates (PEM)";

    fn parse(raw: &str) -> Option<Self> {
        let pem = fs::read_to_string(raw).ok().filter(|pem| pem.contains("BEGIN CERTIFICATE"))?;
        let certificate = Certificate::from_pem(pem.as_bytes()).ok()?;
        Some(Self { path: raw.to_owned(), certificate })
    }

    fn written(&self) -> String {
        self.path.clone()
    }
}
