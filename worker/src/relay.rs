//! Outbox to broker: claims a batch, publishes it, awaits every confirm, and commits.
//!
//! The claim is an open transaction that has deleted the rows. A connection that breaks rolls it back, and nothing was
//! decided. Events that the broker returned, refused or left unconfirmed are written again under a new row id with a
//! later time, in the same transaction, so one bad event neither blocks nor repeats its neighbours.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use lapin::{Channel, Confirmation, Connection, PublisherConfirm, options::BasicPublishOptions};
use shared::{
    crash_point::CrashPoint::{RelayClaimed, RelayCommitted, RelayConfirmed, RelayPublished},
    event::OutboxEvent,
    store::outbox::{self, Refused},
    telemetry::{MILESTONE, chain},
    trace_context::TraceContext,
};
use sqlx::PgPool;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Span, field};
use uuid::Uuid;

use crate::{
    broker::{
        connection::{BrokerError, Link, close, confirming_channel, within},
        message, topology,
    },
    config::{broker::BrokerConfig, relay::RelayConfig},
    metrics,
    passes::Passes,
};

pub struct Relay {
    pub pool: PgPool,
    pub config: RelayConfig,
    pub broker: BrokerConfig,
    /// Rung when there may be something to publish.
    pub bell: Arc<Notify>,
    /// How often the pass is made that looks below the low mark.
    pub full_pass: Duration,
}

impl Relay {
    /// Publishes for the life of the process.
    pub async fn run(self, mut link: Link, shutdown: CancellationToken) -> Result<(), BrokerError> {
        while let Some(connection) = link.connect().await {
            link.ended(self.serve(&connection, &shutdown).await);
            // An alarm lasts: a new connection would learn of it only by holding the next claim against it. This one
            // does not learn of its end when the broker itself ends.
            let status = connection.status();
            while status.blocked() && status.connected() && !shutdown.is_cancelled() {
                self.wait(&shutdown).await;
            }
            close(connection).await;
        }
        Ok(())
    }

    /// Publishes until the connection breaks or the process ends.
    async fn serve(&self, connection: &Connection, shutdown: &CancellationToken) -> Result<(), BrokerError> {
        topology::declare(connection).await?;
        let channel = confirming_channel(connection).await?;
        let mut passes = Passes::new(self.full_pass);
        let mut declare_at = None;
        while !shutdown.is_cancelled() {
            // Noticed also while there is nothing to publish.
            if !connection.status().connected() {
                return Err(BrokerError::Lost);
            }
            if declare_at.take_if(|at| Instant::now() >= *at).is_some() {
                topology::declare(connection).await?;
            }
            let published = self.publish_batch(connection, &channel, &mut passes).await?;
            if published.returned && declare_at.is_none() {
                declare_at = Some(Instant::now() + self.until_declared_again());
            }
            if !published.more {
                self.wait(shutdown).await;
            }
        }
        Ok(())
    }

    /// Sooner than any event is tried again, and not at once: a broker that is still taking leave of a deleted quorum
    /// queue would give its consumers to the new one, tell them nothing, and deliver nothing to them.
    fn until_declared_again(&self) -> Duration {
        self.config.retry.delay(1) / 2
    }

