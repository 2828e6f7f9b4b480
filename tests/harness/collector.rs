//! A collector of traces that keeps what it is sent, as it is sent: OTLP over HTTP, of one process.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
};
use tokio::{net::TcpListener, task::JoinSet};

type Kept = Arc<Mutex<Vec<u8>>>;

pub struct Collector {
    url: String,
    kept: Kept,
    _server: JoinSet<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound port"));
        let kept = Kept::default();
        let router = Router::new().fallback(keep).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&kept));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.expect("the collector runs") });
        Self { url, kept, _server: server }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Texts stand in the protocol's messages as they are.
    pub fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An empty answer is the message that says: all taken.
async fn keep(State(kept): State<Kept>, body: Bytes) {
    kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&body);
}
