//! RabbitMQ as a node of its own, or as a cluster of three, with its own name server: a system broker on the standard
//! ports is neither used nor disturbed.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Probe, Service, ensure};
use crate::{addresses, ports::BrokerPorts, process::Launch, programs, progress::Board, stack::Stack};

/// One node, alone or among others.
#[derive(Clone, Copy)]
pub(crate) struct Node {
    /// In the stack.
    pub(crate) name: &'static str,
    /// Among the nodes of a cluster.
    pub(crate) erlang_name: &'static str,
    pub(crate) ports: BrokerPorts,
}

/// Each node's names, in the stack and in the cluster.
const NAMES: [(&str, &str); 3] =
    [("rabbitmq", "usher@localhost"), ("rabbitmq-2", "usher-2@localhost"), ("rabbitmq-3", "usher-3@localhost")];

pub(crate) fn nodes(stack: &Stack) -> Vec<Node> {
    let nodes = NAMES.into_iter().zip(stack.ports.brokers).take(stack.crew.brokers);
    nodes.map(|((name, erlang_name), ports)| Node { name, erlang_name, ports }).collect()
}

pub(crate) fn services(stack: &Stack) -> Vec<Service> {
    nodes(stack).iter().map(service).collect()
}

fn service(node: &Node) -> Service {
    let Node { name, ports, .. } = *node;
    Service {
        name,
        ports: vec![ports.amqp, ports.management, ports.distribution, ports.metrics],
        // Needs the login, so it also proves that the definitions were loaded.
        ready: Probe::Http(format!(
            "{}/api/health/checks/port-listener/{}",
            addresses::management_of(ports),
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

/// One node after another: two that joined at the same time have failed over what the other had not ready yet.
pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let name_server = board.line("epmd");
    ensure(stack, &epmd(stack), &name_server, async || launch_epmd(stack)).await?;
    for node in nodes(stack) {
        start_node(stack, board, &node).await?;
    }
    Ok(())
}

/// Needs the name server.
pub(crate) async fn start_node(stack: &Stack, board: &Board, node: &Node) -> Result<()> {
    let line = board.line(node.name);
    ensure(stack, &service(node), &line, async || launch(stack, node)).await
}

fn launch_epmd(stack: &Stack) -> Result<Launch> {
    Ok(Launch {
        program: programs::in_path(stack, "epmd").context("Erlang's epmd is missing")?,
        arguments: vec!["-port".into(), stack.ports.epmd.to_string(), "-address".into(), "127.0.0.1".into()],
        environment: vec![],
        directory: home(stack)?,
    })
}

fn launch(stack: &Stack, node: &Node) -> Result<Launch> {
    let home = home(stack)?;
    let programs = programs::rabbitmq().context("RabbitMQ's server programs are missing")?;
    let configuration = write_configuration(stack, node, &home)?;
    let path = |name: &str| home.join(name).display().to_string();
    Ok(Launch {
        program: programs.join("rabbitmq-server"),
        arguments: vec![],
        environment: vec![
            // Makes the script replace itself by the broker, so that the pid is the broker's.
            ("detached", "1".into()),
            ("RABBITMQ_NODENAME", node.erlang_name.into()),
            ("RABBITMQ_DIST_PORT", node.ports.distribution.to_string()),
            ("ERL_EPMD_PORT", stack.ports.epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            // Idle schedulers sleep instead of spinning: the cores belong to the tests.
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none".into()),
            // Does not exist: keeps /etc/rabbitmq out.
            ("RABBITMQ_CONF_ENV_FILE", path("none")),
            ("RABBITMQ_CONFIG_FILE", configuration.display().to_string()),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_PID_FILE", path(&format!("{}.pid", node.name))),
        ],
        directory: home,
    })
}

fn home(stack: &Stack) -> Result<PathBuf> {
    let home = stack.service_directory(&stack.state.join("rabbitmq"))?;
    make_cookie(stack, &home.join(".erlang.cookie"))?;
    Ok(home)
}

/// By which the nodes of a cluster know each other. Made here, because each of them would make one of its own.
fn make_cookie(stack: &Stack, cookie: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o400).open(cookie) {
        Ok(mut file) => file.write_all(rand::random::<u128>().to_string().as_bytes())?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error).context("cannot write Erlang's cookie"),
    }
    stack.account.give(cookie)
}

/// Copies the files that compose mounts: a checkout's own may be unreadable for the services' account.
fn write_configuration(stack: &Stack, node: &Node, home: &Path) -> Result<PathBuf> {
    let deployed = stack.root.join("deploy/rabbitmq");
    let read = |name| fs::read(deployed.join(name)).with_context(|| format!("deploy/rabbitmq/{name} cannot be read"));
    let mut definitions = read("definitions.json")?;
    if stack.crew.brokers > 1 {
        definitions = without_queues(&definitions)?;
    }
    let configuration = home.join(format!("{}.conf", node.name));
    for (path, text) in [
        (home.join("definitions.json"), definitions),
        (home.join("enabled_plugins"), read("enabled_plugins")?),
        (configuration.clone(), configuration_of(stack, node, home).into_bytes()),
    ] {
        fs::write(&path, text)?;
        stack.account.give(&path)?;
    }
    Ok(configuration)
}

/// A queue has its members on the nodes that are there when it is declared. The first node of a cluster loads the
/// definitions before the others have joined, so the queues are left to the workers.
fn without_queues(definitions: &[u8]) -> Result<Vec<u8>> {
    let mut definitions: Value = serde_json::from_slice(definitions)?;
    let parts = definitions.as_object_mut().context("deploy/rabbitmq/definitions.json is no object")?;
    parts.retain(|part, _| !["queues", "bindings"].contains(&part.as_str()));
    Ok(serde_json::to_vec(&definitions)?)
}

/// The two limits keep a full disk or a busy machine from blocking publishers where nobody expects it.
fn configuration_of(stack: &Stack, node: &Node, home: &Path) -> String {
    let alone = format!(
        "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management}\n\
         prometheus.tcp.ip = 127.0.0.1\n\
         prometheus.tcp.port = {metrics}\n\
         load_definitions = {definitions}\n\
         disk_free_limit.absolute = 64MB\n\
         vm_memory_high_watermark.absolute = 1GiB\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n",
        amqp = node.ports.amqp,
        management = node.ports.management,
        metrics = node.ports.metrics,
        definitions = home.join("definitions.json").display(),
    );
    if stack.crew.brokers == 1 { alone } else { alone + &membership(node) }
}

/// The others join the first node.
fn membership(node: &Node) -> String {
    let (first, erlang_name) = NAMES[0];
    let partitions = "cluster_partition_handling = pause_minority\n";
    if node.name == first {
        return partitions.to_owned();
    }
    format!(
        "{partitions}\
         cluster_formation.peer_discovery_backend = classic_config\n\
         cluster_formation.classic_config.nodes.1 = {erlang_name}\n"
    )
}
