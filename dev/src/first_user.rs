//! Registers a user the way everybody does, and shows the way it takes through the system.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::{
    addresses,
    stack::Stack,
    timeline::{MILESTONES, Timeline},
};

const PATIENCE: Duration = Duration::from_mins(1);
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn welcome(stack: &Stack) -> Result<()> {
    let client = Client::builder().timeout(REQUEST_WITHIN).build()?;
    let remembered = stack.state.join("first-user");
    if let Ok(id) = fs::read_to_string(&remembered)
        && let Some(status) = status(stack, &client, &id).await?
    {
        println!("\nnothing to do: the first user, ada, is {status} ({id})");
        return Ok(());
    }
    let Some(ada) = register(stack, &client, "ada", "Ada", "Lovelace").await? else {
        println!("\nnothing to do: ada is registered already");
        return Ok(());
    };
    fs::write(remembered, &ada.id)?;
    ada.print_timeline();
    // The first one also pays for connections and tokens that every later one finds ready.
    if let Some(grace) = register(stack, &client, "grace", "Grace", "Hopper").await? {
        println!("\nthe second one, grace, now that everything is warm: {}", grace.total());
    }
    Ok(())
}

struct Journey {
    id: String,
    username: String,
    sent: DateTime<Utc>,
    passed: Vec<Option<DateTime<Utc>>>,
}

/// None if there is such a user already.
async fn register(stack: &Stack, client: &Client, username: &str, first: &str, last: &str) -> Result<Option<Journey>> {
    let mut timeline = Timeline::start(stack);
    let body = json!({ "username": username, "email": format!("{username}@example.com"), "firstName": first, "lastName": last });
    let request = client.post(format!("{}/users/register", addresses::api(stack))).json(&body);
    let sent = Utc::now();
    let answer = request.send().await.context("the api does not answer")?;
    let (code, user) = (answer.status(), answer.json::<Value>().await.unwrap_or_default());
    if code == StatusCode::CONFLICT {
        return Ok(None);
    }
    let Some(id) = user["id"].as_str().filter(|_| code == StatusCode::CREATED) else {
        bail!("{username} could not be registered: HTTP {code} {user}");
    };
    let passed = timeline.follow(id, PATIENCE).await?;
    let journey = Journey { id: id.to_owned(), username: username.to_owned(), sent, passed };
    journey.ensure_complete()?;
    Ok(Some(journey))
}

impl Journey {
    fn ensure_complete(&self) -> Result<()> {
        if self.passed.iter().all(Option::is_some) {
            return Ok(());
        }
        self.print_timeline();
        bail!(
            "{} did not arrive within {} s; the user is safe and will be led on. Look at cargo dev logs worker-1, \
             cargo dev logs worker-2 and cargo dev logs keycloak",
            self.username,
            PATIENCE.as_secs()
        )
    }

    fn print_timeline(&self) {
        println!("\nregistered {} ({}), milliseconds since the request:", self.username, self.id);
        for ((_, text), passed) in MILESTONES.iter().zip(&self.passed) {
            let after = passed.map_or_else(|| "-".into(), |at| format!("{:.1}", self.milliseconds_until(at)));
            println!("  {after:>8}  {text}");
        }
    }

    fn total(&self) -> String {
        let last = self.passed.last().copied().flatten();
        last.map_or_else(
            || "unknown".into(),
            |at| format!("{:.0} ms from request to mail accepted", self.milliseconds_until(at)),
        )
    }

    fn milliseconds_until(&self, at: DateTime<Utc>) -> f64 {
        (at - self.sent).to_std().unwrap_or_default().as_secs_f64() * 1000.0
    }
}

/// The status of a user, None if the api does not know it (its database was made anew).
async fn status(stack: &Stack, client: &Client, id: &str) -> Result<Option<String>> {
    let url = format!("{}/users/{}/status", addresses::api(stack), id.trim());
    let answer = client.get(url).send().await.context("the api does not answer")?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let body: Value = answer.error_for_status()?.json().await?;
    Ok(Some(body["status"].as_str().unwrap_or("of unknown status").to_owned()))
}
