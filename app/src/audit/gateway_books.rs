//! Reads the gateway's own list of charges, to be held against the log.

use std::time::Duration;

use anyhow::Context as _;
use jangbu_audit::gateway_books::GatewayCharge;
use serde::Deserialize;

/// Charges of one page; the gateway gives no more.
const PAGE: usize = 200;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Page {
    items: Vec<GatewayCharge>,
    next_cursor: Option<String>,
}

/// Reads all charges of the sandbox at a base address.
///
/// # Errors
/// When it does not answer, or not with a list of charges.
pub async fn read(base_url: &str) -> anyhow::Result<Vec<GatewayCharge>> {
    let base_url = base_url.trim_end_matches('/');
    let client = crate::http::client(base_url, PATIENCE)?;
    let mut charges = Vec::new();
    let mut cursor = None;
    loop {
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
}
