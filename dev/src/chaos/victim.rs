//! Who is killed, and how each comes back.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    process,
    progress::Board,
    services::{keycloak, postgres, rabbitmq, usher},
    stack::Stack,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Api,
    Worker,
    Rabbitmq,
    Postgres,
    Keycloak,
}

/// One process, by its name in the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(super) struct Victim {
    pub(super) name: &'static str,
    #[serde(skip)]
    pub(super) kind: Kind,
}

const fn victim(name: &'static str, kind: Kind) -> Victim {
    Victim { name, kind }
}

impl Victim {
    pub(super) const ALL: [Self; 8] = [
        victim("api", Kind::Api),
        victim("api-2", Kind::Api),
        victim("worker-1", Kind::Worker),
        victim("worker-2", Kind::Worker),
        victim("worker-3", Kind::Worker),
        victim("rabbitmq", Kind::Rabbitmq),
        victim("postgres", Kind::Postgres),
        victim("keycloak", Kind::Keycloak),
    ];

    /// The nodes of a cluster.
    pub(super) const NODES: [Self; 3] = [
        victim("rabbitmq", Kind::Rabbitmq),
        victim("rabbitmq-2", Kind::Rabbitmq),
        victim("rabbitmq-3", Kind::Rabbitmq),
    ];

    pub(super) async fn kill(self, stack: &Stack) -> Result<bool> {
        process::kill_now(stack, self.name).await
    }

    pub(super) fn is_running(self, stack: &Stack) -> bool {
        process::running(stack, self.name).is_some()
    }

    /// Starts it unless it runs, and waits until it is of use.
    pub(super) async fn start(self, stack: &Stack) -> Result<()> {
        let board = Board::Silent;
        match self.kind {
            Kind::Api | Kind::Worker => {
                let services = usher::services(stack);
                let service = services.iter().find(|service| service.name == self.name);
                usher::start_one(stack, &board, service.context("it is not part of the stack")?).await
            }
            Kind::Rabbitmq => {
                let nodes = rabbitmq::nodes(stack);
                let node = nodes.iter().find(|node| node.name == self.name);
                rabbitmq::start_node(stack, &board, node.context("it is not part of the stack")?).await
            }
            Kind::Postgres => postgres::start(stack, &board).await,
            Kind::Keycloak => keycloak::start(stack, &board).await,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Api, Self::Worker, Self::Rabbitmq, Self::Postgres, Self::Keycloak];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Rabbitmq => "rabbitmq",
            Self::Postgres => "postgres",
            Self::Keycloak => "keycloak",
        }
    }

    /// How often it is drawn, against the others.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::Api => 3,
            Self::Worker => 4,
            Self::Rabbitmq => 5,
            Self::Postgres => 5,
            // It takes longest to come back, and without it nobody is provisioned.
            Self::Keycloak => 2,
        }
    }

    /// Time to be of use again after a start, before it is drawn anew.
    pub(super) fn comes_back_within(self) -> Duration {
        Duration::from_secs(match self {
            Self::Api | Self::Worker => 2,
            Self::Postgres => 5,
            Self::Rabbitmq => 10,
            Self::Keycloak => 25,
        })
    }

    /// Whether a mail that is being sent may lose its answer by this death: who asks, who answers, and who notes it
    /// down. A send needs neither an api nor the broker.
    pub(super) fn cuts_sends(self) -> bool {
        matches!(self, Self::Worker | Self::Postgres | Self::Keycloak)
    }
}
