//! The set-up mail, and who sends it.

use std::{path::Path, sync::Arc, time::Duration};

use lettre::message::Mailbox;
use serde::Deserialize;
use shared::{
    config::{Environment, Setting},
    telemetry::chain,
};
use url::Url;

use super::{
    keycloak::KeycloakSection,
    seconds,
    smtp::{SmtpConfig, SmtpSection},
};
use crate::mailer::template::Templates;

const LINK_LIFESPAN: Duration = Duration::from_hours(12);
/// As long as our provider in Keycloak hands links out for.
const LINK_LIFESPANS: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(30 * 24);

#[derive(Debug, Clone)]
pub struct MailConfig {
    pub via: MailVia,
    /// The client that stands in the link.
    pub client_id: String,
    /// Where the person is led afterwards.
    pub redirect_uri: Url,
    pub link_lifespan: Duration,
    pub deadline: Duration,
    /// No more mails than that, from this process.
    pub per_second: Option<u32>,
}

#[derive(Debug, Clone)]
pub enum MailVia {
    Keycloak {
        /// What the timeouts of the realm's SMTP settings add up to.
        realm_timeout: Duration,
    },
    Smtp(Box<OwnMail>),
}

/// A mail of our own.
#[derive(Debug, Clone)]
pub struct OwnMail {
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub text: MailText,
    pub server: SmtpConfig,
}

/// `MAIL_*`
#[derive(Debug, Default, Deserialize)]
pub struct MailSection {
    via: Option<String>,
    redirect_uri: Option<String>,
    link_lifespan: Option<String>,
    deadline: Option<String>,
    rate: Option<String>,
    realm_timeout: Option<String>,
    from: Option<String>,
    reply_to: Option<String>,
    product: Option<String>,
    templates: Option<String>,
    locale: Option<String>,
}

/// What a mail of our own says, whoever it is from.
#[derive(Debug, Clone)]
pub struct MailText {
    /// What the mail says the account is for.
    pub product: String,
    pub templates: Arc<Templates>,
}

impl MailSection {
    pub const PREFIX: &'static str = "MAIL_";

    pub(super) fn read(environment: &mut Environment) -> Option<MailConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let keycloak: KeycloakSection = environment.section(KeycloakSection::PREFIX);
        let client_id = keycloak.mail_client_id(environment);
        let redirect_uri = environment.required("MAIL_REDIRECT_URI", raw.redirect_uri.clone());
        let link_lifespan = environment.or("MAIL_LINK_LIFESPAN", raw.link_lifespan.clone(), LINK_LIFESPAN);
        let deadline = environment.or("MAIL_DEADLINE", raw.deadline.clone(), seconds(15));
        let per_second = environment.if_set("MAIL_RATE", raw.rate.clone());
        let via = raw.via(environment, link_lifespan.unwrap_or(LINK_LIFESPAN));
        Some(MailConfig {
            via: via?,
            client_id: client_id?,
            redirect_uri: redirect_uri?,
            link_lifespan: link_lifespan?,
            deadline: deadline?,
            per_second: per_second?,
        })
    }

    /// The words alone, and how long the links in them work, for who only wants to see them.
    pub fn preview(environment: &mut Environment) -> Option<(MailText, Duration)> {
        let raw: Self = environment.section(Self::PREFIX);
        let link_lifespan = environment.or("MAIL_LINK_LIFESPAN", raw.link_lifespan, LINK_LIFESPAN);
        let text =
            MailText::read(environment, raw.product, raw.templates, raw.locale, link_lifespan.unwrap_or(LINK_LIFESPAN));
        text.zip(link_lifespan)
    }

    /// What the other way needs is not looked at.
    fn via(self, environment: &mut Environment, link_lifespan: Duration) -> Option<MailVia> {
        match environment.or("MAIL_VIA", self.via.clone(), Via::Keycloak)? {
            Via::Keycloak => {
                let realm_timeout = environment.or("MAIL_REALM_TIMEOUT", self.realm_timeout, seconds(13));
                Some(MailVia::Keycloak { realm_timeout: realm_timeout? })
            }
            Via::Smtp => Some(MailVia::Smtp(Box::new(self.own(environment, link_lifespan)?))),
        }
    }

    fn own(self, environment: &mut Environment, link_lifespan: Duration) -> Option<OwnMail> {
        let from: Option<Sender> = environment.required("MAIL_FROM", self.from);
        let reply_to = environment.if_set::<Sender>("MAIL_REPLY_TO", self.reply_to);
        let text = MailText::read(environment, self.product, self.templates, self.locale, link_lifespan);
        let server = SmtpSection::read(environment);
        Some(OwnMail { from: from?.0, reply_to: reply_to?.map(|sender| sender.0), text: text?, server: server? })
    }
}

impl MailText {
    fn read(
        environment: &mut Environment,
        product: Option<String>,
        templates: Option<String>,
        locale: Option<String>,
        link_lifespan: Duration,
    ) -> Option<Self> {
        let product = environment.or("MAIL_PRODUCT", product, "Usher".to_owned());
        let folder: Option<String> = environment.if_set("MAIL_TEMPLATES", templates)?;
        let locale = environment.or("MAIL_LOCALE", locale, "en".to_owned())?;
        let templates = Templates::load(folder.as_deref().map(Path::new), &locale.to_ascii_lowercase(), link_lifespan);
        let told = |error| environment.fault(format!("MAIL_TEMPLATES or MAIL_LOCALE: {}", chain(&error)));
        let templates = templates.map_or_else(told, Some);
        Some(Self { product: product?, templates: Arc::new(templates?) })
    }
}

impl MailConfig {
    /// The times of the way that was chosen.
    pub(super) fn check(&self, keycloak_timeout: Duration, environment: &mut Environment) {
        let (what, longest) = match &self.via {
            MailVia::Keycloak { realm_timeout } => ("the realm's SMTP timeouts (MAIL_REALM_TIMEOUT)", *realm_timeout),
            MailVia::Smtp(own) => ("KEYCLOAK_TIMEOUT and SMTP_TIMEOUT together", keycloak_timeout + own.server.timeout),
        };
        if longest >= self.deadline {
            environment.fault::<()>(format!("MAIL_DEADLINE must be longer than {what}"));
        }
        if matches!(self.via, MailVia::Smtp(_)) && !LINK_LIFESPANS.contains(&self.link_lifespan) {
            environment.fault::<()>("MAIL_LINK_LIFESPAN must be from 1m to 30d");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Keycloak,
    Smtp,
}

impl Setting for Via {
    const EXPECTED: &'static str = "keycloak or smtp";
    fn parse(raw: &str) -> Option<Self> {
        match raw {
            "keycloak" => Some(Self::Keycloak),
            "smtp" => Some(Self::Smtp),
            _ => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Keycloak => "keycloak".to_owned(),
            Self::Smtp => "smtp".to_owned(),
        }
    }
}

/// Without what would begin another line in a header.
struct Sender(Mailbox);

impl Setting for Sender {
    const EXPECTED: &'static str = "an address such as no-reply@example.org or Example <no-reply@example.org>";
    fn parse(raw: &str) -> Option<Self> {
        let is_plain = !raw.contains(char::is_control);
        raw.parse().ok().filter(|mailbox: &Mailbox| is_plain && mailbox.email.to_string().is_ascii()).map(Self)
    }

    fn written(&self) -> String {
        self.0.to_string()
    }
}
