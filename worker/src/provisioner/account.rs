//! The account of one user: made, known to the row, and without a password that somebody else may have chosen.

use std::future::Future;

use secrecy::SecretString;
use shared::{
    crash_point::CrashPoint,
    domain::user::PasswordState,
    store::provisioning::{self, Account, ClaimedUser},
    telemetry::chain,
};
use tokio::time::{Instant, timeout};

use super::{
    Provisioner,
    step::{Stop, fenced, milestone, ours_for},
};
use crate::{
    account::{self, Made},
    breaker::Pass,
    metrics,
    outcome::{Blame, Failure, Step},
};

impl Provisioner {
    pub(super) async fn make_account(
        &self,
        user: &ClaimedUser,
        pass: Pass<'_>,
        lease_end: Instant,
    ) -> Result<Account, Stop> {
        let making = async {
            let password = self.chosen_password(user).await;
            account::ensure(&self.keycloak, user, password.as_ref()).await
        };
        let made = self.in_time(lease_end, making).await;
        tell(pass, &made);
        let account = self.synced(user, made?).await?;
        if user.password_waits {
            self.erase_password(user).await;
        }
        Ok(account)
    }

    /// The account as a mail may be sent to it: not with a password that somebody may have prepared it with. Such an
    /// account is made anew, in the way that every account is made.
    ///
    /// The row forgets it first: whoever goes on after a crash looks for it, and for none that an operator deletes until
    /// then, because nobody could tell that from our own deletion. One that was touched since it was made (its address
    /// confirmed or changed, or the account disabled) is left as it is: anybody can ask for a mail. It is looked at again
    /// directly before it is deleted.
    pub(super) async fn unprepared<'a>(
        &self,
        user: &ClaimedUser,
        account: &Account,
        pass: Pass<'a>,
        lease_end: Instant,
    ) -> Result<(Account, Option<Pass<'a>>), Stop> {
        if user.chosen_password_counts() || account.password != Some(PasswordState::Set) {
            return Ok((account.clone(), Some(pass)));
        }
        let reading = async { self.keycloak.read(account.id).await.map_err(Failure::Account) };
        let found = self.in_time(lease_end, reading).await;
        if !found.as_ref().is_ok_and(|found| found.is_of(user) && found.is_untouched()) {
            tell(pass, &found);
            return Ok(found.map(|_| (account.clone(), None))?);
        }
        let lease_end = Instant::now() + self.config.lease;
        let write = provisioning::forget_account(&self.pool, user, self.config.lease);
        fenced(metrics::timed("forget_account", write).await?)?;
        CrashPoint::ProvisionAccountForgotten.pass();
        // Without a realm as well: nobody has asked for its deletion yet.
        let forgotten = ClaimedUser { account: None, realm: None, password_waits: true, ..user.clone() };
        Ok((self.make_account(&forgotten, pass, lease_end).await?, None))
    }

    /// A step at Keycloak: only while the user stays ours for all of it, and no longer than it may take.
    async fn in_time<T>(
        &self,
        lease_end: Instant,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        ours_for(Step::Account, self.account_deadline, lease_end)?;
        let began = Instant::now();
        let done = timeout(self.account_deadline, step).await;
        let done = done.unwrap_or(Err(Failure::TooSlow { step: Step::Account }));
        metrics::stepped(Step::Account, done.is_ok(), began.elapsed());
        done
    }

    async fn synced(&self, user: &ClaimedUser, Made { id, password }: Made) -> Result<Account, Stop> {
        let account = Account { id, password };
        CrashPoint::ProvisionAccountMade.pass();
        self.evidence().account_made();
        milestone(user, "keycloak_user_created");
        let write = self.insist(|| provisioning::mark_synced(&self.pool, user, &account, self.keycloak.realm()));
        fenced(metrics::timed("mark_synced", write).await?)?;
        CrashPoint::ProvisionSynced.pass();
        milestone(user, "synced");
        Ok(account)
    }

    /// The password that was chosen at the registration, while it counts. Without it the set-up mail asks for one, so
    /// nothing waits for Redis to come back.
    async fn chosen_password(&self, user: &ClaimedUser) -> Option<SecretString> {
        let passwords = self.passwords.as_ref().filter(|_| user.password_waits && user.chosen_password_counts())?;
        let found = passwords.find(user.id).await;
        found.inspect_err(|error| tracing::warn!(error = chain(error), "a password is lost")).ok().flatten()
    }

    async fn erase_password(&self, user: &ClaimedUser) {
        let Some(passwords) = &self.passwords else { return };
        if let Err(error) = passwords.erase(user.id).await {
            tracing::warn!(error = chain(&error), "a password stays until its time is over");
        }
    }
}

/// Tells the breaker what an answer says about Keycloak.
fn tell<T>(keycloak: Pass<'_>, asked: &Result<T, Failure>) {
    match asked {
        Err(failure) if failure.blame() == Blame::Keycloak => keycloak.failed(),
        // It was not asked.
        Err(Failure::LeaseTooShort { .. }) => drop(keycloak),
        _ => keycloak.succeeded(),
    }
}
