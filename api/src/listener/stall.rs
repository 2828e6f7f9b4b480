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
        if polled.is_pending() {
            self.stall.begins();
        } else {
            self.stall.is_over();
        }
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

    fn since(stall: &Stall) -> Option<Instant> {
        *stall.since.borrow()
    }

    #[tokio::test]
    async fn the_first_byte_of_a_header_starts_the_clock_and_further_bytes_do_not_set_it_back() {
        let (mut client, server) = duplex(64);
        let stall = Stall::default();
        let mut server = Watched::new(server, stall.clone());
        assert_eq!(since(&stall), None, "nobody waits for the next request");
        client.write_all(b"GET").await.unwrap();
        server.read_u8().await.unwrap();
        let begun = since(&stall);
        assert!(begun.is_some());
        server.read_u16().await.unwrap();
        assert_eq!(since(&stall), begun);
        stall.lasts(Duration::from_millis(1)).await;
        stall.while_answering(async {}).await;
        assert_eq!(since(&stall), None, "the header has come");
    }

    #[tokio::test]
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
        assert_eq!(since(&stall), None);
        let written = timeout(Duration::from_millis(50), server.write_all(b"answer")).await;
        assert!(written.is_err() && since(&stall).is_some());
        stall.lasts(Duration::from_millis(1)).await;
        client.read_u32().await.unwrap();
        server.write_all(b"er").await.unwrap();
        assert_eq!(since(&stall), None);
    }
}
