//! A PostgreSQL server of the test's own, durable as people run it: to be killed and started again.
//!
//! To lose only the line to the server, put a [`Proxy`](super::proxy::Proxy) before that of the stack: it is there
//! already, and this one takes seconds to make.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    account::Account,
    eventually::eventually,
    process::{Binary, Process},
    reserved_port::ReservedPort,
};

const START: Duration = Duration::from_mins(1);

/// Ends with the test, whatever becomes of it.
pub struct OwnPostgres {
    server: Process,
    port: ReservedPort,
    account: Account,
    home: TempDir,
}

impl OwnPostgres {
    pub async fn start() -> Self {
        let (home, account) = (TempDir::new().expect("a directory for a server"), Account::unprivileged());
        account.give(home.path());
        let mut initdb = Command::new(programs().join("initdb"));
        initdb.args(["--username=usher", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]);
        initdb.arg("--pgdata").arg(home.path().join("data")).current_dir(home.path());
        account.apply_to(&mut initdb);
        let made = initdb.output().await.expect("initdb is installed");
        assert!(made.status.success(), "{made:?}");
        let port = ReservedPort::new();
        let server = serve(home.path(), &port, &account);
        let own = Self { server, port, account, home };
        own.until_it_answers().await;
        own
    }

    pub fn url(&self) -> String {
        format!("postgres://usher@{}/postgres", self.port.address())
    }

    /// The end that it cannot prepare for: its sessions notice, and go too.
    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// Every session is cut off at once, and the next start recovers from the log.
    pub async fn stop_immediately(&mut self) {
        self.server.signal(Signal::SIGQUIT);
        self.server.exit().await;
    }

    /// After its end, with what it had kept. Returns when it answers.
    pub async fn start_again(&mut self) {
        eventually("the last session of the killed server has gone", START, async || {
            // While one is left, the new server refuses to start, and says so.
            self.server = serve(self.home.path(), &self.port, &self.account);
            self.answers_or_ended().await
        })
        .await;
    }

    async fn until_it_answers(&self) {
        eventually("the server answers", START, async || answers(&self.url()).await).await;
    }

    async fn answers_or_ended(&mut self) -> bool {
        let url = self.url();
        let server = &mut self.server;
        eventually("the server answers or ends", START, async || answers(&url).await || !server.is_running()).await;
        answers(&url).await
    }
}

fn serve(home: &Path, port: &ReservedPort, account: &Account) -> Process {
    let data = home.join("data").display().to_string();
    let server = Binary::server("postgres", account).env("PATH", programs());
    let settings =
        [format!("port={}", port.number()), "listen_addresses=127.0.0.1".into(), "unix_socket_directories=".into()];
    settings.iter().fold(server.arg("-D").arg(&data), |server, setting| server.arg("-c").arg(setting)).start()
}

async fn answers(url: &str) -> bool {
    match PgConnection::connect(url).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    }
}

/// Debian keeps the server's programs out of the `PATH`, one directory for each major version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed").flatten();
    let newest = versions.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok()).max();
    Path::new("/usr/lib/postgresql").join(newest.expect("PostgreSQL is installed").to_string()).join("bin")
}
