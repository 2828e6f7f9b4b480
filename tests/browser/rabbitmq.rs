//! What RabbitMQ's management UI shows an operator, and what can be done there: docs/rabbitmq-ui.md, step by step.
//!
//! The pictures of that page are those that this leaves in `.dev/screenshots/rabbitmq-…/`, copied by hand.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use url::Url;

use crate::{
    harness::{
        browser::Browser,
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak, Fault},
        rabbit::Probe,
        stack::Stack,
        system::{PATIENCE, Plan, Registered, System},
    },
    topology,
};

const QUEUE: &str = "usher.user-created";
const DEAD: &str = "usher.user-created.dead";
const QUEUES: [&str; 5] =
    [QUEUE, DEAD, "usher.password-setup-requested", "usher.password-setup-requested.dead", "usher.parked"];

#[tokio::test]
async fn an_operator_sees_how_many_wait_for_keycloak() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let probe = system.vhost.probe().await;
    system.until_complete(&system.register().await).await;

    let ui = Ui::log_in("rabbitmq-backlog", &system).await;
    ui.open_queues().await;
    for queue in QUEUES {
        ui.until_listed(queue, 0).await;
    }
    ui.browser.picture("html", "normal").await;

    keycloak.fail_always(Endpoint::CreateUser, Fault::status(503));
    register_until_paused(&system, &probe).await;
    // Fewer from time to time: the breaker lets one try.
    eventually("the page shows how many there are", PATIENCE, async || {
        let (shown, there) = (ui.listed(QUEUE).await, probe.depth(QUEUE).await.unwrap_or_default());
        if there > 0 && shown == there.to_string() { Ok(()) } else { Err((shown, there)) }
    })
    .await;
    ui.browser.picture("html", "backlog").await;

    keycloak.heal();
    ui.until_listed(QUEUE, 0).await;
    ui.browser.quit().await;
    system.stop().await;
}

async fn register_until_paused(system: &System, probe: &Probe) {
    eventually("the consumer pauses", PATIENCE, async || {
        system.register().await;
        probe.consumers(QUEUE).await == Some(0)
    })
    .await;
    for _ in 0..12 {
        system.register().await;
    }
    eventually("all is published", PATIENCE, async || system.outbox_depth().await == 0).await;
}

#[tokio::test]
async fn an_operator_reads_a_dead_letter_and_moves_it_back() {
    let keycloak = FakeKeycloak::start().await;
    // Only a message leads to Keycloak.
    let plan = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").set("PROVISION_LEASE", "1m");
    let mut system = plan.workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    let user = system.register_without_event().await;
    system.start_worker().await;
    let ui = Ui::log_in("rabbitmq-dead-letter", &system).await;

    probe.publish("usher.events", "user.created", b"hello", BasicProperties::default()).await;
    ui.open_queue(DEAD).await;
    ui.until_ready(1).await;
    let reason = ui.reason_of_message().await;
    assert!(reason.starts_with("the body is not JSON: "), "{reason}");
    assert_eq!((probe.purge(DEAD).await, ui.until_ready(0).await), (1, ()));

    lay_down(&probe, &user).await;
    ui.until_ready(1).await;
    ui.move_messages_to(QUEUE).await;
    system.until_complete(&user).await;
    ui.until_listed(DEAD, 0).await;
    ui.browser.quit().await;
    system.stop().await;
}

/// As an older worker would, who could not read what this one can.
async fn lay_down(probe: &Probe, user: &Registered) {
    let mut headers = FieldTable::default();
    headers.insert("x-usher-reason".into(), AMQPValue::LongString("the body is not JSON: …".into()));
    let body = json!({ "version": 1, "userId": user.id }).to_string();
    probe.publish("", DEAD, body.as_bytes(), BasicProperties::default().with_headers(headers)).await;
}

/// The management UI, as somebody sees it who is logged in. Its numbers lag by seconds, and it fetches them by itself.
struct Ui {
    browser: Browser,
    vhost: String,
}

impl Ui {
    async fn log_in(album: &str, system: &System) -> Self {
        let operator = system.vhost.create_operator().await;
        let browser = Browser::start(album).await;
        browser.open(address().as_str()).await;
        browser.paste("input[name=username]", operator).await;
        browser.paste("input[name=password]", operator).await;
        browser.click("input[value=Login]").await;
        browser.see("#logout").await;
        Self { browser, vhost: system.vhost.name().to_owned() }
    }

    async fn open_queues(&self) {
        self.browser.click("#tabs a[href='#/queues']").await;
        self.browser.see("//h1[.='Queues']").await;
    }

    async fn open_queue(&self, queue: &str) {
        self.open_queues().await;
        self.browser.click(&format!("a[href='#/queues/{}/{queue}']", self.vhost)).await;
        self.browser.see(&format!("//h1[.='Queue {queue}']")).await;
    }

    /// On the page of all queues.
    async fn until_listed(&self, queue: &str, ready: u32) {
        self.browser.see(&format!("{}[.='{ready}']", ready_of(queue))).await;
    }

    /// What the page of all queues shows now.
    async fn listed(&self, queue: &str) -> String {
        self.browser.read(&ready_of(queue)).await
    }

    /// On the page of one queue.
    async fn until_ready(&self, ready: u32) {
        self.browser.see(&format!("//tr[th[contains(., 'Messages')]]/td[2][normalize-space(.)='{ready}']")).await;
    }

    /// By "Get messages", in the mode that hands it back.
    async fn reason_of_message(&self) -> String {
        self.unfold("Get messages").await;
        assert_eq!(self.browser.read("select[name=ackmode] option:checked").await, "Nack message requeue true");
        self.browser.click("input[value='Get Message(s)']").await;
        let reason = self.browser.read("//*[@id='msg-wrapper']//tr[th='x-usher-reason:']/td").await;
        self.browser.picture("//h2[.='Get messages']", "get-messages").await;
        reason
    }

    async fn move_messages_to(&self, queue: &str) {
        self.unfold("Move messages").await;
        self.browser.paste("input[name=dest-queue]", queue).await;
        self.browser.picture("//h2[.='Move messages']", "move-messages").await;
        self.browser.click("input[value='Move messages']").await;
    }

    async fn unfold(&self, section: &str) {
        self.browser.click(&format!("//h2[.='{section}']")).await;
    }
}

/// The cell under "Ready".
fn ready_of(queue: &str) -> String {
    let column = "count(//table[@class='list']/thead/tr[2]/th[normalize-space(.)='Ready']/preceding-sibling::th)";
    format!("//tr[td[1]='{queue}']/td[{column} + 1]")
}

/// Without the login that the tests use.
fn address() -> Url {
    let mut url = Url::parse(&Stack::get().rabbitmq_management_url).expect("RABBITMQ_MANAGEMENT_URL is an address");
    url.set_username("").and_then(|()| url.set_password(None)).expect("a login can be taken out");
    url
}
