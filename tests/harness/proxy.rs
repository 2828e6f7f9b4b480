//! A TCP line that a test can cut, stall and slow down.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use url::Url;

use super::reserved_port::ReservedPort;

#[derive(Clone, Copy, PartialEq)]
enum Line {
    Open,
    /// Like a network that swallows everything: both ends believe in the connection.
    Stalled,
    Cut,
}

#[derive(Clone, Copy)]
struct State {
    line: Line,
    delay: Duration,
    /// How many servers have vanished here. Each connection is to the one that there was when it was made.
    vanished: usize,
}

/// Stands before a server, at an address that stays the same whatever happens.
pub struct Proxy {
    port: Arc<ReservedPort>,
    target: Url,
    state: watch::Sender<State>,
    is_listening: watch::Receiver<bool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Before the server that `target`, any URL with a host and a port, leads to.
    pub async fn start(target: &str) -> Self {
        let target = Url::parse(target).expect("the target of a proxy is an address");
        let port = Arc::new(ReservedPort::new());
        let (state, weather) = watch::channel(State { line: Line::Open, delay: Duration::ZERO, vanished: 0 });
        let (listening, is_listening) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Arc::clone(&port), host_and_port(&target), weather, listening));
        let proxy = Self { port, target, state, is_listening, _tasks: tasks };
        proxy.until_listening(true).await;
        proxy
    }

    /// The target's URL, by way of the proxy.
    pub fn url(&self) -> String {
        let mut url = self.target.clone();
        url.set_host(Some("127.0.0.1")).expect("an address with a host");
        url.set_port(Some(self.port.number())).expect("an address with a port");
        url.to_string().trim_end_matches('/').to_owned()
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Closes what is open and refuses what comes.
    pub async fn cut(&self) {
        self.state.send_modify(|state| state.line = Line::Cut);
        self.until_listening(false).await;
    }

    /// Takes connections and moves not a byte, in neither direction. What was sent meanwhile arrives after `restore`.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.line = Line::Stalled);
    }

    /// The server is gone without a word, and another one is there at once: what is open now is swallowed for good and
    /// never closed, what comes is served.
    pub fn vanish(&self) {
        self.state.send_modify(|state| {
            *state = State { line: Line::Open, delay: Duration::ZERO, vanished: state.vanished + 1 };
        });
    }

    /// Holds every piece back for so long.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// As at the start, but for those whose server has vanished.
    pub async fn restore(&self) {
        self.state.send_modify(|state| {
            *state = State { line: Line::Open, delay: Duration::ZERO, ..*state };
        });
        self.until_listening(true).await;
    }

    async fn until_listening(&self, wanted: bool) {
        let mut is_listening = self.is_listening.clone();
        is_listening.wait_for(|is| *is == wanted).await.expect("the proxy runs as long as it is there");
    }
}

fn host_and_port(target: &Url) -> String {
    let known = match target.scheme() {
        "amqp" => Some(5672),
        "postgres" | "postgresql" => Some(5432),
        _ => target.port_or_known_default(),
    };
    let port = target.port().or(known).expect("the target of a proxy has a port");
    format!("{}:{port}", target.host_str().expect("the target of a proxy has a host"))
}

async fn serve(
    port: Arc<ReservedPort>,
    target: String,
    mut weather: watch::Receiver<State>,
    listening: watch::Sender<bool>,
) {
    while weather.wait_for(|state| state.line != Line::Cut).await.is_ok() {
        let listener = port.listen();
        listening.send_replace(true);
        let mut until_cut = weather.clone();
        tokio::select! {
            () = accept(&listener, &target, &weather) => {}
            // Both the listener and, with the set that `accept` holds them in, the connections are dropped.
            _ = until_cut.wait_for(|state| state.line == Line::Cut) => {}
        }
        drop(listener);
        listening.send_replace(false);
    }
}

async fn accept(listener: &TcpListener, target: &str, weather: &watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a listener accepts");
        connections.spawn(carry(client, target.to_owned(), weather.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Until both sides have said their last word, or one of them broke.
async fn carry(mut client: TcpStream, target: String, weather: watch::Receiver<State>) {
    let vanished = weather.borrow().vanished;
    let mut news = weather.clone();
    // A server that is not there looks through the proxy like one that hangs up at once.
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        () = exchange(&mut client, &mut server, &weather) => return,
        _ = news.wait_for(|state| state.vanished > vanished) => {}
    }
    // The server is rid of the client; the client says what it likes, and only it can end that.
    drop(server);
    if let Err(error) = io::copy(&mut client, &mut io::sink()).await {
        tracing::debug!(%error, "a client gave up on a server that had vanished");
    }
}

async fn exchange(client: &mut TcpStream, server: &mut TcpStream, weather: &watch::Receiver<State>) {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, weather.clone());
    let back = pump(from_server, to_client, weather.clone());
    // A side that broke ends the other as well.
    if let Err(error) = tokio::try_join!(there, back) {
        tracing::debug!(%error, "a connection through the proxy broke");
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<State>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        let delay = weather.wait_for(|state| state.line == Line::Open).await.map_err(io::Error::other)?.delay;
        // The delay is the fault itself; nobody waits for anything here.
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// One connection after the other, to a server that says everything back.
    async fn echo() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let url = format!("tcp://{}", listener.local_addr().expect("an address"));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut reader, mut writer) = stream.split();
                // A connection that breaks is what is being tried.
                drop(io::copy(&mut reader, &mut writer).await);
            }
        });
        (url, tasks)
    }

    async fn say(stream: &mut TcpStream, word: &[u8; 4]) -> io::Result<[u8; 4]> {
        stream.write_all(word).await?;
        let mut back = [0; 4];
        stream.read_exact(&mut back).await?;
        Ok(back)
    }

    #[tokio::test]
    async fn a_line_can_be_stalled_cut_restored_and_lost() {
        let (server, _running) = echo().await;
        let proxy = Proxy::start(&server).await;
        let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy takes connections");
        assert_eq!(&say(&mut stream, b"open").await.expect("an echo"), b"open");

        proxy.stall();
        let silence = timeout(Duration::from_millis(200), say(&mut stream, b"held")).await;
        assert!(silence.is_err(), "a stalled line moved something");
        proxy.restore().await;
        let mut held = [0; 4];
        stream.read_exact(&mut held).await.expect("what was held arrives");
        assert_eq!(&held, b"held");

        proxy.cut().await;
        assert!(say(&mut stream, b"dead").await.is_err(), "a cut line is still open");
        TcpStream::connect(proxy.address()).await.expect_err("a cut line takes no connections");

        proxy.restore().await;
        let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy takes connections again");
        assert_eq!(&say(&mut stream, b"back").await.expect("an echo"), b"back");

        proxy.vanish();
        let silence = timeout(Duration::from_millis(200), say(&mut stream, b"lost")).await;
        assert!(silence.is_err(), "a server that has vanished said something");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("another server is there");
        assert_eq!(&say(&mut stream, b"anew").await.expect("an echo"), b"anew");
    }
}
