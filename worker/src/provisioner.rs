//! The only way to provision: claim, make sure of the account, mark synced, send the mail, mark served.
//!
//! Consumer, sweep and replay call the same [`Provisioner::provision`], which takes nothing but an id, reads the row,
//! and does what is missing. Doing it twice, at once or by anybody, changes nothing more.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use secrecy::SecretString;
use shared::{
    backoff::jittered,
    crash_point::CrashPoint,
    domain::user::{PasswordState, UserId},
    passwords::Passwords,
    store::{
        StoreError,
        provisioning::{self, Account, Attempt, Cause, Claim, ClaimedUser, Fenced, Served},
    },
    telemetry::{MILESTONE, chain},
};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    account::{self, Made},
    breaker::{Breaker, Opened, Pass},
    config::{WorkerConfig, provision::ProvisionConfig},
    evidence::Evidence,
    insist::insist,
    keycloak::{client::KeycloakClient, users::Purpose},
    mailer::{self, Mailer},
    metrics,
    outcome::{BUDGET_SPENT, Blame, Circumstances, Failure, Step, Verdict},
};

pub struct Provisioner {
    pub breakers: Breakers,
    /// Rung when somebody became due, or will be at another time than was known.
    pub due_changed: Notify,
    pool: PgPool,
    keycloak: Arc<KeycloakClient>,
    mailer: Arc<Mailer>,
    passwords: Option<Passwords>,
    config: ProvisionConfig,
    account_deadline: Duration,
    mail_deadline: Duration,
    /// Bounds consumer and sweep together.
    slots: Semaphore,
    evidence: Mutex<Evidence>,
    closing: CancellationToken,
}

pub struct Breakers {
    pub keycloak: Breaker,
    pub mail: Breaker,
}

/// What a run came to. Whatever it says, the row knows: there is nothing left for the caller to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioned {
    Done,
    Postponed,
    Parked,
    /// Somebody else has the user, or there is nothing to do.
    NotOurs,
    /// There is no such user.
    Unknown,
    /// The lease ended before the run did, and somebody else went on.
    Overtaken,
    /// Not begun: Keycloak is down, or the process is ending.
    Paused,
    /// A defect of ours. The attempt counts, and when the lease ends somebody tries again.
    Panicked,
}

