//! `jangbu projections`: how the read models stand.

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::Done;
use crate::config::Settings;
use crate::engine;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "\
Lag counts positions of the log. States: live, catching_up, rebuilding, stopped (nobody
projects). A view with parked streams leaves those out until they are redriven.

Examples:
  jangbu projections
  jangbu projections --json | jq 'select(.lag > 1000)'")]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Line {
    name: String,
    version: u32,
    position: u64,
    lag: u64,
    state: &'static str,
    parked_streams: u64,
}

pub(super) async fn run(_: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let head = store.head().await?;
    let Some(models) = engine::read_models_to_read(settings).await? else {
        bail!("there are no read models yet: the server builds them, or `jangbu replay`");
    };
    let lines: Vec<Line> = models
        .queries()
        .statuses()
        .await?
        .into_iter()
        .map(|status| Line {
            name: status.name,
            version: status.version,
            position: status.position,
            lag: head.saturating_sub(status.position),
            state: status.state.name(),
            parked_streams: status.parked_streams,
        })
        .collect();
    models.close().await;
    store.close().await;
    output.list(&lines, &["projection", "version", "position", "lag", "state", "parked streams"], |line| {
        vec![
            line.name.clone(),
            line.version.to_string(),
            line.position.to_string(),
            line.lag.to_string(),
            line.state.to_owned(),
            line.parked_streams.to_string(),
        ]
    })?;
    Ok(Done::Yes)
}
