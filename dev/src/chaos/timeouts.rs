//! Sends that nobody answered in time, as the workers told their operator when it happened. Such a mail may have left:
//! after a kill Keycloak is cold, and on a loaded machine a send can take longer than `MAIL_DEADLINE`.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use serde_json::Value;
use uuid::Uuid;

use super::victim::{Kind, Victim};
use crate::stack::Stack;

/// By user.
pub(super) fn read(ground: &Stack) -> Result<BTreeMap<Uuid, i32>> {
    let mut timeouts = BTreeMap::new();
    for worker in Victim::ALL.iter().filter(|victim| victim.kind == Kind::Worker) {
        let log = fs::read_to_string(ground.log_file(worker.name))?;
        for user in log.lines().filter_map(timed_out) {
            *timeouts.entry(user).or_default() += 1;
        }
    }
    Ok(timeouts)
}

/// Whose send it was, if the line says so.
fn timed_out(line: &str) -> Option<Uuid> {
    let line: Value = serde_json::from_str(line).ok()?;
    let error = line["error"].as_str()?;
    let is_ours = error == "sending the set-up mail took too long"
        || error.starts_with("the set-up mail was not accepted: Keycloak did not send it: could not reach Keycloak to send the set-up mail")
            && error.ends_with("operation timed out");
    is_ours.then(|| line["span"]["user.id"].as_str()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mail_without_an_answer_counts() {
        let line = |error: &str| format!(r#"{{"error":"{error}","span":{{"user.id":"{}"}}}}"#, Uuid::nil());
        for error in [
            "sending the set-up mail took too long",
            "the set-up mail was not accepted: Keycloak did not send it: could not reach Keycloak to send the set-up mail: error sending request: operation timed out",
        ] {
            assert_eq!(timed_out(&line(error)), Some(Uuid::nil()), "{error}");
        }
        for error in [
            "making sure of the account took too long",
            "the set-up mail was not accepted: Keycloak did not send it: could not reach Keycloak to send the set-up mail: error sending request: connection reset",
            "the set-up mail was not accepted: Keycloak did not send it: could not reach Keycloak to log the service account in: operation timed out",
        ] {
            assert_eq!(timed_out(&line(error)), None, "{error}");
        }
    }
}
