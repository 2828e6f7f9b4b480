//! One connection, from its first byte to its last.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    Patience,
    stall::{Stall, Watched},
};

/// For the header of a request. Long enough for a token of 64 KiB to be told that it is too long.
const MAX_HEADER: usize = 128 * 1024;

/// For a whole answer, however steadily it is taken. The largest is Swagger's page, of some megabytes.
const LONGEST_ANSWER: Duration = Duration::from_mins(1);

/// Serves requests one after the other, until either side has had enough. From `draining` on, the request that is
/// there is the last.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    draining: CancellationToken,
) {
    // Without it an answer may wait for the acknowledgement of the one before.
    stream.set_nodelay(true).ok();
    let stall = Stall::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        stall.while_answering(router.clone().oneshot(request))
    });
    let mut builder = http1::Builder::new();
    // Runs from the end of one request to the end of the next header: it ends the idle, `stall` the slow.
    builder.timer(TokioTimer::new()).header_read_timeout(patience.idle).max_buf_size(MAX_HEADER);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Watched::new(stream, stall.clone())), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stall.lasts(patience.stall, LONGEST_ANSWER) => return tracing::debug!("a client stalled"),
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stall.lasts(patience.stall, patience.stall) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