    async fn wait(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = self.bell.notified() => {}
            () = tokio::time::sleep(self.config.poll_interval) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// One transaction.
    async fn publish_batch(
        &self,
        connection: &Connection,
        channel: &Channel,
        passes: &mut Passes,
    ) -> Result<Published, BrokerError> {
        let began = Instant::now();
        let from = passes.from(began.into_std());
        let claim = match outbox::claim(&self.pool, self.config.batch.into(), from).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot read the outbox");
                return Ok(Published::default());
            }
        };
        let more = claim.events.len() == self.config.batch as usize;
        passes.claimed(from, claim.highest_id, more, Instant::now().into_std());
        if claim.events.is_empty() {
            if let Err(error) = claim.let_go().await {
                tracing::debug!(error = chain(&error), "an empty claim was not let go of");
            }
            return Ok(Published::default());
        }
        metrics::claimed(claim.events.len(), began.elapsed());
        RelayClaimed.pass();
        let spans: Vec<Span> = claim.events.iter().map(span_of).collect();
        let answers = tokio::select! {
            answers = self.publish(channel, &claim.events, &spans) => answers?,
            () = blocked(connection) => return Err(BrokerError::Blocked),
        };
        RelayConfirmed.pass();
        let refused = self.refused(&claim.events, &answers, spans);
        if let Err(error) = claim.settle(&refused).await {
            // Rolled back: the events are published again, under the same ids.
            tracing::warn!(error = chain(&error), "published events are not marked; they will be published again");
            return Ok(Published::default());
        }
        RelayCommitted.pass();
        if answers.contains(&Answer::Silence) {
            return Err(BrokerError::Timeout { doing: "confirm a message" });
        }
        Ok(Published { more, returned: answers.contains(&Answer::Returned) })
    }

    /// Sends all, then waits for all. An error says that the connection broke.
    async fn publish(
        &self,
        channel: &Channel,
        events: &[OutboxEvent],
        spans: &[Span],
    ) -> Result<Vec<Answer>, BrokerError> {
        // One task, all at once: lapin writes a burst faster than a row, and only one task may publish on a channel.
        let sending = events.iter().zip(spans).map(|(event, span)| send(channel, event, span));
        let sent = within("publish", try_join_all(sending)).await?;
        RelayPublished.pass();
        let deadline = Instant::now() + self.broker.confirm_timeout;
        let mut answers = Vec::with_capacity(sent.len());
        let mut returned = HashSet::new();
        for confirm in sent {
            answers.push(answer(confirm, deadline, &mut returned).await?);
        }
        // lapin may hand a returned message to another message's confirm; the message's own id tells whose it is.
        for (event, answer) in events.iter().zip(&mut answers) {
            if returned.contains(&event.event_id) {
                *answer = Answer::Returned;
            }
        }
        Ok(answers)
    }

    /// Ends the spans with what the broker said.
    fn refused(&self, events: &[OutboxEvent], answers: &[Answer], spans: Vec<Span>) -> Vec<Refused> {
        let mut refused = Vec::new();
        for ((event, answer), span) in events.iter().zip(answers).zip(spans) {
            let _entered = span.entered();
            metrics::sent(answer.name());
            if *answer == Answer::Confirmed {
                tracing::debug!(target: MILESTONE, milestone = "published", "user.id" = %event.user_id, event.id = %event.event_id, "an event was published");
                continue;
            }
            Span::current().record("error.type", answer.name()).record("otel.status_code", "ERROR");
            let tries = u32::try_from(event.tries).unwrap_or(u32::MAX).saturating_add(1);
            let delay = self.config.retry.delay(tries);
            tracing::warn!(event.id = %event.event_id, event.r#type = event.event_type, ?answer, tries, ?delay, "the broker did not take an event");
            refused.push(Refused { event: event.clone(), delay });
        }
        refused
    }
}

/// From the sending to the broker's answer. One for each event and none for the batch: the traces are the registrations'.
fn span_of(event: &OutboxEvent) -> Span {
    let destination = format!("{}:{}", topology::EVENTS, event.event_type);
    let span = tracing::info_span!(
        "publish",
        "otel.name" = format!("publish {destination}"),
        "otel.kind" = "producer",
        "otel.status_code" = field::Empty,
        "messaging.system" = "rabbitmq",
        "messaging.operation.name" = "publish",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = destination,
        "messaging.rabbitmq.destination.routing_key" = event.event_type,
        "messaging.message.id" = %event.event_id,
        "user.id" = %event.user_id,
        "error.type" = field::Empty,
    );
    event.trace_context.adopt(&span);
    span
}

async fn send(channel: &Channel, event: &OutboxEvent, span: &Span) -> lapin::Result<PublisherConfirm> {
    let (properties, body) = message::encode(event, &TraceContext::of(span));
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish(topology::EVENTS.into(), event.event_type.as_str().into(), options, &body, properties).await
}

/// Ends when the broker announces that it takes no more messages.
async fn blocked(connection: &Connection) {
    while !connection.status().blocked() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a batch came to.
#[derive(Debug, Default)]
struct Published {
    /// There is probably more.
    more: bool,
    /// Something found no queue, so perhaps somebody took one of ours away.
    returned: bool,
}

/// What the broker said about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Confirmed,
    /// No queue is bound for it.
    Returned,
    /// A queue refused it. One of ours may have taken it all the same.
    Nacked,
    Silence,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Returned => "returned",
            Self::Nacked => "nacked",
            Self::Silence => "silence",
        }
    }
}

async fn answer(
    confirm: PublisherConfirm,
    deadline: Instant,
    returned: &mut HashSet<Uuid>,
) -> Result<Answer, BrokerError> {
    let Ok(confirmed) = timeout_at(deadline, confirm).await else {
        return Ok(Answer::Silence);
    };
    let confirmation = confirmed.map_err(|source| BrokerError::Call { doing: "confirm a message", source })?;
    let answer = match &confirmation {
        Confirmation::Ack(_) => Answer::Confirmed,
        Confirmation::Nack(_) => Answer::Nacked,
        // Only on a channel without confirms, which `confirming_channel` never gives.
        Confirmation::NotRequested => Answer::Silence,
    };
    if let Some(message) = confirmation.take_message() {
        let id = message.delivery.properties.message_id().as_ref();
        returned.extend(id.and_then(|id| Uuid::parse_str(id.as_str()).ok()));
    }
    Ok(answer)
}
