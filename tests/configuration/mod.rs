//! Configuration: everything from the environment, every fault at once, and an example that is complete.

mod check;
mod reference;

use std::{collections::BTreeSet, fs};

use api::config::ApiConfig;
use shared::config::{
    Environment,
    variable::{Source, Variable},
};
use worker::config::WorkerConfig;

use crate::harness::{process::Binary, source};

#[test]
fn the_example_names_every_variable_and_no_other() {
    let settings = required();
    let asked = of_api(&settings).into_iter().chain(of_worker(&settings));
    let asked: BTreeSet<_> = asked.map(|variable| variable.name.to_owned()).collect();
    assert_eq!(example().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), asked);
}

/// The field of a section, which says under which name the variable is looked for, and the name in a fault are two texts.
#[test]
fn every_variable_of_the_example_is_read_under_its_name() {
    let some = |value: String| if value.is_empty() { "1".to_owned() } else { value };
    let settings: Vec<_> = example().into_iter().map(|(name, value)| (name, some(value))).collect();
    for variable in of_api(&settings).into_iter().chain(of_worker(&settings)) {
        assert_eq!(variable.source, Source::Environment, "{} is looked for under another name", variable.name);
    }
}

/// What must be set, as the example has it.
fn required() -> Vec<(String, String)> {
    lines().into_iter().filter(|(commented_out, ..)| !commented_out).map(|(_, name, value)| (name, value)).collect()
}

/// What the api asks for.
fn of_api(settings: &[(String, String)]) -> Vec<Variable> {
    let mut environment = Environment::of(settings.iter().cloned());
    // With some values there is no configuration, and all was asked for.
    ApiConfig::parse(&mut environment);
    environment.asked()
}

/// What the worker asks for, whoever sends the mails.
fn of_worker(settings: &[(String, String)]) -> Vec<Variable> {
    let mut asked: Vec<Variable> = Vec::new();
    for via in ["keycloak", "smtp"] {
        let via = ("MAIL_VIA".to_owned(), via.to_owned());
        let mut environment = Environment::of(settings.iter().cloned().chain([via]));
        WorkerConfig::parse(&mut environment);
        let more = environment.asked().into_iter();
        asked.extend(more.filter(|more| asked.iter().all(|known| known.name != more.name)).collect::<Vec<_>>());
    }
    asked
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
