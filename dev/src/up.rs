//! `cargo dev up`, from a bare machine to a registered user.

use std::{fs::File, pin::pin};

use anyhow::Result;

use crate::{
    addresses, build, conformance_tool, env_file, first_user, install,
    progress::Board,
    prometheus_tool,
    services::{self, Service, usher},
    settle_ports::settle_ports,
    stack::Stack,
};

pub(crate) async fn run(stack: &Stack) -> Result<()> {
    {
        let _lock = prepare(stack, &services::all(stack)).await?;
        let board = Board::new();
        build_and_start(stack, &board).await?;
        usher::start(stack, &board).await?;
    }
    first_user::welcome(stack).await?;
    print_addresses(stack);
    Ok(())
}

/// What the tests need: every service but Usher itself, the binaries, a browser and two tools.
pub(crate) async fn for_tests(stack: &Stack) -> Result<()> {
    let _lock = prepare(stack, &services::infrastructure(stack)).await?;
    // Whatever is missing then, the tests that need it say so again and fail; the others do without.
    let told = |error| eprintln!("{error:#}");
    install::packages_for_tests(stack).unwrap_or_else(told);
    let board = Board::new();
    let (system, conformance, prometheus) = tokio::join!(
        Box::pin(build_and_start(stack, &board)),
        conformance_tool::install(stack, &board),
        prometheus_tool::install(stack, &board)
    );
    conformance.unwrap_or_else(told);
    prometheus.unwrap_or_else(told);
    system
}

/// For those who run Usher from their editor or debugger.
pub(crate) async fn only_services(stack: &Stack) -> Result<()> {
    let _lock = prepare(stack, &services::infrastructure(stack)).await?;
    services::start_infrastructure(stack, &Board::new()).await
}

/// What benchmarks run on. Nothing is printed where a program reads along.
pub(crate) async fn for_benchmarks(stack: &Stack, board: &Board) -> Result<()> {
    let _lock = prepare(stack, &services::infrastructure(stack)).await?;
    services::start_infrastructure(stack, board).await?;
    build::for_release(stack, board).await
}

async fn prepare(stack: &Stack, needed: &[Service]) -> Result<File> {
    stack.open()?;
    let lock = stack.lock()?;
    settle_ports(stack)?;
    services::ensure_ports_free(stack, needed).await?;
    install::packages(stack)?;
    env_file::write(stack)?;
    Ok(lock)
}

/// A service that fails ends the build at once; a build that fails lets the services finish what they began.
pub(crate) async fn build_and_start(stack: &Stack, board: &Board) -> Result<()> {
    let mut building = pin!(build::workspace(stack, board));
    let mut starting = pin!(services::start_infrastructure(stack, board));
    tokio::select! {
        result = &mut building => starting.await.and(result),
        result = &mut starting => { result?; building.await }
    }
}

fn print_addresses(stack: &Stack) {
    let rabbitmq = format!("http://127.0.0.1:{}", stack.ports.brokers[0].management);
    let keycloak_login = format!("{} / {}", addresses::ADMINISTRATOR, addresses::ADMINISTRATOR_PASSWORD);
    println!();
    for (what, address, login) in [
        ("Swagger", format!("{}/docs/", addresses::api(stack)), ""),
        ("Mail", addresses::mail(stack), ""),
        ("RabbitMQ", rabbitmq, "usher / usher"),
        ("Keycloak", format!("{}/admin/", addresses::keycloak(stack)), &keycloak_login),
    ] {
        println!("{}", format!("{what:<10} {address:<32} {login}").trim_end());
    }
    println!("\ncargo dev status | logs [NAME] [-f] | test [FILTER] | down      variables: set -a; . .dev/env");
}
