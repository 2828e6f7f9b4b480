//! The one way to wait: for a condition, with a deadline.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep, timeout, timeout_at};

const POLL: Duration = Duration::from_millis(20);

/// What one look at the world has shown: the thing itself, or what is there instead.
pub trait Look {
    type Seen;

    fn seen(self) -> Result<Self::Seen, String>;
}

impl Look for bool {
    type Seen = ();

    fn seen(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

impl<T> Look for Option<T> {
    type Seen = T;

    fn seen(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

/// The error is the state that was seen instead; it is what the panic shows.
impl<T, E: Debug> Look for Result<T, E> {
    type Seen = T;

    fn seen(self) -> Result<T, String> {
        self.map_err(|state| format!("{state:?}"))
    }
}

/// Looks every 20 ms until there is something to see, and panics with `what` and the last look after `patience`.
/// `what` is a statement, since it is read after "never came true".
pub async fn eventually<L: Look>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> L) -> L::Seen {
    let deadline = Instant::now() + patience;
    let mut last = "no look came back".to_owned();
    while let Ok(look) = timeout_at(deadline, look()).await {
        match look.seen() {
            Ok(seen) => return seen,
            Err(state) => last = state,
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(POLL).await;
    }
    panic!("never came true within {patience:?}: {what}; last seen: {last}")
}

/// For what is promised to take no longer. It is given twice as long: the machine has other things to do.
pub async fn promptly<T>(promised: Duration, done: impl Future<Output = T>) -> T {
    let done = timeout(promised * 2, done).await;
    done.unwrap_or_else(|_| panic!("not done after twice the {promised:?} that it may take"))
}
