//! Removes what a test made, from `Drop`, where nothing can be awaited.

use std::{future::Future, thread, time::Duration};

use tokio::{runtime, time::timeout};

/// Runs `work` on a thread and a runtime of its own: that of the test is on its way out. Nobody waits for it: to drop a
/// database takes a checkpoint, and to delete a realm takes seconds. What is not done when the process ends, and what
/// fails, is left to the next run; no failure here may hide that of the test.
pub fn clean_up(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime to clean up in");
    thread::spawn(move || runtime.block_on(async { timeout(Duration::from_secs(30), work).await.is_ok() }));
}
