//! A vhost of the run's own, on the broker of the stack.

use anyhow::{Context as _, Result, ensure};
use lapin::{Connection, ConnectionProperties, options::QueuePurgeOptions};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use worker::broker::topology;

use super::NAME;

/// Where the events of registrations go.
pub(crate) const QUEUE: &str = topology::WORK_QUEUES[0].name;

pub(crate) struct Vhost {
    pub(crate) url: String,
    pub(crate) connection: Connection,
    name: String,
    management: String,
}

impl Vhost {
    /// With the queues of Usher, empty.
    pub(crate) async fn fresh(management: &str, amqp_url: &str) -> Result<Self> {
        Self::named(management, amqp_url, NAME).await
    }

    pub(crate) async fn named(management: &str, amqp_url: &str, name: &str) -> Result<Self> {
        let mut url = Url::parse(amqp_url).context("AMQP_URL is no address")?;
        url.set_path(name);
        let management = management.trim_end_matches('/').to_owned();
        ask(&management, Method::DELETE, &format!("vhosts/{name}"), None).await?;
        ask(&management, Method::PUT, &format!("vhosts/{name}"), Some(json!({}))).await?;
        let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        ask(&management, Method::PUT, &format!("permissions/{name}/{}", url.username()), Some(all)).await?;
        let connection = Connection::connect(url.as_str(), ConnectionProperties::default()).await?;
        topology::declare(&connection).await?;
        Ok(Self { url: url.into(), connection, name: name.to_owned(), management })
    }

    pub(crate) async fn empty(&self) -> Result<()> {
        let channel = self.connection.create_channel().await?;
        channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await?;
        Ok(channel.close(200, "purged".into()).await?)
    }

    pub(crate) async fn remove(self) -> Result<()> {
        // Fails where a channel that was dropped is still being closed. What is left of it goes with the vhost.
        drop(self.connection.close(200, "bye".into()).await);
        ask(&self.management, Method::DELETE, &format!("vhosts/{}", self.name), None).await
    }
}

/// Of the broker.
pub(crate) async fn version(management: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Overview {
        rabbitmq_version: String,
    }
    let url = format!("{}/api/overview", management.trim_end_matches('/'));
    let answer = Client::new().get(url).send().await.context("RabbitMQ's management does not answer")?;
    Ok(answer.error_for_status()?.json::<Overview>().await?.rabbitmq_version)
}

async fn ask(management: &str, method: Method, path: &str, body: Option<Value>) -> Result<()> {
    let delete = method == Method::DELETE;
    let mut request = Client::new().request(method, format!("{management}/api/{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let status = request.send().await.context("RabbitMQ's management does not answer")?.status();
    ensure!(status.is_success() || delete && status == StatusCode::NOT_FOUND, "{path}: RabbitMQ answers {status}");
    Ok(())
}
