//! Requests as bytes.

use std::io::Write as _;

/// What the requests of a client have in common: everything before the key.
#[derive(Clone, Debug)]
pub struct Head(Vec<u8>);

impl Head {
    /// A POST of JSON.
    #[must_use]
    pub fn post(path: &str, authorization: &str) -> Self {
        let head = "HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n";
        Self(format!("POST {path} {head}authorization: {authorization}\r\n").into_bytes())
    }

    /// A GET without a token.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n").into_bytes())
    }
}

/// A request that is being written, always into the same buffer.
#[derive(Debug, Default)]
pub struct Request {
    bytes: Vec<u8>,
    /// The body, to be written before [`Request::finish`].
    pub body: Vec<u8>,
}

impl Request {
    /// Puts head, key and body together, and empties the body for the next one.
    pub fn finish(&mut self, head: &Head, key: Option<u128>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&head.0);
        // Writing into memory does not fail.
        if let Some(key) = key {
            let _ = write!(self.bytes, "idempotency-key: {key:032x}\r\n");
        }
        let _ = write!(self.bytes, "content-length: {}\r\n\r\n", self.body.len());
        self.bytes.extend_from_slice(&self.body);
        self.body.clear();
    }

    /// The bytes to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
