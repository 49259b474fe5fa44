//! `jangbu audit`: the story of a stream, and the proof over all of them.

use anyhow::bail;
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use jangbu_audit::{End, Invariant};
use jangbu_integrations::SystemClock;
use jangbu_kernel::StreamId;
use jangbu_kernel::ports::Clock as _;
use serde::Serialize;

use super::Done;
use crate::audit::gateway_books;
use crate::audit::show::{AsOf, Step, story};
use crate::audit::verify::{Report, verify};
use crate::config::Settings;
use crate::engine;
use crate::operator::compare_anywhere;
use crate::output::{Output, Progress};

/// Violations shown to a person; `--json` has them all.
const SHOWN: usize = 50;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu audit verify
  jangbu audit verify --json | jq .first_bad_position
  jangbu audit show order-01890a5d-ac96-774b-bcce-b302099a8057
  jangbu audit show stock-01890a5d-ac96-774b-bcce-b302099a8057 --as-of 2026-11-21T01:07:00Z")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Who did what to a stream, when and why, and what it changed
    Show {
        /// The stream, as <kind>-<uuid>
        #[arg(value_name = "STREAM")]
        stream: StreamId,
        /// Only what had happened by then: a position or a time (RFC 3339)
        #[arg(long, value_name = "POSITION|TIME")]
        as_of: Option<AsOf>,
    },
    /// Recompute every hash and root and hold every event against the shop's invariants
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// Compare the read models with the log as well
    #[arg(long)]
    read_models: bool,
    /// Compare the gateway's own books with the log: base address of the sandbox
    #[arg(long, value_name = "URL")]
    gateway_books: Option<String>,
    /// Seconds that a process may stand still before that counts as not ending
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    stuck_after: u32,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    match arguments.action {
        Action::Show { stream, as_of } => show(stream, as_of, settings, output).await,
        Action::Verify(arguments) => run_verify(&arguments, settings, output).await,
    }
}

/// What `--as-of` asks for beside the steps.
#[derive(Serialize)]
struct StateThen<'a> {
    stream: StreamId,
    version: u64,
    position: u64,
    state: &'a str,
}

async fn show(stream: StreamId, as_of: Option<AsOf>, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let mut events = jangbu_commands::history(&*store, stream, None).await?;
    store.close().await;
    if events.is_empty() {
        bail!("there is no stream {stream}");
    }
    if let Some(as_of) = as_of {
        events.retain(|event| as_of.covers(event));
    }
    let steps = story(&events)?;
    let columns = ["version", "position", "time", "actor", "event", "from", "to", "why", "correlation", "causation"];
    output.list(&steps, &columns, |step: &Step| {
        vec![
            step.version.to_string(),
            step.position.to_string(),
            step.recorded_at.clone(),
            step.actor.clone(),
            step.event_type.clone(),
            step.from.clone(),
            step.to.clone(),
            step.reason.clone().unwrap_or_default(),
            step.correlation_id.clone(),
            step.causation_id.clone(),
        ]
    })?;
    if as_of.is_some() && !output.is_json() {
        let then = steps.last().map_or(StateThen { stream, version: 0, position: 0, state: "-" }, |step| StateThen {
            stream,
            version: step.version,
            position: step.position,
            state: &step.to,
        });
        output.text(&format!("{} was then at version {}: {}", then.stream, then.version, then.state))?;
    }
    Ok(Done::Yes)
}

async fn run_verify(arguments: &VerifyArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let total = store.head().await?;
    let mut progress = Progress::new("verifying", total);
    let end = End { now: SystemClock.now(), patience: TimeDelta::seconds(arguments.stuck_after.into()) };
    let mut audit = verify(&*store, |done| progress.at(done, total.max(done))).await?;
    progress.end();
    store.close().await;
    if let Some(url) = &arguments.gateway_books {
        audit.compare_with_gateway(&gateway_books::read(url).await?);
    }
    if arguments.read_models {
        audit.compare_with_read_models(&compare_anywhere(settings).await?);
    }
    let report = audit.finish(end);
    print(&report, output)?;
    Ok(if report.ok { Done::Yes } else { Done::CheckFailed })
}

fn print(report: &Report, output: &Output) -> anyhow::Result<()> {
    if output.is_json() {
        return Ok(output.object(report)?);
    }
    for violation in report.violations.iter().take(SHOWN) {
        let stream = violation.stream.map(|stream| format!(" {stream}")).unwrap_or_default();
        output.text(&format!(
            "{} at position {}{stream}: {}",
            violation.invariant.code(),
            violation.position,
            violation.detail
        ))?;
    }
    if let Some(more) = report.violations.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        output.text(&format!("and {more} more; --json shows them all"))?;
    }
    let invariants = Invariant::ALL;
    let rows: Vec<_> =
        invariants.iter().map(|invariant| (invariant, report.invariants.get(invariant.code()))).collect();
    output.list(&rows, &["", "invariant", "broken"], |(invariant, broken)| {
        let broken = broken.copied().unwrap_or(0);
        vec![invariant.code().to_owned(), invariant.statement().to_owned(), broken.to_string()]
    })?;
    output.text(&format!(
        "{} events of {} streams, {} sealed roots ({} events not sealed yet), {} events/s, root {}",
        report.events, report.streams, report.roots, report.unsealed, report.events_per_second, report.root
    ))?;
    match report.first_bad_position {
        None if report.ok => output.text("the log holds")?,
        first => output.text(&format!("the log does NOT hold, first bad position: {}", first.unwrap_or_default()))?,
    }
    Ok(())
}
