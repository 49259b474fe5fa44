//! `jangbu sagas`: the process manager's instances.

use std::time::Duration;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use jangbu_integrations::SystemClock;
use jangbu_kernel::ports::Clock as _;
use jangbu_kernel::{OrderId, StreamId, time};
use jangbu_projections::{FulfilmentFilter, FulfilmentRow, FulfilmentState, PageRequest, Queries};
use serde::Serialize;

use super::Done;
use super::events::EventLine;
use crate::config::Settings;
use crate::engine;
use crate::output::Output;

/// Rows of one query.
const PAGE: u32 = 200;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu sagas list --stuck
  jangbu sagas list --state parked --json
  jangbu sagas show 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fulfilments, the newest first
    List {
        /// Only those that somebody should look at
        #[arg(long)]
        stuck: bool,
        /// Quiet for so many seconds counts as stuck
        #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "stuck")]
        stuck_for: u32,
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = state())]
        state: Option<FulfilmentState>,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
    },
    /// One fulfilment: where it stands, what it waits for, everything it saw and decided
    Show {
        /// The order's id
        #[arg(value_name = "ORDER")]
        order_id: OrderId,
    },
}

fn state() -> impl clap::builder::TypedValueParser<Value = FulfilmentState> {
    let names = PossibleValuesParser::new(FulfilmentState::ALL.map(FulfilmentState::name));
    names.try_map(|name| FulfilmentState::from_name(&name).ok_or("unknown state"))
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    row: &'a FulfilmentRow,
    events: Vec<EventLine<'a>>,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    match arguments.action {
        Action::List { stuck, stuck_for, state, limit } => {
            let quiet = Duration::from_secs(stuck_for.into());
            let filter = FulfilmentFilter { state, stuck_for: stuck.then(|| (quiet, SystemClock.now())) };
            // The log is what says that there is a shop here at all.
            engine::open_for_reading(settings).await?.close().await;
            let Some(models) = engine::read_models_to_read(settings).await? else {
                bail!("there are no read models yet: the server builds them, or `jangbu replay`");
            };
            let rows = list(&models.queries(), &filter, limit).await?;
            models.close().await;
            print(&rows, output)?;
        }
        Action::Show { order_id } => show(order_id, settings, output).await?,
    }
    Ok(Done::Yes)
}

async fn list(queries: &Queries, filter: &FulfilmentFilter, limit: usize) -> anyhow::Result<Vec<FulfilmentRow>> {
    let mut rows = Vec::new();
    let mut request = PageRequest { cursor: None, limit: PAGE };
    while rows.len() < limit {
        let page = queries.fulfilments(filter, &request).await?;
        rows.extend(page.items);
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    rows.truncate(limit);
    Ok(rows)
}

fn print(rows: &[FulfilmentRow], output: &Output) -> std::io::Result<()> {
    output.list(
        rows,
        &["order", "step", "rest", "why parked", "outcome", "open commands", "next timer", "updated"],
        |row| {
            vec![
                row.order_id.to_string(),
                row.step.clone(),
                if row.at_rest { "yes" } else { "no" }.to_owned(),
                row.parked_reason.clone().unwrap_or_default(),
                row.outcome.clone().unwrap_or_default(),
                row.open_commands.iter().map(|command| command.name.as_str()).collect::<Vec<_>>().join(", "),
                row.timers.iter().map(|timer| timer.due_at).min().map(time::rfc3339).unwrap_or_default(),
                time::rfc3339(row.updated_at),
            ]
        },
    )
}

async fn show(order_id: OrderId, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let store = engine::open_for_reading(settings).await?;
    let events = jangbu_commands::history(&*store, StreamId::fulfilment(order_id), None).await?;
    store.close().await;
    // Folded from the log itself: what an operator decides on must not be behind.
    let Some(row) = jangbu_projections::fold::fulfilment(&events)? else {
        bail!("there is no fulfilment of order {order_id}");
    };
    let lines: Vec<EventLine<'_>> = events.iter().map(EventLine::new).collect::<anyhow::Result<_>>()?;
    if output.is_json() {
        return Ok(output.object(&Shown { row: &row, events: lines })?);
    }
    print(std::slice::from_ref(&row), output)?;
    for event in &events {
        output.text(&format!(
            "{:>4}  {:>8}  {}  {:<32} {}",
            event.version,
            event.position,
            time::rfc3339(event.meta.recorded_at),
            event.event_type,
            event.payload
        ))?;
    }
    Ok(())
}
