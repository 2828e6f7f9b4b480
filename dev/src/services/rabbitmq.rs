//! RabbitMQ as a node of its own, with its own name server: a system broker on the standard ports is neither used nor
//! disturbed.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::{Probe, Service, ensure};
use crate::{addresses, process::Launch, programs, progress::Board, stack::Stack};

pub(crate) fn service(stack: &Stack) -> Service {
    let ports = stack.ports;
    Service {
        name: "rabbitmq",
        ports: vec![ports.amqp, ports.rabbitmq_management, ports.rabbitmq_distribution],
        // Needs the login, so it also proves that the definitions were loaded.
        ready: Probe::Http(format!(
            "{}/api/health/checks/port-listener/{}",
            addresses::rabbitmq_management(stack),
            ports.amqp
        )),
        start_within: Duration::from_mins(2),
        stop_by: Signal::SIGTERM,
        stop_within: Duration::from_secs(30),
    }
}

/// Erlang's name server. Started here rather than by the broker, so that it ends with the stack.
pub(crate) fn epmd(stack: &Stack) -> Service {
    Service {
        name: "epmd",
        ports: vec![stack.ports.epmd],
        ready: Probe::Tcp(stack.ports.epmd),
        start_within: Duration::from_secs(20),
        stop_by: Signal::SIGTERM,
        stop_within: Duration::from_secs(5),
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let name_server = board.line("epmd");
    ensure(stack, &epmd(stack), &name_server, async || launch_epmd(stack)).await?;
    let broker = board.line("rabbitmq");
    ensure(stack, &service(stack), &broker, async || launch(stack)).await
}

fn launch_epmd(stack: &Stack) -> Result<Launch> {
    Ok(Launch {
        program: programs::in_path(stack, "epmd").context("Erlang's epmd is missing")?,
        arguments: vec!["-port".into(), stack.ports.epmd.to_string(), "-address".into(), "127.0.0.1".into()],
        environment: vec![],
        directory: home(stack)?,
    })
}

fn launch(stack: &Stack) -> Result<Launch> {
    let home = home(stack)?;
    let programs = programs::rabbitmq().context("RabbitMQ's server programs are missing")?;
    write_configuration(stack, &home)?;
    let path = |name: &str| home.join(name).display().to_string();
    Ok(Launch {
        program: programs.join("rabbitmq-server"),
        arguments: vec![],
        environment: vec![
            // Makes the script replace itself by the broker, so that the pid is the broker's.
            ("detached", "1".into()),
            ("RABBITMQ_NODENAME", "usher@localhost".into()),
            ("RABBITMQ_DIST_PORT", stack.ports.rabbitmq_distribution.to_string()),
            ("ERL_EPMD_PORT", stack.ports.epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            // Idle schedulers sleep instead of spinning: the cores belong to the tests.
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none".into()),
            // Does not exist: keeps /etc/rabbitmq out.
            ("RABBITMQ_CONF_ENV_FILE", path("none")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_PID_FILE", path("pid")),
        ],
        directory: home,
    })
}

fn home(stack: &Stack) -> Result<std::path::PathBuf> {
    stack.service_directory(&stack.state.join("rabbitmq"))
}

/// Copies the files that compose mounts: a checkout's own may be unreadable for the services' account.
fn write_configuration(stack: &Stack, home: &Path) -> Result<()> {
    let deployed = stack.root.join("deploy/rabbitmq");
    for name in ["definitions.json", "enabled_plugins"] {
        let text = fs::read(deployed.join(name)).with_context(|| format!("deploy/rabbitmq/{name} cannot be read"))?;
        fs::write(home.join(name), text)?;
        stack.account.give(&home.join(name))?;
    }
    fs::write(home.join("rabbitmq.conf"), configuration(stack, home))?;
    stack.account.give(&home.join("rabbitmq.conf"))
}

/// The two limits keep a full disk or a busy machine from blocking publishers where nobody expects it.
fn configuration(stack: &Stack, home: &Path) -> String {
    format!(
        "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management}\n\
         load_definitions = {definitions}\n\
         disk_free_limit.absolute = 64MB\n\
         vm_memory_high_watermark.absolute = 1GiB\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n",
        amqp = stack.ports.amqp,
        management = stack.ports.rabbitmq_management,
        definitions = home.join("definitions.json").display(),
    )
}
