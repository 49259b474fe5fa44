//! The accept loop: limits on slow, silent and too many clients, and a shutdown that loses no
//! answer.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jangbu_kernel::ports::IdSource;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::connections::{Connections, Seat};
use crate::http::edge::Unroutable;
use crate::leftover::leftovers;
use crate::router::build;
use crate::stall::Stalling;
use crate::state::ApiState;
use crate::wire::Wire;

/// The limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections at once, of which one address may hold three quarters; further ones wait in the
    /// system's queue.
    pub max_connections: usize,
    /// The first byte of a connection has to arrive within this time.
    pub first_byte_timeout: Duration,
    /// The head of a request has to be complete within this time; an idle connection is
    /// closed after it, too.
    pub header_timeout: Duration,
    /// A client that reads nothing of an answer for this long is disconnected.
    pub write_timeout: Duration,
    /// How long requests under way may take at shutdown.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            first_byte_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Memory that a connection may use for the head of a request and what follows it.
const READ_BUFFER: usize = 64 * 1024;
/// Pause after an error of the system, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is cancelled; then accepts no more connections, lets requests under way
/// finish within [`ServerOptions::drain_timeout`], and returns.
///
/// HTTP/1.1 only; HTTP/2 is left to a proxy in front of the server.
///
/// # Errors
/// When the listener has no address any more.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    options: ServerOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let draining = CancellationToken::new();
    let ids = Arc::clone(&state.world.ids);
    let by_address = Connections::new(options.max_connections, state.trusted_proxies.clone());
    let router = build(state, draining.clone());
    let places = Arc::new(Semaphore::new(options.max_connections));
    let mut connections = JoinSet::new();
    tracing::debug!(%address, "accepting connections");
    loop {
        // The permit comes first: without one a client waits in the backlog.
        let accepted = async {
            let permit = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((permit, stream, peer))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        // Releases the memory of finished connections.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((permit, stream, peer)) => {
                let Some(seat) = by_address.seat(peer.ip()) else {
                    metrics::counter!("jangbu_connections_refused_total").increment(1);
                    continue;
                };
                let (router, ids) = (router.clone(), Arc::clone(&ids));
                let connection = Connection { stream, peer, router, ids, options, seat, _permit: permit };
                connections.spawn(connection.run(draining.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    draining.cancel();
    let gone = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain_timeout, gone).await.is_err() {
        tracing::warn!(connections = connections.len(), "some requests are cut off at the end");
        connections.shutdown().await;
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    ids: Arc<dyn IdSource>,
    options: ServerOptions,
    seat: Seat,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, draining: CancellationToken) {
        let Self { stream, peer, router, ids, options, seat, _permit } = self;
        let spoken = tokio::select! {
            spoken = tokio::time::timeout(options.first_byte_timeout, has_spoken(&stream)) => spoken == Ok(true),
            () = seat.make_room.cancelled() => false,
            () = draining.cancelled() => false,
        };
        if !spoken {
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let (lender, left) = leftovers();
        let make_room = seat.make_room.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            seat.in_use();
            let mut request = lender.lend(request).map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            if let Some(reason) = Unroutable::of(&request) {
                request.extensions_mut().insert(reason);
            }
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(Stalling::new(Wire::new(stream, ids), options.write_timeout)), service);
        let mut connection = pin!(connection);
        let mut discard = pin!(left.discard());
        let mut ending = false;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = make_room.cancelled() => break Ok(()),
                () = draining.cancelled(), if !ending => {
                    // An idle connection closes now, a busy one after its answer.
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                never = discard.as_mut() => match never {},
            }
        };
        if let Err(error) = ended {
            // Clients may disconnect at any time.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Waits for the first byte; false if the client has closed. It tries to read, because a socket
/// that was just accepted counts as readable until the first attempt.
async fn has_spoken(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]).await, Ok(1..))
}
