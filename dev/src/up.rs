//! `cargo dev up`, from a bare machine to a registered user.

use std::fs::File;

use anyhow::Result;

use crate::{
    build, env_file, first_user, install,
    progress::Board,
    services::{self, keycloak, mail, usher},
    stack::Stack,
};

pub(crate) async fn run(stack: &Stack) -> Result<()> {
    let board = services_and_build(stack).await?;
    {
        let _lock = stack.lock()?;
        usher::start(stack, &board).await?;
    }
    first_user::welcome(stack).await?;
    print_addresses(stack);
    Ok(())
}

/// For those who run Usher from their editor or debugger.
pub(crate) async fn only_services(stack: &Stack) -> Result<()> {
    let _lock = prepare(stack)?;
    services::start_infrastructure(stack, &Board::new()).await
}

/// What the tests need too: every service but Usher itself, and the binaries.
pub(crate) async fn services_and_build(stack: &Stack) -> Result<Board> {
    let _lock = prepare(stack)?;
    let board = Board::new();
    tokio::try_join!(build::workspace(stack, &board), services::start_infrastructure(stack, &board))?;
    Ok(board)
}

fn prepare(stack: &Stack) -> Result<File> {
    stack.open()?;
    let lock = stack.lock()?;
    install::packages(stack)?;
    env_file::write(stack)?;
    Ok(lock)
}

fn print_addresses(stack: &Stack) {
    let rabbitmq = format!("http://127.0.0.1:{}", stack.ports.rabbitmq_management);
    let keycloak_login = format!("{} / {}", keycloak::ADMINISTRATOR, keycloak::ADMINISTRATOR_PASSWORD);
    println!();
    for (what, address, login) in [
        ("Swagger", format!("{}/docs/", usher::api_url(stack)), ""),
        ("Mail", mail::url(stack), ""),
        ("RabbitMQ", rabbitmq, "usher / usher"),
        ("Keycloak", format!("{}/admin/", keycloak::url(stack)), &keycloak_login),
    ] {
        println!("{}", format!("{what:<10} {address:<32} {login}").trim_end());
    }
    println!("\ncargo dev status | logs [NAME] [-f] | test [FILTER] | down      variables: set -a; . .dev/env");
}
