//! Reads the gateway's own list of charges, to be held against the log.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jangbu_audit::gateway_books::GatewayCharge;
use serde::Deserialize;

use crate::config::Settings;
use crate::operator::RunningServer;

/// The gateway whose books these are, by its name in the log.
pub const GATEWAY: &str = "sandbox";
/// Charges of one page; the gateway gives no more.
const PAGE: usize = 200;
/// Pages after which the list counts as endless.
const MOST_PAGES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a gateway may take for a page that nobody has asked to be read.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Page {
    items: Vec<GatewayCharge>,
    next_cursor: Option<String>,
}

/// What became of the gateway's books.
pub enum Books {
    /// All its charges.
    Read(Vec<GatewayCharge>),
    /// Why they were not read.
    NotRead(String),
}

/// Reads the books of the gateway at an address.
///
/// # Errors
/// When it does not answer, or not with a list of charges.
pub async fn read(base_url: &str) -> anyhow::Result<Vec<GatewayCharge>> {
    pages(base_url, PATIENCE).await
}

/// Reads the books of the gateway that this shop uses, if it is known and answers.
pub async fn read_if_there(settings: &Settings) -> Books {
    let server = RunningServer::find(&settings.data_dir).await.ok().flatten();
    let of_server = server.and_then(|server| server.sandbox().map(|address| format!("http://{address}")));
    let configured = settings.sandbox.as_ref().and_then(|sandbox| sandbox.url.clone());
    let Some(url) = of_server.or(configured) else {
        return Books::NotRead("no gateway is at hand: name one with --gateway-books".to_owned());
    };
    match pages(&url, SHORT_PATIENCE).await {
        Ok(charges) => Books::Read(charges),
        Err(error) => Books::NotRead(format!("{error:#}")),
    }
}

async fn pages(base_url: &str, patience: Duration) -> anyhow::Result<Vec<GatewayCharge>> {
    let base_url = base_url.trim_end_matches('/');
    let client = crate::http::client(base_url, patience)?;
    let mut charges = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let url = format!("{base_url}/sandbox/charges?limit={PAGE}{from}");
        let response = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.with_context(|| format!("the gateway's books at {base_url} cannot be read"))?;
        let page: Page = response.json().await.context("the gateway's list of charges is not understood")?;
        charges.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(charges),
        }
    }
    bail!("the gateway's list of charges has no end")
}
