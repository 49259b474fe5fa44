//! HTTP/1.1 on a socket: the part of it that a load needs, read strictly.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More headers than any answer has.
const MOST_HEADERS: usize = 48;
/// Room that is kept free for an answer: a read that does not fill the buffer tells the runtime
/// that the socket is empty, which saves a system call an answer.
const READ_ROOM: usize = 16 * 1024;
/// No answer of the API is longer.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: &'a [u8],
}

/// A keep-alive connection.
pub(super) struct Wire {
    stream: TcpStream,
    address: SocketAddr,
    buffer: BytesMut,
    body: Vec<u8>,
    /// Bytes of the buffer that belong to the last answer.
    used: usize,
    /// The server has announced that it closes the connection.
    closing: bool,
}

/// How the end of an answer's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Preamble {
    status: u16,
    /// Bytes before the body.
    bytes: usize,
    length: Length,
    closing: bool,
}

impl Wire {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = connect(address).await?;
        let buffer = BytesMut::with_capacity(READ_ROOM * 2);
        Ok(Self { stream, address, buffer, body: Vec::new(), used: 0, closing: false })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.buffer.advance(self.used);
        self.used = 0;
        ensure!(self.buffer.is_empty(), "the server sent more than one answer");
        if self.closing {
            self.stream = connect(self.address).await?;
            self.closing = false;
        }
        self.stream.write_all(request).await.context("a request could not be sent")?;
        let preamble = loop {
            self.read().await?;
            if let Some(preamble) = preamble(&self.buffer)? {
                break preamble;
            }
        };
        self.closing = preamble.closing;
        match preamble.length {
            Length::Known(length) => self.known(preamble, length).await,
            Length::Chunked => self.chunked(preamble).await,
        }
    }

    async fn known(&mut self, preamble: Preamble, length: usize) -> anyhow::Result<Answer<'_>> {
        let whole = preamble.bytes + length;
        ensure!(whole <= LONGEST_ANSWER, "an answer of {whole} bytes");
        while self.buffer.len() < whole {
            self.read().await?;
        }
        self.used = whole;
        let body = self.buffer.get(preamble.bytes..whole).unwrap_or_default();
        Ok(Answer { status: preamble.status, body })
    }

    async fn chunked(&mut self, preamble: Preamble) -> anyhow::Result<Answer<'_>> {
        self.body.clear();
        let mut at = preamble.bytes;
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let parsed = httparse::parse_chunk_size(rest).map_err(|_| anyhow::anyhow!("a chunk without a size"))?;
            let httparse::Status::Complete((header, size)) = parsed else {
                self.read().await?;
                continue;
            };
            let size = usize::try_from(size)?;
            let (from, to) = (at + header, at + header + size);
            ensure!(to <= LONGEST_ANSWER, "an answer of more than {LONGEST_ANSWER} bytes");
            while self.buffer.len() < to + 2 {
                self.read().await?;
            }
            self.body.extend_from_slice(self.buffer.get(from..to).unwrap_or_default());
            ensure!(self.buffer.get(to..to + 2) == Some(b"\r\n"), "a chunk without an end");
            at = to + 2;
            if size == 0 {
                break;
            }
        }
        self.used = at;
        Ok(Answer { status: preamble.status, body: &self.body })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(READ_ROOM);
        let read = self.stream.read_buf(&mut self.buffer).await.context("an answer could not be read")?;
        ensure!(read > 0, "the server closed a connection before its answer was whole");
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody answers at {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads status and headers; none when they are not complete yet.
fn preamble(bytes: &[u8]) -> anyhow::Result<Option<Preamble>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(bytes).context("an answer is not HTTP/1.1")? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    ensure!(response.version == Some(1), "an answer is not HTTP/1.1");
    let status = response.code.context("an answer without a status")?;
    ensure!(status >= 200, "an interim answer, which nobody asked for");
    let (mut length, mut closing) = (None, false);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value)?;
            ensure!(length.is_none(), "an answer with two lengths");
            length = Some(Length::Known(text.parse().context("a content-length that is no number")?));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            ensure!(length.is_none() && header.value.eq_ignore_ascii_case(b"chunked"), "an encoding that is unknown");
            length = Some(Length::Chunked);
        } else if header.name.eq_ignore_ascii_case("connection") {
            closing = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    match length {
        Some(length) => Ok(Some(Preamble { status, bytes, length, closing })),
        None if status == 204 => Ok(Some(Preamble { status, bytes, length: Length::Known(0), closing })),
        None => bail!("an answer without a length"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_read_strictly() {
        let read = |text: &str| preamble(text.as_bytes());
        assert_eq!(read("HTTP/1.1 201 Created\r\ncontent-length: 2\r\n").unwrap(), None, "not all there");
        let created = read("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}").unwrap().unwrap();
        assert_eq!((created.status, created.length, created.closing), (201, Length::Known(2), false));
        let last = read("HTTP/1.1 503 X\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!((last.status, last.length, last.closing), (503, Length::Chunked, true));
        for wrong in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "SMTP ready\r\n\r\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn answers_in_pieces_and_chunks_are_put_together() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            for answer in [
                "HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n|hello",
                "HTTP/1.1 409 Conflict\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab|c\r\n2\r\nde\r\n0\r\n\r\n",
            ] {
                stream.read_exact(&mut request).await.unwrap();
                for piece in answer.split('|') {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut wire = Wire::open(address).await.unwrap();
        for (status, body) in [(201, "hello"), (409, "abcde")] {
            let answer = wire.exchange(b"ping").await.unwrap();
            assert_eq!((answer.status, answer.body), (status, body.as_bytes()));
        }
        server.await.unwrap();
        let ended = wire.exchange(b"ping").await.unwrap_err().to_string();
        assert!(ended.contains("closed") || ended.contains("could not be"), "{ended}");
    }
}
