//! `.dev/env`: every address and login of the stack, for the tests, for people (`set -a; . .dev/env`) and for the two
//! binaries themselves. Nothing but the path of a checkout can need quotes.

use std::fs;

use anyhow::{Context as _, Result};

use crate::{addresses, conformance_tool, prometheus_tool, stack::Stack};

pub(crate) fn write(stack: &Stack) -> Result<()> {
    let lines: Vec<String> = variables(stack).iter().map(|(name, value)| line(name, value)).collect();
    fs::write(stack.state.join("env"), lines.concat()).context("cannot write .dev/env")
}

fn line(name: &str, value: &str) -> String {
    if value.contains(' ') { format!("{name}='{value}'\n") } else { format!("{name}={value}\n") }
}

pub(crate) fn variables(stack: &Stack) -> Vec<(&'static str, String)> {
    vec![
        ("USHER_ENV", "development".into()),
        ("DATABASE_URL", addresses::database(stack, "usher")),
        ("AMQP_URL", addresses::amqp(stack)),
        ("RABBITMQ_MANAGEMENT_URL", addresses::rabbitmq_management(stack)),
        ("RABBITMQ_METRICS", format!("127.0.0.1:{}", stack.ports.brokers[0].metrics)),
        ("KEYCLOAK_URL", addresses::keycloak(stack)),
        ("KEYCLOAK_REALM", "usher".into()),
        ("KEYCLOAK_CLIENT_ID", "usher-app".into()),
        ("KEYCLOAK_CLIENT_SECRET", "usher-app-secret".into()),
        ("KEYCLOAK_ADMIN_CLIENT_ID", "usher-provisioner".into()),
        ("KEYCLOAK_ADMIN_CLIENT_SECRET", "usher-provisioner-secret".into()),
        ("KEYCLOAK_ADMIN", addresses::ADMINISTRATOR.into()),
        ("KEYCLOAK_ADMIN_PASSWORD", addresses::ADMINISTRATOR_PASSWORD.into()),
        ("REDIS_URL", addresses::redis(stack)),
        ("PASSWORD_KEYS", "development:dXNoZXItZGV2ZWxvcG1lbnQta2V5LTAxMjM0NTY3ODk=".into()),
        ("SMTP_HOST", "127.0.0.1".into()),
        ("SMTP_PORT", stack.ports.smtp.to_string()),
        ("MAIL_VIA", stack.settings.mail_via.clone().unwrap_or_else(|| "keycloak".into())),
        ("SMTP_TLS", "none".into()),
        ("MAIL_FROM", "no-reply@usher.test".into()),
        ("MAIL_URL", addresses::mail(stack)),
        ("MAIL_REDIRECT_URI", format!("{}/docs/", addresses::api(stack))),
        ("API_URL", addresses::api(stack)),
        ("API_OPS_URL", addresses::api_ops(stack)),
        ("SCHEMATHESIS", conformance_tool::schemathesis(stack).display().to_string()),
        ("TEST_PYTHON", conformance_tool::python(stack).display().to_string()),
        ("KUBERNETES_VALIDATE", conformance_tool::kubernetes_validate(stack).display().to_string()),
        ("PROMETHEUS", prometheus_tool::programs(stack).display().to_string()),
    ]
}
