//! `jangbu audit`: the history of a stream, and the verification of the whole log.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use jangbu_audit::{End, Invariant};
use jangbu_integrations::SystemClock;
use jangbu_kernel::ports::Clock as _;
use jangbu_kernel::{Position, StreamId, Version};
use jangbu_store::Store;
use serde::Serialize;

use super::Done;
use super::named::Named;
use crate::audit::gateway_books::{self, Books};
use crate::audit::show::{AsOf, Step, story};
use crate::audit::verify::{Audit, Report, verify};
use crate::config::Settings;
use crate::engine;
use crate::output::{Output, Progress};
use crate::table::{extra, key, text};

/// Violations that are printed as text; `--json` has all of them.
const SHOWN: usize = 50;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu audit verify
  jangbu audit verify --json | jq .first_bad_position
  jangbu audit show order-01890a5d-ac96-774b-bcce-b302099a8057
  jangbu audit show 261121-9HQ4B2T7KM
  jangbu audit show stock-01890a5d-ac96-774b-bcce-b302099a8057 --as-of 2026-11-21T01:07:00Z")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Who did what to a stream, when and why, and what it changed
    Show {
        /// The stream, as <kind>-<uuid>; an id alone or an order's number will do
        #[arg(value_name = "STREAM")]
        stream: Named,
        /// Only what had happened by then: a position or a time (RFC 3339)
        #[arg(long, value_name = "POSITION|TIME")]
        as_of: Option<AsOf>,
    },
    /// Recompute every hash and root and hold every event against the shop's invariants
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The log is verified by itself: positions, versions, hashes, sealed roots, receipts, and the
invariants over every event. The read models are compared with it, and so are the books of the
gateway when it answers. What was not checked says so: it is not the same as broken 0 times.
Nothing is written, and a running server goes on.

Exit code 1 when something that was checked does not hold.

Examples:
  jangbu audit verify
  jangbu audit verify --no-read-models --no-gateway-books
  jangbu audit verify --gateway-books http://127.0.0.1:8090")]
struct VerifyArguments {
    /// Compare the read models with the log, as is done anyway, and fail where that cannot be done
    #[arg(long)]
    read_models: bool,
    /// Leave the read models out
    #[arg(long, conflicts_with = "read_models")]
    no_read_models: bool,
    /// Base address of the sandbox whose books are compared with the log [default: the one
    /// that the running server or the configuration names, when it answers]
    #[arg(long, value_name = "URL")]
    gateway_books: Option<String>,
    /// Leave the gateway's books out
    #[arg(long, conflicts_with = "gateway_books")]
    no_gateway_books: bool,
    /// Seconds that a process may stand still before that counts as not ending
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    stuck_after: u32,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    match arguments.action {
        Action::Show { stream, as_of } => show(&stream, as_of, settings, output).await,
        Action::Verify(arguments) => run_verify(&arguments, settings, output).await,
    }
}

/// The additional output of `--as-of`.
#[derive(Serialize)]
struct StateThen<'a> {
    stream: StreamId,
    version: Version,
    position: Position,
    state: &'a str,
}

async fn show(named: &Named, as_of: Option<AsOf>, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let stream = named.stream(&*store).await?;
    let mut events = jangbu_commands::history(&*store, stream, None).await?;
    store.close().await;
    if events.is_empty() {
        bail!("there is no stream {stream}");
    }
    if let Some(as_of) = as_of {
        events.retain(|event| as_of.covers(event));
    }
    let steps = story(&events)?;
    let columns = [
        key("version"),
        key("time"),
        extra("actor"),
        key("event"),
        extra("from"),
        text("to"),
        text("why"),
        extra("position"),
        extra("correlation"),
        extra("causation"),
    ];
    output.list(&steps, &columns, |step: &Step| {
        vec![
            step.version.to_string(),
            step.recorded_at.clone(),
            step.actor.clone(),
            step.event_type.clone(),
            step.from.clone(),
            step.to.clone(),
            step.reason.clone().unwrap_or_default(),
            step.position.to_string(),
            step.correlation_id.clone(),
            step.causation_id.clone(),
        ]
    })?;
    if as_of.is_some() && !output.is_json() {
        let then = steps
            .last()
            .map_or(StateThen { stream, version: Version::ZERO, position: Position::ZERO, state: "-" }, |step| {
                StateThen { stream, version: step.version, position: step.position, state: &step.to }
            });
        output.text(&format!("{} was then at version {}: {}", then.stream, then.version, then.state))?;
    }
    Ok(Done::Yes)
}

