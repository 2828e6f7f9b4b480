//! Configuration: everything from the environment, every fault at once, and an example that is complete.

use std::{collections::BTreeSet, fs};

use api::config::{
    ApiConfig,
    callers::{CorsSection, TrustedSection},
    keycloak as api_keycloak,
    limits::LimitSection,
    repeats::{CleanupSection, IdempotencySection, MailRequestSection},
    server::ApiSection,
    tokens::TokenSection,
};
use serde::{
    Deserialize, Deserializer,
    de::{Visitor, value::Error},
    forward_to_deserialize_any,
};
use shared::{
    config::{DatabaseSection, Environment, SweepSection, UsherSection},
    passwords::config::PasswordSection,
    redis::RedisSection,
    telemetry::{LogSection, OtelSection, sampling::TracesSection},
};
use worker::config::{
    WorkerConfig,
    breaker::BreakerSection,
    broker::AmqpSection,
    keycloak::KeycloakSection,
    mail::MailSection,
    process::WorkerSection,
    provision::ProvisionSection,
    relay::RelaySection,
    smtp::{EmailSection, SmtpSection},
};

use crate::harness::{process::Binary, source};

/// Read by tracing-subscriber itself.
const NOT_IN_A_SECTION: [&str; 1] = ["RUST_LOG"];

