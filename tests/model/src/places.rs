//! Where each guard stands in the code. A test looks that it still does, so that the model speaks of what there is.

use crate::guard::{Guard, Write};

pub struct Place {
    pub guard: Guard,
    pub file: &'static str,
    pub function: &'static str,
    /// What makes the guard, in this order.
    pub lines: &'static [&'static str],
}

const REGISTRATION: &str = "api/src/registration.rs";
const REGISTRATIONS: &str = "shared/src/store/registrations/mod.rs";
const GROUPING: &str = "api/src/grouping.rs";
const GROUP: &str = "shared/src/store/registrations/group.rs";
const MAIL_REQUESTS: &str = "shared/src/store/mail_requests.rs";
const PROVISIONING: &str = "shared/src/store/provisioning.rs";
const RELAY: &str = "worker/src/relay.rs";
const SWEEP: &str = "worker/src/sweep.rs";
const MAIL: &str = "worker/src/provisioner/mail.rs";
const ACCOUNT: &str = "worker/src/account.rs";

const FENCE: &[&str] = &["UPDATE users", "WHERE id = $1 AND claim_no = $2"];

/// All but [`Guard::Fence`], which is all fences, and [`Guard::UniqueNames`], which is Keycloak's.
pub const PLACES: [Place; 20] = [
    place(Guard::AnswerAfterCommit, REGISTRATION, "commit", &["state.groups.register(", ".await?", "Ok(created)"]),
    place(Guard::OneStatement, REGISTRATIONS, "insert", &["WITH new_user AS (", "INSERT INTO outbox", "FROM new_user"]),
    place(Guard::AnswerAfterCommit, GROUPING, "write", &["group::register_group(", "Ok(Ok(written))", "done.send("]),
    place(Guard::OneStatement, GROUP, "register_group", &["INSERT INTO users", "INSERT INTO outbox", "JOIN new_user"]),
    place(Guard::Confirm, RELAY, "refused", &["if *answer == Answer::Confirmed", "continue;", "refused.push("]),
    place(Guard::Lease, PROVISIONING, "claim", &["AND (leased_until IS NULL OR leased_until < now())"]),
    place(
        Guard::OpenOnly,
        PROVISIONING,
        "claim",
        &["AND CASE WHEN synced_at IS NULL THEN true ELSE mail_wanted > mail_served AND $3 END"],
    ),
    place(Guard::NotParked, PROVISIONING, "claim", &["AND parked_at IS NULL"]),
    place(Guard::FenceOf(Write::MarkSynced), PROVISIONING, "mark_synced", FENCE),
    place(Guard::FenceOf(Write::BeginMail), PROVISIONING, "begin_mail", FENCE),
    place(Guard::FenceOf(Write::MarkServed), PROVISIONING, "mark_served", FENCE),
    place(Guard::FenceOf(Write::Postpone), PROVISIONING, "postpone", FENCE),
    place(Guard::FenceOf(Write::Park), PROVISIONING, "park", FENCE),
    place(Guard::Adoption, ACCOUNT, "ensure_with", &["look_up(keycloak, user, &error)", "Ok(made(found.id"]),
    place(Guard::Proof, ACCOUNT, "ensure_with", &["if !found.is_of(user)", "Err(Failure::Conflict)"]),
    place(Guard::TryRecordedFirst, MAIL, "send_mail", &["provisioning::begin_mail(", "fenced(", ".send_setup("]),
    place(Guard::ServedAfterMail, MAIL, "send_mail", &[".send_setup(", "sent?;", "provisioning::mark_served("]),
    place(Guard::ServedAsClaimed, PROVISIONING, "mark_served", &["SET mail_served = $3", "user.mail_wanted,"]),
    place(
        Guard::EndedLeaseMayMail,
        MAIL_REQUESTS,
        "request",
        &["mail_wanted = mail_claimed", "leased_until IS NOT NULL"],
    ),
    place(Guard::Sweep, SWEEP, "take_on", &["provisioner.provision(user)"]),
];

const fn place(guard: Guard, file: &'static str, function: &'static str, lines: &'static [&'static str]) -> Place {
    Place { guard, file, function, lines }
}
