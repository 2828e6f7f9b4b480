//! HTTP on the outside, which can hang up without an answer.

use std::{
    io,
    net::{Shutdown, TcpStream as StdTcpStream},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request as HttpRequest, State, connect_info::Connected},
    response::{IntoResponse as _, Response},
    serve::{IncomingStream, Listener},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{Answer, Request, service::Service};

pub(super) async fn serve(front: Front, service: Arc<Service>) {
    let (jobs, incoming) = mpsc::unbounded_channel();
    let router = Router::new().fallback(handle).with_state(jobs);
    let service = work(incoming, service);
    let server = axum::serve(front, router.into_make_service_with_connect_info::<Line>());
    tokio::select! {
        () = service => {}
        ended = server.into_future() => ended.expect("the server runs"),
    }
}

struct Job {
    request: Request,
    answer: oneshot::Sender<Option<Answer>>,
}

/// Keycloak finishes what it has begun, also when the client has hung up meanwhile; a handler of axum would be dropped
/// together with its connection. So the work is done over here.
async fn work(mut incoming: mpsc::UnboundedReceiver<Job>, service: Arc<Service>) {
    let mut running = JoinSet::new();
    while let Some(Job { request, answer }) = incoming.recv().await {
        let service = Arc::clone(&service);
        running.spawn(async move { drop(answer.send(service.answer(request).await)) });
        while running.try_join_next().is_some() {}
    }
}

async fn handle(
    State(jobs): State<mpsc::UnboundedSender<Job>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: HttpRequest,
) -> Response {
    let (answer, answered) = oneshot::channel();
    drop(jobs.send(Job { request: Request::read(request).await, answer }));
    if let Ok(Some(answer)) = answered.await {
        return answer.into_response();
    }
    line.hang_up();
    // Written to a connection that is no more.
    Answer::new(500).into_response()
}

/// The listener, which gives every handler a hold on its connection.
pub(super) struct Front(TcpListener);

impl Front {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self(listener)
    }
}

impl Listener for Front {
    type Io = TcpStream;
    type Addr = Line;

    async fn accept(&mut self) -> (TcpStream, Line) {
        loop {
            let accepted = self.0.accept().await.and_then(|(stream, _)| Line::of(stream));
            if let Ok(connection) = accepted {
                return connection;
            }
        }
    }

    /// Only for axum to log.
    fn local_addr(&self) -> io::Result<Line> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A second handle on the socket of a connection.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<StdTcpStream>);

impl Line {
    fn of(stream: TcpStream) -> io::Result<(TcpStream, Self)> {
        let stream = stream.into_std()?;
        let twin = stream.try_clone()?;
        Ok((TcpStream::from_std(stream)?, Self(Arc::new(twin))))
    }

    fn hang_up(&self) {
        // It may have been closed from the other side already.
        drop(self.0.shutdown(Shutdown::Both));
    }
}

impl Connected<IncomingStream<'_, Front>> for Line {
    fn connect_info(stream: IncomingStream<'_, Front>) -> Self {
        stream.remote_addr().clone()
    }
}
