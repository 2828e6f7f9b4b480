//! Noticing a client that keeps us waiting: in the middle of a request's header (slow loris), or by not taking its
//! answer. The time for a body is kept where it is read.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::{Instant, sleep_until},
};

/// Since when the client keeps us waiting, if it does.
#[derive(Debug, Clone)]
pub(super) struct Stall {
    since: watch::Sender<Option<Instant>>,
    /// What arrives meanwhile is a body, or the next request: the client is not waited for.
    answering: Arc<AtomicBool>,
}

impl Default for Stall {
    fn default() -> Self {
        Self { since: watch::Sender::new(None), answering: Arc::default() }
    }
}

impl Stall {
    fn begins(&self) {
        self.since.send_if_modified(|since| {
            let begins = since.is_none();
            since.get_or_insert_with(Instant::now);
            begins
        });
    }

    fn is_over(&self) {
        self.since.send_if_modified(|since| since.take().is_some());
    }

    /// The header is complete; it is our turn until `answer` is there.
    pub(super) async fn while_answering<T>(&self, answer: impl Future<Output = T>) -> T {
        self.answering.store(true, Ordering::Relaxed);
        self.is_over();
        let answer = answer.await;
        self.answering.store(false, Ordering::Relaxed);
        answer
    }

    /// Returns when the client has kept us waiting for so long.
    pub(super) async fn lasts(&self, patience: Duration) {
        let mut since = self.since.subscribe();
        loop {
            let begun = *since.borrow_and_update();
            tokio::select! {
                () = until(begun.map(|begun| begun + patience)) => return,
                // Cannot fail: the sender is `self`.
                _ = since.changed() => {}
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A stream that tells when its client keeps us waiting.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    stall: Stall,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, stall: Stall) -> Self {
        Self { stream, stall }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before && !self.stall.answering.load(Ordering::Relaxed) {
            self.stall.begins();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn writing<T>(&mut self, write: impl FnOnce(Pin<&mut S>) -> Poll<T>) -> Poll<T> {
        let polled = write(Pin::new(&mut self.stream));
        if polled.is_pending() { self.stall.begins() } else { self.stall.is_over() }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing(|stream| stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::timeout,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn ends_within(stall: &Stall, seconds: u64) -> bool {
        timeout(Duration::from_secs(seconds), stall.lasts(PATIENCE)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_of_a_header_starts_the_clock_and_further_bytes_do_not_set_it_back() {
        let (mut client, server) = duplex(64);
        let stall = Stall::default();
        let mut server = Watched::new(server, stall.clone());
        assert!(!ends_within(&stall, 60).await, "nobody waits for the next request");
        for seconds in [4, 4] {
            client.write_all(b"G").await.unwrap();
            server.read_u8().await.unwrap();
            assert!(!ends_within(&stall, seconds).await);
        }
        client.write_all(b"E").await.unwrap();
        server.read_u8().await.unwrap();
        assert!(ends_within(&stall, 3).await, "10 s after the first byte");
        stall.while_answering(async {}).await;
        assert!(!ends_within(&stall, 60).await, "the header has come");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_a_stall_and_a_body_is_none() {
        let (mut client, server) = duplex(4);
        let stall = Stall::default();
        let mut server = Watched::new(server, stall.clone());
        stall
            .while_answering(async {
                client.write_all(b"body").await.unwrap();
                server.read_u32().await.unwrap();
            })
            .await;
        assert!(!ends_within(&stall, 60).await);
        assert!(timeout(Duration::from_secs(1), server.write_all(b"answer")).await.is_err());
        assert!(ends_within(&stall, 10).await);
        client.read_u32().await.unwrap();
        server.write_all(b"er").await.unwrap();
        assert!(!ends_within(&stall, 60).await);
    }
}
