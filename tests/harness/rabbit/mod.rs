//! A RabbitMQ virtual host of the test's own.

mod management;
mod probe;

use std::fs;

use tokio::sync::OnceCell;
use url::Url;

use super::{cleanup::clean_up, own_name::own_name, source::root, stack::Stack};
use management::Management;

pub use probe::{Message, Probe};

/// What the README of the topology lets this login configure, write and read.
pub fn documented_rights(login: &str) -> [String; 3] {
    let text = fs::read_to_string(root().join("deploy/rabbitmq/README.md")).expect("the README is there");
    let command = format!("rabbitmqctl set_permissions -p usher {login} ");
    let line = text.lines().find(|line| line.starts_with(&command)).expect("it shows the rights");
    let patterns: Vec<String> = line.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    patterns.try_into().expect("three patterns")
}

pub struct Vhost {
    name: String,
    amqp_url: String,
    /// On the stack's broker. One of a broker that ends with the test needs no end of its own.
    is_on_stack: bool,
}

impl Vhost {
    pub async fn create() -> Self {
        static LEFT_OVERS: OnceCell<()> = OnceCell::const_new();
        let name = own_name();
        let mut url = Url::parse(&Stack::get().amqp_url).expect("AMQP_URL is an address");
        url.set_path(&name);
        let vhost = Self { name, amqp_url: url.into(), is_on_stack: true };
        let management = Management::connect();
        LEFT_OVERS.get_or_init(|| management.delete_left_overs()).await;
        management.create_vhost(&vhost.name).await;
        vhost
    }

    /// Of a broker of the test's own, which the management API does not know.
    pub(super) fn at(amqp_url: String) -> Self {
        Self { name: String::new(), amqp_url, is_on_stack: false }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn amqp_url(&self) -> String {
        self.amqp_url.clone()
    }

    /// The address by which another service logs in, with these rights to configure, to write and to read.
    pub async fn address_for(&self, rights: [&str; 3]) -> String {
        let management = Management::connect();
        management.create_user(&self.name, &self.name, "").await;
        management.permit_user(&self.name, &self.name, rights).await;
        let mut url = Url::parse(&self.amqp_url).expect("AMQP_URL is an address");
        url.set_username(&self.name).and_then(|()| url.set_password(Some(&self.name))).expect("a login fits into it");
        url.into()
    }

    /// Somebody who looks after this virtual host by the management UI, and sees no other. The name is the password too.
    pub async fn create_operator(&self) -> &str {
        let management = Management::connect();
        management.create_user(&self.name, &self.name, "policymaker").await;
        management.permit_user(&self.name, &self.name, ["^$", "^$", r"^usher\."]).await;
        &self.name
    }

    pub async fn probe(&self) -> Probe {
        Probe::connect(&self.amqp_url()).await
    }

    /// The names that the connections of the application bear; the probe's own are left out.
    /// A connection shows up here a moment after it was opened: wait for it.
    pub async fn connection_names(&self) -> Vec<String> {
        let connections = Management::connect().connections(&self.name).await;
        connections.into_iter().map(|connection| connection.label).filter(|label| label != probe::NAME).collect()
    }

    /// Takes everything from the user that Usher logs in as, but the login. A channel may go by what it knew before.
    pub async fn withdraw_permissions(&self) {
        Management::connect().permit(&self.name, "^$").await;
    }

    pub async fn give_permissions_back(&self) {
        Management::connect().permit(&self.name, ".*").await;
    }

    /// As an operator does it in the management UI. Says how many there were.
    pub async fn close_all_connections(&self) -> usize {
        let management = Management::connect();
        let mut connections = management.connections(&self.name).await;
        connections.retain(|connection| connection.label != probe::NAME);
        for connection in &connections {
            management.close(connection).await;
        }
        connections.len()
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        if !self.is_on_stack {
            return;
        }
        let name = self.name.clone();
        // Takes the queues, the messages and the connections along.
        clean_up(async move { Management::connect().delete_vhost(&name).await });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::{BasicProperties, Connection, ConnectionProperties};
    use serde_json::json;

    use super::*;
    use crate::harness::eventually::eventually;

    #[tokio::test]
    async fn a_vhost_can_be_looked_into() {
        let vhost = Vhost::create().await;
        let probe = vhost.probe().await;
        assert_eq!(probe.depth("letters").await, None);

        probe.declare_queue("letters", &json!({ "x-queue-type": "quorum" })).await;
        probe.bind("letters", "amq.topic", "letter.#").await;
        probe
            .publish("amq.topic", "letter.sent", br#"{"n":1}"#, BasicProperties::default().with_message_id("7".into()))
            .await;
        eventually("the letter waits", Duration::from_secs(5), async || probe.depth("letters").await == Some(1)).await;
        let letter = probe.get("letters").await.expect("a letter");
        assert_eq!((letter.message_id(), letter.routing_key.as_str()), ("7", "letter.sent"));
        assert_eq!(letter.json()["n"], 1);

        let application =
            Connection::connect(&vhost.amqp_url(), ConnectionProperties::default()).await.expect("a connection");
        eventually("the connection is listed and closed", Duration::from_secs(10), async || {
            vhost.close_all_connections().await == 1
        })
        .await;
        eventually("the connection is gone", Duration::from_secs(5), async || !application.status().connected()).await;
        assert_eq!(probe.delete_queue("letters").await, 0);
    }
}