async fn run_verify(arguments: &VerifyArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    // The books are read before the log, so that the log has every charge in them; what has changed
    // since `as_of` is left out.
    let as_of = store.head().await?;
    let books = match &arguments.gateway_books {
        Some(url) => Books::Read(gateway_books::read(url).await?),
        None if arguments.no_gateway_books => Books::NotRead("left out".to_owned()),
        None => gateway_books::read_if_there(settings).await,
    };
    let mut progress = Progress::new("verifying", as_of.get());
    let end = End { now: SystemClock.now(), patience: TimeDelta::seconds(arguments.stuck_after.into()) };
    let mut audit = verify(&*store, |done| progress.at(done, as_of.get().max(done))).await?;
    progress.end();
    match books {
        Books::Read(charges) => {
            for (gateway, charges) in &charges {
                audit.compare_with_gateway(gateway, charges, as_of);
            }
        }
        Books::NotRead(why) => audit.without_gateway(why),
    }
    compare_read_models(&mut audit, arguments, settings, Arc::clone(&store)).await?;
    store.close().await;
    let report = audit.finish(end);
    let done = if report.ok { Done::Yes } else { Done::CheckFailed };
    output.conclude(done, print(&report, output))
}

async fn compare_read_models(
    audit: &mut Audit,
    arguments: &VerifyArguments,
    settings: &Settings,
    log: Arc<dyn Store>,
) -> anyhow::Result<()> {
    if arguments.no_read_models {
        audit.without_read_models("left out");
        return Ok(());
    }
    if !audit.rows_hold() {
        audit.without_read_models("the log that they would be compared with does not hold");
        return Ok(());
    }
    let opened = engine::read_models_to_read(settings).await;
    let models = match opened {
        Ok(Some(models)) => models,
        Ok(None) if arguments.read_models => bail!("there are no read models"),
        Ok(None) => {
            audit.without_read_models("there are none");
            return Ok(());
        }
        Err(error) if arguments.read_models => return Err(error),
        Err(error) => {
            audit.without_read_models(format!("{error:#}"));
            return Ok(());
        }
    };
    let mut progress = Progress::new("comparing read models", 0);
    match models.compare(log, &SystemClock, |position, head| progress.at(position, head)).await {
        Ok(views) => audit.compare_with_read_models(&views),
        Err(error) => audit.read_models_are_damaged(&format!("{:#}", anyhow!(error))),
    }
    progress.end();
    models.close().await;
    Ok(())
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
    output.list(Invariant::ALL, &["", "invariant", "broken"], |invariant| {
        let broken = report.invariants.get(invariant.code()).copied().flatten();
        let broken = broken.map_or_else(|| "not checked".to_owned(), |broken| broken.to_string());
        vec![invariant.code().to_owned(), invariant.statement().to_owned(), broken]
    })?;
    for (code, why) in &report.not_checked {
        output.text(&format!("{code} was not checked: {why}"))?;
    }
    output.text(&format!(
        "{} events of {} streams, {} sealed roots ({} events not sealed yet), {} receipts, {} events/s, root {}",
        report.events,
        report.streams,
        report.roots,
        report.unsealed,
        report.receipts,
        report.events_per_second,
        report.root
    ))?;
    match report.first_bad_position {
        None if report.log_holds => output.text("the log holds")?,
        first => output.text(&format!("the log does NOT hold, first bad position: {}", first.unwrap_or_default()))?,
    }
    if report.read_models_agree == Some(false) {
        // If the log itself is not intact, the read models may be the only correct copy.
        let advice = if report.log_holds { ": `jangbu replay --from-scratch` builds them anew from it" } else { "" };
        output.text(&format!("the read models differ from the log{advice}"))?;
    }
    if report.gateway_agrees == Some(false) {
        output.text("the gateway's books differ from the log")?;
    }
    Ok(())
}
