//! `.dev/env`: every address and login of the stack, for the tests, for people (`set -a; . .dev/env`) and for the two
//! binaries themselves. No value needs quoting.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{
    services::{keycloak, mail, postgres, rabbitmq, usher},
    stack::Stack,
};

pub(crate) fn write(stack: &Stack) -> Result<()> {
    let lines: Vec<String> = variables(stack).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(stack.state.join("env"), lines.concat()).context("cannot write .dev/env")
}

pub(crate) fn variables(stack: &Stack) -> Vec<(&'static str, String)> {
    vec![
        ("USHER_ENV", "development".into()),
        ("DATABASE_URL", postgres::url(stack, "usher")),
        ("AMQP_URL", rabbitmq::amqp_url(stack)),
        ("RABBITMQ_MANAGEMENT_URL", rabbitmq::management_url(stack)),
        ("KEYCLOAK_URL", keycloak::url(stack)),
        ("KEYCLOAK_REALM", "usher".into()),
        ("KEYCLOAK_CLIENT_ID", "usher-app".into()),
        ("KEYCLOAK_CLIENT_SECRET", "usher-app-secret".into()),
        ("KEYCLOAK_ADMIN_CLIENT_ID", "usher-provisioner".into()),
        ("KEYCLOAK_ADMIN_CLIENT_SECRET", "usher-provisioner-secret".into()),
        ("KEYCLOAK_ADMIN", keycloak::ADMINISTRATOR.into()),
        ("KEYCLOAK_ADMIN_PASSWORD", keycloak::ADMINISTRATOR_PASSWORD.into()),
        ("SMTP_HOST", "127.0.0.1".into()),
        ("SMTP_PORT", stack.ports.smtp.to_string()),
        ("MAIL_URL", mail::url(stack)),
        ("MAIL_REDIRECT_URI", format!("{}/docs/", usher::api_url(stack))),
        ("API_URL", usher::api_url(stack)),
        ("API_OPS_URL", format!("http://127.0.0.1:{}", stack.ports.api_ops)),
    ]
}
