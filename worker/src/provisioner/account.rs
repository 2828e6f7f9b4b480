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
    keycloak::users::Purpose,
    mailer, metrics,
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
        match &made {
            Err(failure) if failure.blame() == Blame::Keycloak => pass.failed(),
            _ => pass.succeeded(),
        }
        let account = self.synced(user, made?).await?;
        if user.password_waits {
            self.erase_password(user).await;
        }
        Ok(account)
    }

    /// Whether somebody may have prepared the account: it has the password that was chosen at the registration, nobody
    /// has confirmed the address, and the mail that is owed sets another password. The link in it confirms the address
    /// before that is set, and would let in whoever chose the first one.
    pub(super) async fn is_prepared(
        &self,
        user: &ClaimedUser,
        account: &Account,
        lease_end: Instant,
    ) -> Result<bool, Failure> {
        let is_set = account.password == Some(PasswordState::Set);
        if !is_set || mailer::purpose(user, account) != Purpose::PasswordSetup {
            return Ok(false);
        }
        let reading = async { self.keycloak.read(account.id).await.map_err(Failure::Account) };
        Ok(self.in_time(lease_end, reading).await?.is_untouched(user))
    }

    /// Deletes the account and makes it anew without the password. Nothing less ends a login that has been begun with
    /// it, on Keycloak's own page, and waits for the address to be confirmed.
    pub(super) async fn make_anew(
        &self,
        user: &ClaimedUser,
        account: &Account,
        lease_end: Instant,
    ) -> Result<Account, Stop> {
        self.erase_password(user).await;
        fenced(self.insist(|| provisioning::forget_account(&self.pool, user)).await?)?;
        let without_password = ClaimedUser { account: None, password_waits: true, ..user.clone() };
        let making = async {
            self.keycloak.delete(account.id).await.map_err(Failure::Account)?;
            account::ensure(&self.keycloak, &without_password, None).await
        };
        let made = self.in_time(lease_end, making).await?;
        self.synced(user, made).await
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
        let account = Account { id, realm: self.keycloak.realm().to_owned(), password };
        CrashPoint::ProvisionAccountMade.pass();
        self.evidence().account_made();
        milestone(user, "keycloak_user_created");
        let write = self.insist(|| provisioning::mark_synced(&self.pool, user, &account));
        fenced(metrics::timed("mark_synced", write).await?)?;
        CrashPoint::ProvisionSynced.pass();
        milestone(user, "synced");
        Ok(account)
    }

    /// The password that was chosen at the registration. Without it the set-up mail asks for one, so nothing waits for
    /// Redis to come back.
    async fn chosen_password(&self, user: &ClaimedUser) -> Option<SecretString> {
        let passwords = self.passwords.as_ref().filter(|_| user.password_waits)?;
        let found = passwords.find(user.id).await;
        found.inspect_err(|error| tracing::warn!(error = chain(error), "a password is lost")).ok().flatten()
    }

    pub(super) async fn erase_password(&self, user: &ClaimedUser) {
        let Some(passwords) = &self.passwords else { return };
        if let Err(error) = passwords.erase(user.id).await {
            tracing::warn!(error = chain(&error), "a password stays until its time is over");
        }
    }
}
