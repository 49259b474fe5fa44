//! A client of the API.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// The server closes a connection that was idle for 10 s. A request on a connection that it closes
/// at the same moment is lost.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// A client of the API, with or without a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// Shared by all clones of the client.
    token: Option<Arc<RwLock<String>>>,
    login: Option<Arc<Login>>,
}

/// The credentials of a login.
struct Login {
    email: String,
    password: String,
}

impl Client {
    /// A client without a token.
    pub fn anonymous(base: impl Into<String>) -> Self {
        Self { http: http().build().unwrap(), base: base.into(), token: None, login: None }
    }

    /// The same client from another address of this machine.
    pub fn from(&self, address: std::net::IpAddr) -> Self {
        Self { http: http().local_address(address).build().unwrap(), ..self.clone() }
    }

    /// The same client with this token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(Arc::new(RwLock::new(token.to_owned()))), login: None, ..self.clone() }
    }

    /// Logs in; returns a client with the token, and the answer.
    pub async fn log_in(&self, email: &str, password: &str) -> (Self, Value) {
        let login = Login { email: email.to_owned(), password: password.to_owned() };
        let answer = self.post("/v1/auth/login", &login.body()).send().await.expect(200);
        let client = self.with_token(answer["access_token"].as_str().unwrap());
        (Self { login: Some(Arc::new(login)), ..client }, answer)
    }

    /// Logs in again, for all clones of this client, because a token is valid for five minutes.
    /// False if that is not possible now.
    pub async fn log_in_again(&self) -> bool {
        let (Some(login), Some(token)) = (&self.login, &self.token) else { panic!("a caller who logged in") };
        let reply = self.post("/v1/auth/login", &login.body()).try_send().await;
        let Ok(reply) = reply else { return false };
        if reply.status != 200 {
            return false;
        }
        reply.expect(200)["access_token"].as_str().unwrap().clone_into(&mut token.write().unwrap());
        true
    }

    /// The same client for another server.
    pub fn at(&self, base: impl Into<String>) -> Self {
        Self { base: base.into(), ..self.clone() }
    }

    /// Its token.
    pub fn token(&self) -> String {
        self.token.as_ref().expect("a caller who is logged in").read().unwrap().clone()
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut builder = self.http.request(method, format!("{}{path}", self.base));
        if self.token.is_some() {
            builder = builder.bearer_auth(self.token());
        }
        Call { builder, key: None }
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST with JSON and a fresh idempotency key.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body).key(fresh_key())
    }

    /// Reads JSON; the answer has to be a success.
    pub async fn read(&self, path: &str) -> Value {
        self.get(path).send().await.expect(200)
    }

    /// Reads a list to its end, page by page.
    pub async fn read_all(&self, path: &str) -> Vec<Value> {
        const MOST_PAGES: usize = 1_000;
        let glue = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = match &cursor {
                None => self.read(path).await,
                Some(cursor) => self.read(&format!("{path}{glue}cursor={cursor}")).await,
            };
            items.extend(page["items"].as_array().expect("a list has items").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
        panic!("{path} does not end");
    }
}

fn http() -> reqwest::ClientBuilder {
    // Plain HTTP on loopback needs no trust anchors, which a minimal machine does not have.
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .timeout(super::LIMIT)
        .pool_idle_timeout(LONGEST_IDLE)
        .redirect(reqwest::redirect::Policy::none())
}

impl Login {
    fn body(&self) -> Value {
        json!({"email": self.email, "password": self.password})
    }
}

/// A key that was never used before.
pub fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("journey-{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request under construction.
pub struct Call {
    builder: reqwest::RequestBuilder,
    key: Option<String>,
}

impl Call {
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.builder = self.builder.header(name, value.as_ref());
        self
    }

    /// A header of any bytes that a header can have.
    pub fn raw_header(mut self, name: &str, value: &[u8]) -> Self {
        self.builder = self.builder.header(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.builder = self.builder.header("content-type", content_type).body(body.into());
        self
    }

    /// A body without a content type.
    pub fn bare_body(mut self, body: Vec<u8>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    /// Waits with the answer until the process manager has nothing more to do for it.
    pub fn settled(self) -> Self {
        self.header("prefer", "wait=20").header("jangbu-wait-for", "settled")
    }

    /// Sends it; returns an error if there is no answer.
    pub async fn try_send(self) -> reqwest::Result<Reply> {
        let answer = self.open().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await?.to_vec();
        Ok(Reply { status, headers, body })
    }

    /// Sends it and returns the answer with its body unread.
    pub async fn open(self) -> reqwest::Result<reqwest::Response> {
        let mut builder = self.builder;
        if let Some(key) = self.key {
            builder = builder.header("idempotency-key", key);
        }
        builder.send().await
    }

    /// Sends it; fails if there is no answer.
    pub async fn send(self) -> Reply {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body; fails unless the answer has this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Asserts that it is a problem with this status and code; returns its body.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let problem = self.problem();
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// Asserts that it is a problem by RFC 9457 and the API's own rules; returns its body.
    #[track_caller]
    pub fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        for text in ["type", "title", "detail", "instance", "code", "trace_id"] {
            assert!(problem[text].is_string(), "a problem has a {text}: {problem}");
        }
        problem
    }

    /// `Jangbu-Position`.
    #[track_caller]
    pub fn position(&self) -> u64 {
        self.header("jangbu-position").expect("the answer has a position").parse().unwrap()
    }

    /// The version in `ETag`.
    #[track_caller]
    pub fn version(&self) -> u64 {
        let tag = self.header("etag").expect("the answer has an ETag");
        tag.trim_matches('"').parse().unwrap_or_else(|_| panic!("an ETag is a version: {tag}"))
    }
}
