//! HTTP on the outside: reads requests, and can hang up without an answer.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, TcpStream as StdTcpStream},
    sync::Arc,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{ConnectInfo, Request as HttpRequest, State, connect_info::Connected},
    http::{HeaderMap, Method, header},
    response::{IntoResponse as _, Response},
    serve::{IncomingStream, Listener},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use url::form_urlencoded;

use super::{Answer, service::Service};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /realms/{realm}/protocol/openid-connect/token`
    Token,
    /// `POST /admin/realms/{realm}/users`
    CreateUser,
    /// `GET /admin/realms/{realm}/users?username=…` or `?email=…`
    FindUser,
    /// `GET /admin/realms/{realm}/users/{id}`
    ReadUser,
    /// `PUT /admin/realms/{realm}/users/{id}/execute-actions-email`
    SendMail,
    /// `DELETE /admin/realms/{realm}/users/{id}`
    DeleteUser,
    /// Whatever else was asked: the fake does not know it.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub endpoint: Endpoint,
    pub realm: String,
    pub user_id: Option<String>,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
    pub(super) host: String,
    pub(super) bearer: Option<String>,
}

impl Request {
    async fn read(request: HttpRequest) -> Self {
        let (head, body) = request.into_parts();
        let (endpoint, realm, user_id) = place(&head.method, head.uri.path());
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = to_bytes(body, 1024 * 1024).await.unwrap_or_default();
        Self {
            endpoint,
            realm,
            user_id,
            query: pairs(head.uri.query().unwrap_or_default()),
            host: text(header::HOST).unwrap_or_default(),
            bearer: text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
            body: String::from_utf8_lossy(&body).into_owned(),
            headers: head.headers,
        }
    }

    /// A client's id and secret, out of the form.
    pub(super) fn credentials(&self) -> (String, String) {
        let mut form = pairs(&self.body);
        let mut take = |name| form.remove(name).unwrap_or_default();
        (take("client_id"), take("client_secret"))
    }
}

fn place(method: &Method, path: &str) -> (Endpoint, String, Option<String>) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (endpoint, realm, id) = match (method.as_str(), parts.as_slice()) {
        ("POST", ["realms", realm, "protocol", "openid-connect", "token"]) => (Endpoint::Token, *realm, None),
        ("POST", ["admin", "realms", realm, "users"]) => (Endpoint::CreateUser, *realm, None),
        ("GET", ["admin", "realms", realm, "users"]) => (Endpoint::FindUser, *realm, None),
        ("GET", ["admin", "realms", realm, "users", id]) => (Endpoint::ReadUser, *realm, Some(*id)),
        ("DELETE", ["admin", "realms", realm, "users", id]) => (Endpoint::DeleteUser, *realm, Some(*id)),
        ("PUT", ["admin", "realms", realm, "users", id, "execute-actions-email"]) => {
            (Endpoint::SendMail, *realm, Some(*id))
        }
        (_, ["admin", "realms", realm, ..]) => (Endpoint::Unknown, *realm, None),
        _ => (Endpoint::Unknown, "", None),
    };
    (endpoint, realm.to_owned(), id.map(str::to_owned))
}

fn pairs(encoded: &str) -> HashMap<String, String> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

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
