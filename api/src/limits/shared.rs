//! Counts that all replicas share, in Redis. They fail open: without Redis each replica counts for itself.

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use redis::{RedisError, Script, aio::ConnectionManager};
use shared::{
    redis::{RedisAddress, connect},
    telemetry::chain,
};
use tokio::time::{Instant, timeout};

use super::rate::Rate;
use crate::metrics;

/// A request waits no longer for its count.
const PATIENCE: Duration = Duration::from_millis(100);
/// Redis is not asked for so long after it failed: a request must not pay for each failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The generic cell rate algorithm (ITU-T I.371), as each replica has it for itself, by Redis' own clock. Kept is when
/// the bucket will be full again, for as long as it is not; the answer is how long to wait, in microseconds.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local one, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
         local full = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now) + one
         local wait = full - one * burst - now
         if wait > 0 then return wait end
         redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
         return 0",
    )
});

#[derive(Clone)]
pub struct SharedCounts {
    redis: ConnectionManager,
    /// After a failure.
    asleep_until: Arc<Mutex<Option<Instant>>>,
}

impl SharedCounts {
    /// Connects to nothing yet.
    pub fn new(address: &RedisAddress) -> Result<Self, RedisError> {
        Ok(Self { redis: connect(address)?, asleep_until: Arc::default() })
    }

    /// Counts one, or says how long to wait. Whoever cannot be counted may pass.
    pub(super) async fn admit(&self, key: &str, rate: Rate) -> Result<(), Duration> {
        if self.sleeps() {
            metrics::limit_failed_open();
            return Ok(());
        }
        let (mut redis, (one, burst)) = (self.redis.clone(), rate.cells());
        let one = u64::try_from(one.as_micros()).unwrap_or(u64::MAX);
        let mut count = COUNT.key(format!("usher:limit:{key}"));
        let wait = count.arg(one).arg(burst).invoke_async(&mut redis);
        match timeout(PATIENCE, wait).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(micros)) => return Err(Duration::from_micros(micros)),
            Ok(Err(error)) => self.fall_asleep(&chain(&error)),
            Err(_elapsed) => self.fall_asleep("no answer in time"),
        }
        Ok(())
    }

    fn sleeps(&self) -> bool {
        let until = *self.asleep_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn fall_asleep(&self, error: &str) {
        tracing::warn!(error, "limits are not shared at the moment: each replica counts for itself");
        metrics::limit_failed_open();
        *self.asleep_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

impl fmt::Debug for SharedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCounts").finish_non_exhaustive()
    }
}
