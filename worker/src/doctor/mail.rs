//! The way of the mail: its words, the links, and the mail server where it is ours. No mail is sent.

use lettre::transport::smtp;

use super::finding::{Finding, Findings};
use crate::{
    config::mail::{MailConfig, MailVia, OwnMail},
    keycloak::{client::KeycloakClient, error::KeycloakError},
    smtp::{
        client::SmtpClient,
        error::{SmtpError, Step},
    },
};

/// The error is about the certificates that we have.
pub(super) async fn examine(keycloak: &KeycloakClient, config: &MailConfig) -> Result<Vec<Finding>, smtp::Error> {
    let mut findings = Findings::of("mail");
    match &config.via {
        MailVia::Keycloak { .. } => findings.ok(
            "mail server",
            "it is the realm's (MAIL_VIA=keycloak), which only a mail can try: Realm settings, Email, Test connection",
        ),
        MailVia::Smtp(own) => {
            // They were read and filled in with the rest of the configuration.
            findings.ok("templates", "all can be filled in");
            links(keycloak, &mut findings).await;
            server(own, &mut findings).await?;
        }
    }
    Ok(findings.all())
}

async fn links(keycloak: &KeycloakClient, findings: &mut Findings) {
    let check = "links of our own mails";
    match keycloak.hands_out_links().await {
        Ok(()) => findings.ok(check, "Keycloak hands them out"),
        Err(error @ KeycloakError::ProviderMissing { .. }) => {
            findings.failed(check, &error, "install the provider (deploy/keycloak/action-link/README.md)");
        }
        Err(error) => findings.failed(check, &error, "mend what is said about keycloak first"),
    }
}

async fn server(own: &OwnMail, findings: &mut Findings) -> Result<(), smtp::Error> {
    let check = format!("mail server {}:{}", own.server.host, own.server.port);
    match SmtpClient::new(own.server.clone())?.greet().await {
        Ok(()) => findings.ok(check, greeted(own)),
        Err(error) => findings.failed(check, &error, remedy(&error)),
    }
    Ok(())
}

fn greeted(own: &OwnMail) -> String {
    let login = if own.server.login.is_some() { "logged in" } else { "without a login" };
    format!("answers, TLS: {}, {login}; whether it takes MAIL_FROM shows with a mail", own.server.tls)
}

fn remedy(error: &SmtpError) -> &'static str {
    match error {
        SmtpError::Lacking { what } if what.contains("STARTTLS") => {
            "have the server offer STARTTLS, or set SMTP_TLS=implicit with its port for that, mostly 465"
        }
        SmtpError::Lacking { .. } => "have the server offer a login by PLAIN or LOGIN, or log in to another one",
        SmtpError::Rejected { step: Step::LogIn, .. } => "mend EMAIL_USER and EMAIL_PASSWORD",
        SmtpError::Unreachable { .. } | SmtpError::Silent { .. } | SmtpError::Unreadable { .. } => {
            "start the mail server, or mend SMTP_HOST, SMTP_PORT, SMTP_TLS and SMTP_CA_FILE: a wrong way of TLS and an \
             unknown authority end the connection too"
        }
        _ => "ask the mail server's owner; its log says why it refuses us",
    }
}
