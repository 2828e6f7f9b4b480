//! `cargo dev sqlx`: writes anew what the committed `.sqlx/` knows about every query.

use std::{fs, fs::File, path::Path, time::SystemTime};

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, Executor as _, PgConnection, migrate::Migrator};

use crate::{addresses, cargo, progress::Board, services::postgres, stack::Stack};

/// Only the migrations, whatever was done by hand to the database that people use.
const DATABASE: &str = "usher_sqlx";

pub(crate) async fn sqlx(stack: &Stack) -> Result<()> {
    stack.open()?;
    postgres::start(stack, &Board::new()).await?;
    migrated_database(stack).await?;
    let folder = stack.root.join(".sqlx");
    forget(&folder)?;
    // The compiler asks the database only for a crate that it compiles.
    File::options().append(true).open(stack.root.join("shared/src/lib.rs"))?.set_modified(SystemTime::now())?;
    let status = cargo::command(stack)
        .args(["check", "--package", "shared"])
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &folder)
        .env("DATABASE_URL", addresses::database(stack, DATABASE))
        .status()
        .context("cannot run cargo check")?;
    ensure!(status.success(), "shared does not compile, so .sqlx/ is incomplete: mend the query, then run this again");
    println!(".sqlx/ knows {} queries", fs::read_dir(folder)?.count());
    Ok(())
}

async fn migrated_database(stack: &Stack) -> Result<()> {
    let mut server = PgConnection::connect(&addresses::database(stack, "postgres")).await?;
    server.execute("DROP DATABASE IF EXISTS usher_sqlx WITH (FORCE)").await?;
    server.execute("CREATE DATABASE usher_sqlx").await?;
    let mut database = PgConnection::connect(&addresses::database(stack, DATABASE)).await?;
    Migrator::new(stack.root.join("migrations")).await?.run(&mut database).await?;
    Ok(())
}

fn forget(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
