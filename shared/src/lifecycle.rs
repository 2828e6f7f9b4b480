//! Starting, watching and ending the tasks of a process. Nothing else spawns long-running tasks or sees signals.
//!
//! A first SIGTERM or SIGINT asks every task to finish; a second one, or the end of the time to drain, ends the process
//! at once. A task that ends although nobody asked takes the process down, so that whoever restarts it can.

use std::{
    error::Error,
    future::Future,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::telemetry::chain;

/// The tasks of this process.
#[derive(Clone, Default)]
pub struct Lifecycle {
    shutdown: CancellationToken,
    tasks: TaskTracker,
    crashed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// Cancelled when the process is asked to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs a task for the life of the process. It must end only after [`Lifecycle::shutdown`]; ending earlier, with an
    /// error or by a panic, ends the process with a failure.
    #[expect(clippy::disallowed_methods, reason = "this is where tasks are tracked and watched")]
    pub fn spawn<E>(&self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Error + Send + 'static,
    {
        let task = tokio::spawn(task);
        let this = self.clone();
        self.tasks.spawn(async move {
            let fault = match task.await {
                Ok(Ok(())) if this.shutdown.is_cancelled() => return,
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(error)) => chain(&error),
                Err(panic) => panic.to_string(),
            };
            tracing::error!(task = name, fault, "a task ended that must not; shutting down");
            this.crashed.store(true, Ordering::Relaxed);
            this.shutdown.cancel();
        });
    }

    /// Waits for a signal or a crash, then up to `drain` for the tasks to end.
    pub async fn run(self, mut signals: Signals, drain: Duration) -> ExitCode {
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "finishing what is in flight"),
            () = self.shutdown.cancelled() => {}
        }
        self.shutdown.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => self.exit_code(),
            () = tokio::time::sleep(drain) => gave_up("the time to drain is over"),
            _ = signals.next() => gave_up("a second signal"),
        }
    }

    /// Ends all tasks and waits for them: what a test does instead of a signal. Says whether none had crashed.
    pub async fn stop(&self) -> bool {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        !self.crashed.load(Ordering::Relaxed)
    }

    fn exit_code(&self) -> ExitCode {
        if self.crashed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn gave_up(why: &str) -> ExitCode {
    tracing::error!(why, "ending at once; what was in flight will be done again");
    ExitCode::FAILURE
}

/// What asks a process to end. Until somebody listens, each ends it on the spot: listen once the process has begun, and
/// before it says so.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
