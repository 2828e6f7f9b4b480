//! A RabbitMQ server of the test's own: to be killed, restarted, frozen and alarmed.
//!
//! To lose only the line to the broker, put a [`Proxy`](super::proxy::Proxy) before that of the stack: it is there
//! already, and this one takes seconds to start.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{
    account::Account,
    eventually::eventually,
    process::{Binary, Process},
    rabbit::Vhost,
    reserved_port::ReservedPort,
};

const START: Duration = Duration::from_mins(1);

/// How much it may use, and how much it must leave: no alarm comes by itself.
const MEMORY: &str = "1GiB";
const DISK_LEFT: &str = "1MB";

/// Ends with the test, whatever becomes of it.
pub struct OwnRabbitmq {
    broker: Process,
    _name_server: Process,
    node: Node,
}

/// What outlives the broker's process: where it is found, and what it keeps.
struct Node {
    amqp: ReservedPort,
    distribution: ReservedPort,
    name_server: ReservedPort,
    account: Account,
    home: TempDir,
}

impl OwnRabbitmq {
    pub async fn start() -> Self {
        let node = Node::new();
        // First, because the broker would start one that outlives it.
        let name_server = node.program("epmd").arg("-port").arg(&node.name_server.number().to_string());
        let name_server = name_server.arg("-address").arg("127.0.0.1").start();
        until_listening(&node.name_server).await;
        Self { broker: node.start_broker().await, _name_server: name_server, node }
    }

    /// The one that it has.
    pub fn vhost(&self) -> Vhost {
        Vhost::at(format!("amqp://guest:guest@{}/%2f", self.node.amqp.address()))
    }

    /// The end that it cannot prepare for.
    pub async fn kill(&mut self) {
        self.broker.kill().await;
    }

    /// The end that an operator brings about.
    pub async fn stop(&mut self) {
        let status = self.broker.stop().await;
        assert!(status.success(), "RabbitMQ ended with {status}");
    }

    /// After its end, with what it had kept.
    pub async fn start_again(&mut self) {
        self.broker = self.node.start_broker().await;
    }

    pub async fn freeze(&self) {
        self.broker.freeze().await;
    }

    pub fn thaw(&self) {
        self.broker.thaw();
    }

    pub async fn raise_memory_alarm(&self) {
        self.node.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    }

    pub async fn end_memory_alarm(&self) {
        self.node.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", MEMORY]).await;
    }

    pub async fn raise_disk_alarm(&self) {
        self.node.rabbitmqctl(&["set_disk_free_limit", "1000000GB"]).await;
    }
}

impl Node {
    fn new() -> Self {
        let node = Self {
            amqp: ReservedPort::new(),
            distribution: ReservedPort::new(),
            name_server: ReservedPort::new(),
            account: Account::unprivileged(),
            home: TempDir::new().expect("a directory for a broker"),
        };
        node.account.give(node.home.path());
        node.write("rabbitmq.conf", &node.configuration());
        // Without the management plugin it starts, and stops, seconds sooner.
        node.write("enabled_plugins", "[].\n");
        node
    }

    /// Returns when it takes connections.
    async fn start_broker(&self) -> Process {
        let broker = self.program("rabbitmq-server").start();
        until_listening(&self.amqp).await;
        broker
    }

    fn program(&self, name: &'static str) -> Binary {
        Binary::server(name, &self.account).envs(self.environment())
    }

    async fn rabbitmqctl(&self, arguments: &[&str]) {
        let program = arguments.iter().fold(self.program("rabbitmqctl").arg("-q"), |it, argument| it.arg(argument));
        let mut rabbitmqctl = program.start();
        let status = rabbitmqctl.exit().await;
        assert!(status.success(), "rabbitmqctl {arguments:?}: {status}\n{}", rabbitmqctl.output());
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("the directory takes files");
        self.account.give(&path);
    }

    fn configuration(&self) -> String {
        format!(
            "listeners.tcp.1 = {}\n\
             disk_free_limit.absolute = {DISK_LEFT}\n\
             vm_memory_high_watermark.absolute = {MEMORY}\n\
             log.console = true\n\
             log.file = false\n",
            self.amqp.address()
        )
    }

    /// A node with a name server of its own: a broker of the system is neither used nor disturbed.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.home.path().join(name).display().to_string();
        vec![
            // Debian's wrappers in /usr/sbin change to the system's account and directories; these do not.
            ("PATH", "/usr/lib/rabbitmq/bin:/usr/bin:/bin".to_owned()),
            ("HOME", self.home.path().display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            // Makes the script replace itself by the broker, so that signals reach the broker.
            ("detached", "1".to_owned()),
            ("RABBITMQ_NODENAME", "own@localhost".to_owned()),
            ("RABBITMQ_DIST_PORT", self.distribution.number().to_string()),
            ("ERL_EPMD_PORT", self.name_server.number().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            // Idle schedulers sleep instead of spinning: the cores belong to the tests.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none".to_owned(),
            ),
            // Does not exist: keeps /etc/rabbitmq out.
            ("RABBITMQ_CONF_ENV_FILE", path("none")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_PID_FILE", path("pid")),
        ]
    }
}

async fn until_listening(port: &ReservedPort) {
    eventually("the server listens", START, async || TcpStream::connect(port.address()).await.map(drop)).await;
}
