//! The only way to provision: claim, make sure of the account, mark synced, send the mail, mark served.
//!
//! Consumer, sweep and replay call the same [`Provisioner::provision`], which takes nothing but an id, reads the row,
//! and does what is missing. Doing it twice, at once or by anybody, changes nothing more.
//!
//! [`account`] and [`mail`] are its steps, [`give_up`] says what becomes of a user whom a run could not finish.

mod account;
mod give_up;
mod mail;
mod step;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use shared::{
    crash_point::CrashPoint,
    domain::user::UserId,
    passwords::Passwords,
    store::{
        StoreError,
        provisioning::{self, Claim, ClaimedUser},
    },
};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use self::step::Stop;
use crate::{
    breaker::{Breaker, Opened, Pass},
    config::{WorkerConfig, provision::ProvisionConfig},
    evidence::Evidence,
    keycloak::client::KeycloakClient,
    mailer::Mailer,
    metrics,
    outcome::Failure,
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

    pub fn keycloak(&self) -> &KeycloakClient {
        &self.keycloak
    }

    pub fn passwords(&self) -> Option<&Passwords> {
        self.passwords.as_ref()
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
        self.check_realm(user)?;
        let (account, mail, keycloak) = match &user.account {
            // Whoever has to wait for the mail has an account meanwhile.
            None => (self.make_account(user, keycloak, lease_end).await?, self.turn().await?, None),
            // And loses none before the mail can leave.
            Some(account) => {
                let mail = self.turn().await?;
                let (account, keycloak) = self.unprepared(user, account, keycloak, lease_end).await?;
                (account, mail, keycloak)
            }
        };
        self.send_mail(user, &account, mail, keycloak).await
    }

    /// The attempts of runs that ended by themselves are judged when they end; these ones died.
    fn check_budget(&self, user: &ClaimedUser) -> Result<(), Failure> {
        let spent = u32::try_from(user.attempts).is_ok_and(|attempts| attempts > self.config.max_attempts);
        if spent { Err(Failure::BudgetSpent) } else { Ok(()) }
    }

    /// Also while the account is not known: this worker would make a second one.
    fn check_realm(&self, user: &ClaimedUser) -> Result<(), Failure> {
        match user.realm.as_deref() {
            Some(kept) if kept != self.keycloak.realm() => Err(Failure::OtherRealm { kept: kept.to_owned() }),
            _ => Ok(()),
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