/// Why a run stops before its end.
enum Stop {
    Failed(Failure),
    Overtaken,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Provisioner {
    pub fn new(config: &WorkerConfig, pool: PgPool, closing: CancellationToken) -> anyhow::Result<Self> {
        let keycloak = Arc::new(KeycloakClient::new(&config.keycloak)?);
        Ok(Self {
            breakers: Breakers {
                keycloak: Breaker::new("keycloak", config.breaker),
                mail: Breaker::new("mail", config.breaker),
            },
            due_changed: Notify::new(),
            pool,
            mailer: Arc::new(Mailer::new(Arc::clone(&keycloak), config.mail.clone())?),
            keycloak,
            passwords: config.passwords.as_ref().map(Passwords::new).transpose()?,
            account_deadline: config.keycloak.deadline,
            mail_deadline: config.mail.deadline,
            slots: Semaphore::new(config.provision.concurrency.into()),
            config: config.provision.clone(),
            evidence: Mutex::default(),
            closing,
        })
    }

    /// Does what is missing for one user. An error says that the database did not answer, so nothing can be known.
    #[tracing::instrument(skip_all, fields(user.id = %id))]
    pub async fn provision(&self, id: UserId) -> Result<Provisioned, StoreError> {
        let ended = survive(self.run(id)).await.unwrap_or(Ok(Provisioned::Panicked));
        metrics::run_ended(&ended);
        ended
    }

    async fn run(&self, id: UserId) -> Result<Provisioned, StoreError> {
        let entered = self.closing.run_until_cancelled(async {
            let slot = self.slots.acquire().await.map_err(|_| Opened)?;
            Ok::<_, Opened>((slot, self.breakers.keycloak.enter().await?))
        });
        let Some(Ok((_slot, keycloak))) = entered.await else {
            return Ok(Provisioned::Paused);
        };
        let lease_end = Instant::now() + self.config.lease;
        let claim = provisioning::claim(&self.pool, id, self.config.lease, self.may_mail());
        let user = match metrics::timed("claim", claim).await? {
            Claim::Taken(user) => user,
            Claim::NotOurs => return Ok(Provisioned::NotOurs),
            Claim::Unknown => return Ok(Provisioned::Unknown),
        };
        CrashPoint::ProvisionClaimed.pass();
        // A run that an event led to stands in that trace already.
        user.cause.link(&Span::current());
        match self.walk(&user, keycloak, lease_end).await {
            Ok(()) => Ok(Provisioned::Done),
            Err(Stop::Failed(failure)) => self.give_up_for_now(&user, &failure).await,
            Err(Stop::Overtaken) => {
                tracing::warn!("the lease ended before the work did; somebody else goes on");
                Ok(Provisioned::Overtaken)
            }
            Err(Stop::Store(error)) => Err(error),
        }
    }

    pub fn mailer(&self) -> Arc<Mailer> {
        Arc::clone(&self.mailer)
    }

    /// Whether a user who only waits for a mail would get one: always, or as the probe of an open breaker.
    pub fn may_mail(&self) -> bool {
        self.breakers.mail.reopens_in().is_none_or(|wait| wait.is_zero())
    }

    async fn walk(&self, user: &ClaimedUser, keycloak: Pass<'_>, lease_end: Instant) -> Result<(), Stop> {
        self.check_budget(user)?;
        let (account, pass) = match &user.account {
            Some(account) => {
                self.check_realm(account)?;
                (account.clone(), Some(keycloak))
            }
            None => (self.make_account(user, keycloak, lease_end).await?, None),
        };
        match self.is_prepared(user, &account, lease_end).await {
            Ok(false) => self.send_mail(user, &account, pass).await,
            Ok(true) => {
                let account = self.make_anew(user, &account, lease_end).await?;
                self.send_mail(user, &account, pass).await
            }
            Err(failure) => {
                if let (Some(pass), Blame::Keycloak) = (pass, failure.blame()) {
                    pass.failed();
                }
                Err(failure.into())
            }
        }
    }

    /// The attempts of runs that ended by themselves are judged when they end; these ones died.
    fn check_budget(&self, user: &ClaimedUser) -> Result<(), Failure> {
        let spent = u32::try_from(user.attempts).is_ok_and(|attempts| attempts > self.config.max_attempts);
        if spent { Err(Failure::BudgetSpent) } else { Ok(()) }
    }

    fn check_realm(&self, account: &Account) -> Result<(), Failure> {
        if account.realm == self.keycloak.realm() {
            Ok(())
        } else {
            Err(Failure::OtherRealm { kept: account.realm.clone() })
        }
    }

    async fn make_account(&self, user: &ClaimedUser, pass: Pass<'_>, lease_end: Instant) -> Result<Account, Stop> {
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
    async fn is_prepared(&self, user: &ClaimedUser, account: &Account, lease_end: Instant) -> Result<bool, Failure> {
        let is_set = account.password == Some(PasswordState::Set);
        if !is_set || mailer::purpose(user, account) != Purpose::PasswordSetup {
            return Ok(false);
        }
        let reading = async { self.keycloak.read(account.id).await.map_err(Failure::Account) };
        Ok(self.in_time(lease_end, reading).await?.is_untouched(user))
    }

    /// Deletes the account and makes it anew without the password. Nothing less ends a login that has been begun with
    /// it, on Keycloak's own page, and waits for the address to be confirmed.
    async fn make_anew(&self, user: &ClaimedUser, account: &Account, lease_end: Instant) -> Result<Account, Stop> {
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

    async fn erase_password(&self, user: &ClaimedUser) {
        let Some(passwords) = &self.passwords else { return };
        if let Err(error) = passwords.erase(user.id).await {
            tracing::warn!(error = chain(&error), "a password stays until its time is over");
        }
    }

    /// `keycloak` is the pass of a run that has not asked Keycloak anything yet.
    async fn send_mail(&self, user: &ClaimedUser, account: &Account, keycloak: Option<Pass<'_>>) -> Result<(), Stop> {
        let Ok(mail) = self.breakers.mail.enter().await else {
            return Err(Failure::MailPaused.into());
        };
        // On what the lease has beyond its longest step.
        self.mailer.turn(self.config.lease_margin).await.map_err(|wait| Failure::MailPaced { wait })?;
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

    async fn give_up_for_now(&self, user: &ClaimedUser, failure: &Failure) -> Result<Provisioned, StoreError> {
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

    async fn insist<T, Answer>(&self, write: impl Fn() -> Answer) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        insist(self.config.lease, &self.closing, write).await
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

    fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic ends the run of one user and no other.
async fn survive<T>(run: impl Future<Output = T>) -> Option<T> {
    let ended = AssertUnwindSafe(run).catch_unwind().await;
    ended.inspect_err(|_| tracing::error!("a run panicked; the others go on")).ok()
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

/// Whether what was claimed stays ours for the whole of the next step, by a clock that goes on while we are stopped.
fn ours_for(step: Step, takes: Duration, lease_end: Instant) -> Result<(), Failure> {
    if Instant::now() + takes < lease_end { Ok(()) } else { Err(Failure::LeaseTooShort { step }) }
}

fn fenced(written: Fenced) -> Result<(), Stop> {
    match written {
        Fenced::Written => Ok(()),
        Fenced::Lost => Err(Stop::Overtaken),
    }
}

fn milestone(user: &ClaimedUser, milestone: &'static str) {
    tracing::debug!(target: MILESTONE, milestone, "user.id" = %user.id, "a user came further");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_run_harms_no_other() {
        let slots = Semaphore::new(1);
        let panics = async {
            let _slot = slots.acquire().await;
            panic!("a defect");
        };
        assert_eq!(survive(panics).await, None);
        assert_eq!(survive(async { slots.available_permits() }).await, Some(1), "the slot is free again");
    }
}
