//! The client: a command that asks the running server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::file::ServerFile;
use super::imports::WantedImport;
use super::rebuild::{RebuildEvent, RebuildRequest};
use super::routes::{Created, NewUser, PREFIX, Resolution, Resolved, RoleChange, Unlock};

/// How long a server may take to answer that it is running.
const PING: Duration = Duration::from_secs(15);
/// How long it may take for a request. Rebuilding is not bounded.
const ANSWER: Duration = Duration::from_secs(30);

/// A running server on this data folder.
pub struct RunningServer {
    file: ServerFile,
    client: reqwest::Client,
}

impl RunningServer {
    /// The server on a data folder; none if no server runs there, even if one was killed and left
    /// its file, or the file came with a copy of the folder.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn find(folder: &Path) -> anyhow::Result<Option<Self>> {
        let read =
            ServerFile::read(folder).with_context(|| format!("cannot read the server file in {}", folder.display()))?;
        let Some(file) = read else { return Ok(None) };
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().connect_timeout(PING).build()?;
        let server = Self { file, client };
        match server.request(reqwest::Method::GET, "ping").timeout(PING).send().await {
            Ok(response) if response.status().is_success() => Ok(Some(server)),
            // Another process has the port by now, or none.
            Ok(_) => Ok(None),
            Err(error) if error.is_timeout() => {
                bail!("the server at http://{} (process {}) does not answer", server.file.address, server.file.pid)
            }
            Err(_) => Ok(None),
        }
    }

    /// The address of its API.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.file.address
    }

    /// The address of its sandbox, as `host:port`.
    #[must_use]
    pub fn sandbox(&self) -> Option<&str> {
        self.file.sandbox.as_deref().map(|url| url.trim_start_matches("http://").trim_end_matches('/'))
    }

    /// Makes a user.
    ///
    /// # Errors
    /// The server's error, or that it does not answer.
    pub async fn create_user(&self, user: &NewUser) -> anyhow::Result<Created> {
        self.post("users", user).await
    }

    /// Gives or takes a role.
    ///
    /// # Errors
    /// The server's error, or that it does not answer.
    pub async fn change_role(&self, change: &RoleChange) -> anyhow::Result<Created> {
        self.post("roles", change).await
    }

    /// Decides about a process that waits for a person.
    ///
    /// # Errors
    /// The server's error, or that it does not answer.
    pub async fn resolve(&self, resolution: &Resolution) -> anyhow::Result<Resolved> {
        self.post("sagas", resolution).await
    }

    /// Removes the delays after wrong passwords.
    ///
    /// # Errors
    /// The server's error, or that it does not answer.
    pub async fn unlock(&self, unlock: &Unlock) -> anyhow::Result<Created> {
        self.post("unlock", unlock).await
    }

    /// Rebuilds read models; `told` is called with each step.
    ///
    /// # Errors
    /// The server's error, that it does not answer, or the error of `told`.
    pub async fn rebuild(
        &self,
        request: &RebuildRequest,
        mut told: impl FnMut(RebuildEvent) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let sent = self.request(reqwest::Method::POST, "rebuild").json(request).send().await;
        let mut response = sent.context("the server does not answer")?;
        if !response.status().is_success() {
            bail!("{}", response.text().await.unwrap_or_default());
        }
        let mut rest = Vec::new();
        while let Some(bytes) = response.chunk().await.context("the server broke off")? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                told(serde_json::from_slice(&line).context("the server is of another version")?)?;
            }
        }
        Ok(())
    }

    /// Imports a file; the answer tells what becomes of its rows while it is carried out.
    ///
    /// # Errors
    /// The server's error, or that it does not answer.
    pub async fn import(&self, wanted: &WantedImport, file: std::fs::File) -> anyhow::Result<reqwest::Response> {
        let pairs = serde_json::to_value(wanted)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::String(text) => {
                    query.append_pair(name, text);
                }
                other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    query.append_pair(name, &other.to_string());
                }
            }
        }
        let path = format!("imports?{}", query.finish());
        let sent = self.request(reqwest::Method::POST, &path).body(tokio::fs::File::from_std(file)).send().await;
        let response = sent.context("the server does not answer")?;
        if response.status().is_success() {
            return Ok(response);
        }
        bail!("{}", response.text().await.unwrap_or_default())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{PREFIX}/{path}", self.file.operator_address);
        self.client.request(method, url).header(reqwest::header::AUTHORIZATION, self.file.token.bearer())
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let sent = self.request(reqwest::Method::POST, path).timeout(ANSWER).json(body).send().await;
        let response = sent.context("the server does not answer")?;
        if response.status().is_success() {
            return response.json().await.context("the server is of another version");
        }
        let text = response.text().await.unwrap_or_default();
        Err(anyhow!("{text}"))
    }
}