#[test]
fn the_example_names_every_variable_and_no_other() {
    let mut known = BTreeSet::from(NOT_IN_A_SECTION.map(str::to_owned));
    known.extend(variables::<UsherSection>(UsherSection::PREFIX));
    known.extend(variables::<DatabaseSection>(DatabaseSection::PREFIX));
    known.extend(variables::<SweepSection>(SweepSection::PREFIX));
    known.extend(variables::<RedisSection>(RedisSection::PREFIX));
    known.extend(variables::<PasswordSection>(PasswordSection::PREFIX));
    known.extend(variables::<LogSection>(LogSection::PREFIX));
    known.extend(variables::<OtelSection>(OtelSection::PREFIX));
    known.extend(variables::<TracesSection>(TracesSection::PREFIX));
    known.extend(variables::<ApiSection>(ApiSection::PREFIX));
    known.extend(variables::<TrustedSection>(TrustedSection::PREFIX));
    known.extend(variables::<CorsSection>(CorsSection::PREFIX));
    known.extend(variables::<LimitSection>(LimitSection::PREFIX));
    known.extend(variables::<IdempotencySection>(IdempotencySection::PREFIX));
    known.extend(variables::<MailRequestSection>(MailRequestSection::PREFIX));
    known.extend(variables::<CleanupSection>(CleanupSection::PREFIX));
    known.extend(variables::<api_keycloak::KeycloakSection>(api_keycloak::KeycloakSection::PREFIX));
    known.extend(variables::<TokenSection>(TokenSection::PREFIX));
    known.extend(variables::<WorkerSection>(WorkerSection::PREFIX));
    known.extend(variables::<AmqpSection>(AmqpSection::PREFIX));
    known.extend(variables::<RelaySection>(RelaySection::PREFIX));
    known.extend(variables::<ProvisionSection>(ProvisionSection::PREFIX));
    known.extend(variables::<BreakerSection>(BreakerSection::PREFIX));
    known.extend(variables::<KeycloakSection>(KeycloakSection::PREFIX));
    known.extend(variables::<MailSection>(MailSection::PREFIX));
    known.extend(variables::<SmtpSection>(SmtpSection::PREFIX));
    known.extend(variables::<EmailSection>(EmailSection::PREFIX));
    assert_eq!(example().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_variable_of_the_example_is_read_under_its_name() {
    let source: String =
        source::below(&["shared/src", "api/src", "worker/src"]).into_iter().map(|file| file.code).collect();
    for (name, _) in example() {
        let read = NOT_IN_A_SECTION.contains(&name.as_str())
            || name.starts_with("OTEL_")
            || source.contains(&format!("\"{name}"))
            || source.contains(&format!("(or {name})"));
        assert!(read, "{name} stands in .env.example, but nobody reads it under this name");
    }
}

/// A line that is commented out can be taken in without changing anything.
#[test]
fn the_example_shows_the_defaults() {
    let (shown, needed): (Vec<_>, Vec<_>) = lines().into_iter().partition(|(commented_out, ..)| *commented_out);
    let settings = |lines: &[&[(bool, String, String)]]| {
        let lines = lines.concat().into_iter().map(|(_, name, value)| (name, value));
        // The example is for development, which is not the default, and the default format depends on the terminal.
        let fixed = [("USHER_ENV", "development"), ("LOG_FORMAT", "json")];
        Environment::of(lines.chain(fixed.map(|(name, value)| (name.to_owned(), value.to_owned()))))
    };
    let api = |lines| format!("{:?}", ApiConfig::read(settings(lines)).expect("the example is complete"));
    assert_eq!(api(&[&needed, &shown]), api(&[&needed]));
    let worker = |lines| format!("{:?}", WorkerConfig::read(settings(lines)).expect("the example is complete"));
    assert_eq!(worker(&[&needed, &shown]), worker(&[&needed]));
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_started() {
    let mut worker = Binary::worker().env("SWEEP_INTERVAL", "often").env("AMQP_URL", "s3cret").start();
    let exit = worker.exit().await;
    let output = worker.output();
    assert_eq!(exit.code(), Some(64), "{output}");
    for name in
        ["SWEEP_INTERVAL", "AMQP_URL is not", "DATABASE_URL", "KEYCLOAK_URL", "KEYCLOAK_REALM", "MAIL_REDIRECT_URI"]
    {
        assert!(output.contains(name), "{name} is missing in:\n{output}");
    }
    assert!(!output.contains("s3cret"), "a value was shown:\n{output}");

    let mut api = Binary::api().env("API_LISTEN", "here").start();
    assert_eq!(api.exit().await.code(), Some(64));
    let output = api.output();
    for name in ["API_LISTEN", "DATABASE_URL", "KEYCLOAK_URL", "KEYCLOAK_CLIENT_SECRET"] {
        assert!(output.contains(name), "{name} is missing in:\n{output}");
    }
}

/// Whoever copies the example into production is told so.
#[tokio::test]
async fn production_refuses_the_secrets_of_development() {
    for (mut binary, secrets) in [
        (Binary::api(), vec!["DATABASE_URL", "KEYCLOAK_CLIENT_SECRET"]),
        (Binary::worker(), vec!["DATABASE_URL", "AMQP_URL", "KEYCLOAK_ADMIN_CLIENT_SECRET"]),
    ] {
        for (name, value) in example() {
            binary = binary.env(&name, value);
        }
        let mut process = binary.env("USHER_ENV", "production").start();
        assert_eq!(process.exit().await.code(), Some(64), "{}", process.output());
        for name in secrets {
            let fault = format!("{name} holds a secret of the development stack");
            assert!(process.output().contains(&fault), "{fault} is missing in:\n{}", process.output());
        }
    }
}

/// Names and values of `.env.example`, commented out or not.
pub(crate) fn example() -> Vec<(String, String)> {
    lines().into_iter().map(|(_, name, value)| (name, value)).collect()
}

/// Whether it is commented out, name and value.
fn lines() -> Vec<(bool, String, String)> {
    let text = fs::read_to_string(source::root().join(".env.example")).expect("the example is there");
    let assignment = |line: &str| {
        let (name, value) = line.trim_start_matches('#').split_once('=')?;
        let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        is_name.then(|| (line.starts_with('#'), name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(assignment).collect()
}

/// The variables that a section reads: the names of its fields, as serde sees them.
fn variables<'de, T: Deserialize<'de>>(prefix: &str) -> Vec<String> {
    let mut fields = Vec::new();
    T::deserialize(FieldNames(&mut fields)).err().expect("only the names were asked for");
    fields.into_iter().map(|field| format!("{prefix}{}", field.to_uppercase())).collect()
}

struct FieldNames<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        Err(serde::de::Error::custom("only the names are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("a section is a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
