//! The mail of one user: in its turn, counted before it is tried, and noted once a mail server has it.

use shared::{
    crash_point::CrashPoint,
    store::provisioning::{self, Account, ClaimedUser, Served},
};
use tokio::time::{Instant, timeout};

use super::{
    Provisioner,
    step::{Stop, fenced, milestone, ours_for},
};
use crate::{
    breaker::{Opened, Pass},
    metrics,
    outcome::{Blame, Failure, Step},
};

impl Provisioner {
    /// Waits until a mail may leave.
    pub(super) async fn turn(&self) -> Result<Pass<'_>, Failure> {
        let mail = self.breakers.mail.enter().await.map_err(|Opened| Failure::MailPaused)?;
        // On what the lease has beyond its longest step.
        self.mailer.turn(self.config.lease_margin).await.map_err(|wait| Failure::MailPaced { wait })?;
        Ok(mail)
    }

    /// `keycloak` is the pass of a run that has not asked Keycloak anything yet.
    pub(super) async fn send_mail(
        &self,
        user: &ClaimedUser,
        account: &Account,
        mail: Pass<'_>,
        keycloak: Option<Pass<'_>>,
    ) -> Result<(), Stop> {
        let lease_end = Instant::now() + self.config.lease;
        let write = provisioning::begin_mail(&self.pool, user, self.config.lease);
        fenced(metrics::timed("begin_mail", write).await?)?;
        CrashPoint::ProvisionMailBegun.pass();
        // The one step that cannot be taken back: not on a lease that a long sleep has used up.
        ours_for(Step::Mail, self.mail_deadline, lease_end)?;
        let began = Instant::now();
        let sent = timeout(self.mail_deadline, self.mailer.send_setup(user, account)).await;
        let sent = sent.map_or(Err(Failure::TooSlow { step: Step::Mail }), |sent| sent.map_err(Failure::Mail));
        metrics::stepped(Step::Mail, sent.is_ok(), began.elapsed());
        report(&sent, mail, keycloak);
        sent?;
        CrashPoint::ProvisionMailAccepted.pass();
        milestone(user, "mail_accepted");
        metrics::mailed(user);
        self.evidence().mail_accepted(user.id);
        let write = self.insist(|| provisioning::mark_served(&self.pool, user));
        let served = metrics::timed("mark_served", write).await?;
        CrashPoint::ProvisionServed.pass();
        match served {
            Served::Complete => Ok(()),
            Served::OwesAnother => {
                self.due_changed.notify_one();
                Ok(())
            }
            Served::Lost => Err(Stop::Overtaken),
        }
    }
}

/// Tells the breakers what a mail's answer says about each downstream.
fn report(sent: &Result<(), Failure>, mail: Pass<'_>, keycloak: Option<Pass<'_>>) {
    let blame = sent.as_ref().err().map(Failure::blame);
    match blame {
        None => mail.succeeded(),
        Some(Blame::Mail) => mail.failed(),
        // The question did not get as far as a mail server.
        Some(Blame::Keycloak | Blame::Nobody) => drop(mail),
    }
    match (keycloak, blame) {
        (Some(pass), Some(Blame::Keycloak)) => pass.failed(),
        // The silence may be Keycloak's own.
        (Some(pass), _) if sent.as_ref().is_err_and(Failure::is_silence) => drop(pass),
        (Some(pass), _) => pass.succeeded(),
        (None, _) => {}
    }
}
