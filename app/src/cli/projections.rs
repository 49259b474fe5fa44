//! `jangbu projections`: the state of the read models.

use anyhow::bail;
use clap::Args;
use jangbu_kernel::Position;
use jangbu_projections::ParkedStream;
use serde::Serialize;

use super::Done;
use crate::config::Settings;
use crate::engine;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "\
Lag counts positions of the log. States: live, catching_up, rebuilding, stopped (nobody
projects). A view with parked streams leaves those out until it is rebuilt or they are
redriven; they are listed with the event that does not fold and the reason, 20 a view.

Examples:
  jangbu projections
  jangbu projections --json | jq 'select(.lag > 1000)'")]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Line {
    name: String,
    version: u32,
    position: Position,
    lag: u64,
    state: &'static str,
    parked_streams: u64,
    /// The first of the parked streams.
    parked: Vec<ParkedLine>,
}

#[derive(Serialize)]
struct ParkedLine {
    view: String,
    stream: String,
    position: Position,
    reason: String,
    since: String,
}

/// Parked streams that are listed for each view.
const STREAMS_LISTED: usize = 20;

pub(super) async fn run(_: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let head = store.head().await?;
    let Some(models) = engine::read_models_to_read(settings).await? else {
        bail!("there are no read models yet: the server builds them, or `jangbu replay`");
    };
    let parked = models.queries().parked_streams().await?;
    let of_view = |view: &str| {
        let of_view = parked.iter().filter(|parked| parked.view == view).take(STREAMS_LISTED);
        of_view.map(ParkedLine::new).collect::<Vec<_>>()
    };
    let lines: Vec<Line> = models
        .queries()
        .statuses()
        .await?
        .into_iter()
        .map(|status| Line {
            parked: of_view(&status.name),
            name: status.name,
            version: status.version,
            position: status.position,
            lag: status.position.behind(head),
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
    let parked: Vec<ParkedLine> = lines.into_iter().flat_map(|line| line.parked).collect();
    if !output.is_json() && !parked.is_empty() {
        output.list(&parked, &["parked stream", "projection", "position", "since", "reason"], |line| {
            vec![
                line.stream.clone(),
                line.view.clone(),
                line.position.to_string(),
                line.since.clone(),
                line.reason.clone(),
            ]
        })?;
    }
    Ok(Done::Yes)
}

impl ParkedLine {
    fn new(parked: &ParkedStream) -> Self {
        Self {
            view: parked.view.clone(),
            stream: parked.stream.to_string(),
            position: parked.position,
            reason: parked.reason.clone(),
            since: jangbu_kernel::time::rfc3339(parked.since),
        }
    }
}
