//! Reads the gateway's own list of charges, which the audit compares with the log.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jangbu_audit::gateway_books::GatewayCharge;
use jangbu_integrations::gateways;
use serde::Deserialize;

use crate::config::Settings;
use crate::operator::RunningServer;

/// Charges of one page; the gateway returns no more.
const PAGE: usize = 200;
/// Pages after which the list counts as endless.
const MOST_PAGES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a gateway may take for a page when its books are read without being asked for.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Page {
    items: Vec<Entry>,
    next_cursor: Option<String>,
}

/// A charge, with the gateway that it was made at.
#[derive(Deserialize)]
struct Entry {
    #[serde(default = "first_gateway")]
    gateway: String,
    #[serde(flatten)]
    charge: GatewayCharge,
}

/// The gateway of a charge whose sandbox does not name one.
fn first_gateway() -> String {
    gateways::sandbox::NAME.to_owned()
}

/// The charges of each gateway, by its name in the log. Every gateway that a shop can be connected
/// to has an entry, because having no charges is a result, too.
pub type Charges = BTreeMap<String, Vec<GatewayCharge>>;

/// The result of reading the gateway's books.
pub enum Books {
    /// All its charges.
    Read(Charges),
    /// Why they were not read.
    NotRead(String),
}

/// Reads the books of the gateway at an address.
///
/// # Errors
/// When it does not answer, or not with a list of charges.
pub async fn read(base_url: &str) -> anyhow::Result<Charges> {
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

async fn pages(base_url: &str, patience: Duration) -> anyhow::Result<Charges> {
    let base_url = base_url.trim_end_matches('/');
    let client = crate::http::client(base_url, patience)?;
    let known = gateways::GATEWAYS.iter().map(|(name, _)| ((*name).to_owned(), Vec::new()));
    let mut charges: Charges = known.collect();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let url = format!("{base_url}/sandbox/charges?limit={PAGE}{from}");
        let response = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.with_context(|| format!("the gateway's books at {base_url} cannot be read"))?;
        let page: Page = response.json().await.context("the gateway's list of charges is not understood")?;
        for Entry { gateway, charge } in page.items {
            charges.entry(gateway).or_default().push(charge);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(charges),
        }
    }
    bail!("the gateway's list of charges has no end")
}
