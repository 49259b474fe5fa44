//! A small HTTP client for the commands that drive a running server: one
//! keep-alive connection, one request at a time.
//!
//! It is kept small because the load generator shares the machine with what it measures.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use jangbu_kernel::Position;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a client waits in total when it is rate limited.
const PATIENCE: Duration = Duration::from_secs(120);
/// Limit for any answer; a request with a wait asks for less.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// One connection to a server.
pub struct Connection {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// How long to wait before a retry, if the server says so.
    pub retry_after: Option<Duration>,
    /// The position of the recorded events, if there are any.
    pub position: Option<Position>,
    /// The body, whole.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// When the address refuses the connection.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let sender = connect(address).await?;
        Ok(Self { address: address.to_owned(), sender })
    }

    /// Sends a request and reads its answer. A connection that the server has closed is opened
    /// again before the request is sent, never after.
    ///
    /// # Errors
    /// When the connection breaks or the answer takes too long.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<Reply> {
        if self.sender.ready().await.is_err() {
            self.sender = connect(&self.address).await?;
        }
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            let answer = self.sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            let number = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
            let retry_after = number("retry-after").map(Duration::from_secs);
            let position = number("jangbu-position").map(Position::new);
            anyhow::Ok(Reply { status: head.status, retry_after, position, body })
        };
        tokio::time::timeout(ANSWER_LIMIT, exchange).await.context("the server did not answer in time")?
    }
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("nobody answers at {address}; start one with `jangbu serve`"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task ends with the connection; an error there shows as one of the next request.
    tokio::spawn(connection);
    Ok(sender)
}

/// A client with a token, for scripted work in JSON.
pub struct Shopper {
    connection: Connection,
    token: Option<String>,
}

impl Shopper {
    /// A client that is not logged in.
    ///
    /// # Errors
    /// When the address refuses the connection.
    pub async fn anonymous(address: &str) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, token: None })
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn login(address: &str, email: &str, password: &str) -> anyhow::Result<Self> {
        let mut shopper = Self::anonymous(address).await?;
        let body = serde_json::json!({"email": email, "password": password});
        let answer = shopper.post("/v1/auth/login", &body).await.context("could not log in")?;
        let token = answer.get("access_token").and_then(Value::as_str).context("no access token in the answer")?;
        shopper.token = Some(format!("Bearer {token}"));
        Ok(shopper)
    }

    /// The value of the `Authorization` header, for callers that send requests of their own.
    #[must_use]
    pub fn authorization(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Posts JSON and reads JSON, under an idempotency key of its own.
    ///
    /// # Errors
    /// When the server does not answer with success; the problem's text is in the error.
    pub async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post_waiting(path, body, None).await
    }

    /// Posts JSON and waits until the process manager has nothing more to do for it.
    ///
    /// # Errors
    /// As [`Shopper::post`].
    pub async fn post_settled(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post_waiting(path, body, Some(("settled", "wait=20"))).await
    }

    async fn post_waiting(&mut self, path: &str, body: &Value, wait: Option<(&str, &str)>) -> anyhow::Result<Value> {
        let key = uuid::Uuid::now_v7().to_string();
        let mut headers = vec![("idempotency-key", key.as_str())];
        if let Some((stage, wait)) = wait {
            headers.extend([("prefer", wait), ("jangbu-wait-for", stage)]);
        }
        self.ask(Method::POST, path, &headers, serde_json::to_vec(body)?).await
    }

    /// Puts JSON and reads JSON.
    ///
    /// # Errors
    /// As [`Shopper::post`].
    pub async fn put(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::PUT, path, &[], serde_json::to_vec(body)?).await
    }

    /// Deletes what has this address.
    ///
    /// # Errors
    /// As [`Shopper::post`].
    pub async fn delete(&mut self, path: &str) -> anyhow::Result<()> {
        self.ask(Method::DELETE, path, &[], Vec::new()).await.map(drop)
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// When the server does not answer with success.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, &[], Vec::new()).await
    }

    /// Sends a request, and again after the wait that the server names if it is rate limited.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<Value> {
        let mut headers = headers.to_vec();
        if let Some(token) = &self.token {
            headers.push(("authorization", token));
        }
        let mut waited = Duration::ZERO;
        loop {
            let reply = self.connection.send(method.clone(), path, &headers, body.clone()).await?;
            match reply.retry_after.filter(|_| reply.status == StatusCode::TOO_MANY_REQUESTS) {
                Some(pause) if waited + pause <= PATIENCE => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                }
                _ if reply.status.is_success() => return Ok(reply.json()),
                _ => bail!("{method} {path} answered {}: {}", reply.status, String::from_utf8_lossy(&reply.body)),
            }
        }
    }
}

/// The text at a key of a JSON object.
///
/// # Errors
/// When it is not there.
pub fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("no `{key}` in {value}"))
}
