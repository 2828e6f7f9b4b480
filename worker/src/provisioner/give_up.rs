//! How a run lets go of a user whom it could not finish: until later, or until an operator has looked.

use shared::{
    backoff::jittered,
    crash_point::CrashPoint,
    store::{
        StoreError,
        provisioning::{self, Attempt, Cause, ClaimedUser, Fenced},
    },
    telemetry::chain,
};

use super::{Provisioned, Provisioner};
use crate::{
    metrics,
    outcome::{BUDGET_SPENT, Blame, Circumstances, Failure, Verdict},
};

impl Provisioner {
    pub(super) async fn give_up_for_now(
        &self,
        user: &ClaimedUser,
        failure: &Failure,
    ) -> Result<Provisioned, StoreError> {
        let error = failure.describe();
        let cause = Cause { error: &error, mail_answered: failure.answers_a_mail() };
        let circumstances = self.circumstances(user, failure, &error);
        let verdict = failure.verdict(circumstances);
        metrics::failed(verdict);
        if failure.needs_an_operator() || circumstances.others_alike {
            tracing::error!(error = chain(failure), "nobody gets further until an operator has looked");
        } else {
            tracing::warn!(attempts = user.attempts, ?verdict, error = chain(failure), "not done yet");
        }
        let spent = u32::try_from(user.attempts).is_ok_and(|attempts| attempts >= self.config.max_attempts);
        let (delay, attempt) = match verdict {
            Verdict::Park { reason } => return self.park(user, reason, cause).await,
            Verdict::Retry if spent => return self.park(user, BUDGET_SPENT, cause).await,
            Verdict::Retry => {
                (self.config.retry.delay(u32::try_from(user.attempts).unwrap_or_default()), Attempt::Counts)
            }
            Verdict::Snooze { at_least } => {
                (jittered(self.config.snooze.max(at_least.unwrap_or_default())), Attempt::GivenBack)
            }
        };
        CrashPoint::ProvisionBeforePostpone.pass();
        let written = self.insist(|| provisioning::postpone(&self.pool, user, attempt, delay, cause)).await?;
        CrashPoint::ProvisionPostponed.pass();
        self.due_changed.notify_one();
        Ok(if written == Fenced::Written { Provisioned::Postponed } else { Provisioned::Overtaken })
    }

    async fn park(&self, user: &ClaimedUser, reason: &str, cause: Cause<'_>) -> Result<Provisioned, StoreError> {
        CrashPoint::ProvisionBeforePark.pass();
        let written = self.insist(|| provisioning::park(&self.pool, user, reason, cause)).await?;
        CrashPoint::ProvisionParked.pass();
        tracing::error!(reason, "parked: an operator must look");
        Ok(if written == Fenced::Written { Provisioned::Parked } else { Provisioned::Overtaken })
    }

    fn circumstances(&self, user: &ClaimedUser, failure: &Failure, error: &str) -> Circumstances {
        let mut evidence = self.evidence();
        Circumstances {
            again: user.last_error.as_deref() == Some(error),
            others_alike: failure.refusal().is_some_and(|refusal| evidence.account_refused(user.id, refusal))
                || failure.mail_refusal().is_some_and(|refusal| evidence.mail_refused(user.id, &refusal)),
            others_served: failure.blame() == Blame::Mail && evidence.mail_failed(user.id),
        }
    }
}
