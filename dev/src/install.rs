//! Installs what is missing, saying before each step what and why. The only part of `cargo dev` that may need root.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

use crate::{
    java_trust, logs,
    packages::{self, Package},
    process::Launch,
    programs,
    progress::Line,
    stack::Stack,
};

pub(crate) const KEYCLOAK: &str = "26.7.3";
/// Pinned: without a version Maven asks for the newest plugin each time.
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

const FETCH: &str = "keycloak-fetch";
const JAVA_DISTRUSTS: &str = "PKIX path building failed";

/// For everything that the stack runs and this machine lacks.
pub(crate) fn packages(stack: &Stack) -> Result<()> {
    install(stack, &packages::missing_for_the_stack(stack))
}

/// And for what the tests alone run.
pub(crate) fn packages_for_tests(stack: &Stack) -> Result<()> {
    install(stack, &packages::missing_for_the_tests(stack))
}

fn install(stack: &Stack, missing: &[Package]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    for package in missing {
        println!("missing: {:<16} {}", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|it| it.name).collect();
    let apt = apt_get(stack, &names)?;
    println!("installing with apt-get: {} (log: .dev/log/install.log)", names.join(" "));
    let log = File::create(stack.log_file("install"))?;
    apt_run(stack, &apt, &["update"], &log)?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(names);
    apt_run(stack, &apt, &install, &log)
}

/// The command in front of apt-get's own arguments.
fn apt_get(stack: &Stack, names: &[&str]) -> Result<Vec<&'static str>> {
    let names = names.join(" ");
    if programs::in_path(stack, "apt-get").is_none() {
        bail!(
            "this system has no apt-get: install what Debian calls {names} by its own means, then run cargo dev again"
        );
    }
    let apt_get = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    if Uid::effective().is_root() {
        return Ok(apt_get.to_vec());
    }
    if programs::in_path(stack, "sudo").is_none() {
        bail!(
            "installing needs root and there is no sudo: run `apt-get install {names}` as root, then cargo dev again"
        );
    }
    Ok([&["sudo"], &apt_get[..]].concat())
}

fn apt_run(stack: &Stack, apt: &[&str], arguments: &[&str], log: &File) -> Result<()> {
    let (program, rest) = apt.split_first().context("apt-get has no name")?;
    let status = Command::new(program)
        .args(rest)
        .args(arguments)
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!(
            "apt-get {} failed\n{}\nRun it by hand, then cargo dev again",
            arguments.join(" "),
            logs::tail(stack, "install", 0)
        );
    }
    Ok(())
}

/// Keycloak's directory, fetched and unpacked if need be.
pub(crate) async fn keycloak(stack: &Stack, line: &Line) -> Result<PathBuf> {
    let home = keycloak_home(stack);
    if home.exists() {
        return Ok(home);
    }
    line.step(&format!("fetching Keycloak {KEYCLOAK} from the Maven repository (180 MB)"));
    let archive = fetch_keycloak(stack).await?;
    line.step("unpacking it");
    unpack(stack, &archive, &home).await?;
    std::fs::remove_file(archive)?;
    Ok(home)
}

pub(crate) fn keycloak_home(stack: &Stack) -> PathBuf {
    stack.state.join(format!("keycloak/keycloak-{KEYCLOAK}"))
}

async fn fetch_keycloak(stack: &Stack) -> Result<PathBuf> {
    let mut fetched = maven_copy(stack, &stack.settings.maven_opts).await?;
    if !fetched && logs::tail(stack, FETCH, 0).contains(JAVA_DISTRUSTS) {
        let trusting = format!("{} {}", stack.settings.maven_opts, java_trust::options(stack)?);
        fetched = maven_copy(stack, trusting.trim()).await?;
    }
    if !fetched {
        bail!(
            "Maven could not fetch Keycloak\n{}\nCheck the network and ~/.m2/settings.xml, then run cargo dev again",
            logs::tail(stack, FETCH, 0)
        );
    }
    Ok(stack.state.join(format!("cache/keycloak-quarkus-dist-{KEYCLOAK}.tar.gz")))
}

async fn maven_copy(stack: &Stack, options: &str) -> Result<bool> {
    let cache = stack.state.join("cache");
    let log = File::create(stack.log_file(FETCH))?;
    let status = tokio::process::Command::new("mvn")
        .args(["--quiet", "--batch-mode", MAVEN_COPY])
        // Without it Maven remembers a failure and does not ask again.
        .arg("--update-snapshots")
        .arg(format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:tar.gz"))
        .arg(format!("-DoutputDirectory={}", cache.display()))
        .env("MAVEN_OPTS", options)
        .current_dir(&cache)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .status()
        .await;
    Ok(status.context("cannot run mvn")?.success())
}

/// By the services' account, which then owns what `kc.sh build` rewrites; moved into place when complete.
async fn unpack(stack: &Stack, archive: &Path, home: &Path) -> Result<()> {
    let parent = stack.service_directory(home.parent().context("Keycloak has no parent directory")?)?;
    let unfinished = stack.service_directory(&parent.join("unfinished"))?;
    let tar = Launch {
        program: programs::in_path(stack, "tar").context("tar is missing")?,
        arguments: vec![
            "--extract".into(),
            "--gzip".into(),
            format!("--file={}", archive.display()),
            "--strip-components=1".into(),
        ],
        environment: vec![],
        directory: unfinished.clone(),
    };
    tar.complete(stack, "keycloak-unpack").await?;
    std::fs::rename(unfinished, home)?;
    Ok(())
}
