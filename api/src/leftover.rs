//! The unread rest of a request's body.
//!
//! A server that closes a connection with unread bytes in it resets it, and the reset discards the
//! answer to a client that is still sending. So the rest of a body is given back to its connection,
//! which reads and discards it for a while, until the answer has arrived.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

/// How much of an unwanted body is read, in bytes and time: enough for a client that sends a little
/// too much, not enough to keep the server busy.
const MOST_DISCARDED: usize = 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Receives the unread bodies of a connection.
pub(crate) struct Leftovers(mpsc::Receiver<Incoming>);

/// Lends the bodies of a connection to their requests.
#[derive(Clone)]
pub(crate) struct Lender(mpsc::Sender<Incoming>);

/// A connection has one body at a time.
pub(crate) fn leftovers() -> (Lender, Leftovers) {
    let (sender, receiver) = mpsc::channel(1);
    (Lender(sender), Leftovers(receiver))
}

impl Lender {
    /// The request with a body that is given back when it is dropped before its end.
    pub(crate) fn lend(&self, request: Request<Incoming>) -> Request<LentBody> {
        let waits_for_word = waits_for_word(request.headers());
        request.map(|body| LentBody { body: Some(body), home: self.0.clone(), unwanted: waits_for_word })
    }
}

/// Whether the client waits for `100 Continue` before it sends its body: a client that got an
/// answer instead will not send it, and reading would ask for it.
fn waits_for_word(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl Leftovers {
    /// Reads and discards returned bodies, within the bounds, for as long as the connection lasts.
    pub(crate) async fn discard(mut self) -> Infallible {
        while let Some(mut body) = self.0.recv().await {
            let reading = async {
                let mut read = 0;
                while let (true, Some(Ok(frame))) = (read <= MOST_DISCARDED, body.frame().await) {
                    read += frame.data_ref().map_or(0, Bytes::len);
                }
            };
            if tokio::time::timeout(DISCARD_TIMEOUT, reading).await.is_err() {
                tracing::debug!("the rest of a body took too long to arrive");
            }
        }
        std::future::pending().await
    }
}

/// A body that was lent to a handler.
pub(crate) struct LentBody {
    body: Option<Incoming>,
    home: mpsc::Sender<Incoming>,
    /// The handler has not read it, and the client waits for `100 Continue`.
    unwanted: bool,
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        this.unwanted = false;
        this.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !self.unwanted && !body.is_end_stream()) {
            // If the connection is closed there is no answer to protect.
            let _ = self.home.try_send(body);
        }
    }
}
