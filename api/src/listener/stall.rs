//! Noticing a client that keeps us waiting: before or in the middle of its first header, in the middle of a later one
//! (slow loris), or by not taking its answer, or only little by little. The time for a body is kept where it is read.

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
    waiting: watch::Sender<Option<Waiting>>,
    /// What arrives meanwhile is a body, or the next request: the client is not waited for.
    answering: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Waiting {
    awaited: Awaited,
    begun: Instant,
    /// When some of the answer was taken last, if any was.
    moved: Instant,
}

/// What the client is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Awaited {
    SendHeader,
    TakeAnswer,
}

impl Waiting {
    fn until(awaited: Awaited) -> Self {
        let now = Instant::now();
        Self { awaited, begun: now, moved: now }
    }
}

/// From the first moment on: a connection is for somebody who has something to ask.
impl Default for Stall {
    fn default() -> Self {
        let waiting = Waiting::until(Awaited::SendHeader);
        Self { waiting: watch::Sender::new(Some(waiting)), answering: Arc::default() }
    }
}

impl Stall {
    /// Goes on when it has begun before. What a client sends ahead while it takes its answer is not waited for.
    fn begins(&self, awaited: Awaited) {
        self.waiting.send_if_modified(|waiting| {
            let begins =
                waiting.is_none_or(|before| (before.awaited, awaited) == (Awaited::SendHeader, Awaited::TakeAnswer));
            if begins {
                *waiting = Some(Waiting::until(awaited));
            }
            begins
        });
    }

    fn some_is_taken(&self) {
        self.waiting.send_if_modified(|waiting| {
            let taking = waiting.as_mut().filter(|waiting| waiting.awaited == Awaited::TakeAnswer);
            taking.map(|waiting| waiting.moved = Instant::now()).is_some()
        });
    }

    fn is_over(&self, awaited: Awaited) {
        self.waiting.send_if_modified(|waiting| waiting.take_if(|waiting| waiting.awaited == awaited).is_some());
    }

    /// The header is complete; it is our turn until `answer` is there.
    pub(super) async fn while_answering<T>(&self, answer: impl Future<Output = T>) -> T {
        self.answering.store(true, Ordering::Relaxed);
        self.is_over(Awaited::SendHeader);
        let answer = answer.await;
        self.answering.store(false, Ordering::Relaxed);
        answer
    }

    /// Returns when the client has kept us waiting for so long without moving anything, or for `longest` in all.
    pub(super) async fn lasts(&self, patience: Duration, longest: Duration) {
        let mut waiting = self.waiting.subscribe();
        loop {
            let now = *waiting.borrow_and_update();
            tokio::select! {
                () = until(now.map(|now| (now.moved + patience).min(now.begun + longest))) => return,
                // Cannot fail: the sender is `self`.
                _ = waiting.changed() => {}
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
            self.stall.begins(Awaited::SendHeader);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn writing<T>(&mut self, write: impl FnOnce(Pin<&mut S>) -> Poll<T>) -> Poll<T> {
        let polled = write(Pin::new(&mut self.stream));
        if polled.is_pending() {
            self.stall.begins(Awaited::TakeAnswer);
        } else {
            self.stall.some_is_taken();
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

    /// Asked for when nothing is left to be written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() {
            self.stall.is_over(Awaited::TakeAnswer);
        }
        polled
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

    /// Longer than any test.
    const LONG: Duration = Duration::from_hours(1);

    fn since(stall: &Stall) -> Option<Instant> {
        stall.waiting.borrow().map(|waiting| waiting.begun)
    }

    #[tokio::test]
    async fn the_first_byte_of_a_header_starts_the_clock_and_further_bytes_do_not_set_it_back() {
        let (mut client, server) = duplex(64);
        let stall = Stall::default();
        let mut server = Watched::new(server, stall.clone());
        assert!(since(&stall).is_some(), "the first request is waited for");
        stall.while_answering(async {}).await;
        server.flush().await.unwrap();
        assert_eq!(since(&stall), None, "nobody waits for the next request");
        client.write_all(b"GET").await.unwrap();
        server.read_u8().await.unwrap();
        let begun = since(&stall);
        assert!(begun.is_some());
        server.read_u16().await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(since(&stall), begun);
        stall.lasts(Duration::from_millis(1), LONG).await;
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
        stall.lasts(Duration::from_millis(1), LONG).await;
        client.read_u32().await.unwrap();
        server.write_all(b"er").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(since(&stall), None);
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_little_by_little_has_an_end() {
        let (mut client, server) = duplex(4);
        let stall = Stall::default();
        let mut server = Watched::new(server, stall.clone());
        stall.while_answering(async {}).await;
        let longest = Duration::from_millis(100);
        let (begun, answer) = (Instant::now(), [0; 1000]);
        let little_by_little = async {
            while client.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = stall.lasts(LONG, longest) => {}
            _ = server.write_all(&answer) => unreachable!("it takes longer"),
            () = little_by_little => unreachable!("nobody hangs up"),
        }
        assert!(begun.elapsed() >= longest);
    }
}
