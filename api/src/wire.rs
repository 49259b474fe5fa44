//! Gives the HTTP library's own answers the shape of every rejection.
//!
//! Bytes that are not an HTTP request never reach the router: the library answers them with a bare
//! status line and closes. This stands between the library and the socket and gives such an answer
//! its problem body.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use jangbu_kernel::ports::IdSource;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::http::problem::{Code, PROBLEM_JSON, Problem};
use crate::http::told::{self, Rejected};
use crate::http::trace::REQUEST_ID;

/// A connection on which every rejection is a problem.
pub(crate) struct Wire {
    stream: TcpStream,
    ids: Arc<dyn IdSource>,
    /// The rest of an answer that replaces one of the library's and is not written yet.
    instead: Option<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, ids: Arc<dyn IdSource>) -> Self {
        Self { stream, ids, instead: None }
    }

    /// Writes the replacement of the library's bytes; ready when all of it is written.
    fn poll_instead(&mut self, context: &mut Context<'_>, answer: Vec<u8>) -> Poll<io::Result<()>> {
        let mut rest = answer;
        while !rest.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => drop(rest.drain(..written)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.instead = Some(rest);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The replacement of these bytes, if there is one.
    fn instead_of(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.instead.take().or_else(|| bare_rejection(bytes).map(|status| problem(status, &*self.ids)))
    }
}

/// The status of an answer that the library made by itself. The API's own answers have a request
/// id.
fn bare_rejection(bytes: &[u8]) -> Option<StatusCode> {
    const START: &[u8] = b"HTTP/1.1 4";
    const DIGITS: std::ops::Range<usize> = 9..12;
    if !bytes.starts_with(START) || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let named = bytes.windows(REQUEST_ID.len()).any(|name| name.eq_ignore_ascii_case(REQUEST_ID.as_bytes()));
    if named {
        return None;
    }
    StatusCode::from_bytes(bytes.get(DIGITS)?).ok()
}

fn problem(status: StatusCode, ids: &dyn IdSource) -> Vec<u8> {
    let problem = match status {
        StatusCode::URI_TOO_LONG => Problem::new(Code::UriTooLong, "the address of a request has at most 65,534 bytes"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Problem::new(Code::HeadersTooLarge, "a request has at most 100 headers")
        }
        StatusCode::REQUEST_TIMEOUT => Problem::new(Code::RequestTimeout, "the request took too long to arrive"),
        _ => Problem::invalid_at("", "malformed_request", "this is not an HTTP/1.1 request"),
    };
    let id = ids.new_id().simple().to_string();
    told::rejected(&Rejected { problem: &problem, method: "none", route: "none", trace_id: &id, request_id: &id });
    let status = problem.code().status();
    // The address that was meant is not known: `*` stands for the server itself.
    let body = problem.body("*", &id);
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM_JSON}\r\n{REQUEST_ID}: {id}\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default(),
        body.len(),
    );
    [head.into_bytes(), body].concat()
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.instead_of(bytes) {
            Some(answer) => {
                ready!(this.poll_instead(context, answer))?;
                Poll::Ready(Ok(bytes.len()))
            }
            None => Pin::new(&mut this.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // The library's own answers are a head without a body.
        if let [only] = parts
            && let Some(answer) = this.instead_of(only)
        {
            ready!(this.poll_instead(context, answer))?;
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut this.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
