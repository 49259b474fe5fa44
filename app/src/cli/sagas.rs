//! `jangbu sagas`: the process manager's instances.

use std::time::Duration;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use jangbu_commands::OperatorAction;
use jangbu_integrations::SystemClock;
use jangbu_kernel::ports::{Clock as _, ParkedProcess};
use jangbu_kernel::{ProductId, RecordedEvent, StreamId, time};
use jangbu_projections::fold;
use jangbu_projections::{FulfilmentFilter, FulfilmentRow, FulfilmentState, PageRequest, Queries};
use jangbu_store::Store;
use serde::Serialize;
use uuid::Uuid;

use super::Done;
use super::events::EventLine;
use super::named::Named;
use super::users::operator;
use crate::config::Settings;
use crate::engine;
use crate::node::WriteSide;
use crate::operator::{Resolution, RunningServer, Verb};
use crate::output::Output;
use crate::table::{extra, key, text};

/// Rows of one query.
const PAGE: u32 = 200;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu sagas list --stuck
  jangbu sagas list --state parked --json
  jangbu sagas show 01890a5d-ac96-774b-bcce-b302099a8057
  jangbu sagas resume 261121-9HQ4B2T7KM --reason 'the carrier answers again'
  jangbu sagas compensate order-01890a5d-ac96-774b-bcce-b302099a8057 --reason 'out of print'
  jangbu sagas refund 261121-9HQ4B2T7KM --reason 'nobody at home' --restock
  jangbu sagas send-again 261121-9HQ4B2T7KM --reason 'the parcel is lost'")]
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
        /// At most so many, the newest
        #[arg(long, visible_alias = "last", value_name = "COUNT", default_value_t = 100)]
        limit: usize,
    },
    /// One fulfilment: where it stands, what it waits for, everything it saw and decided
    Show {
        /// The order: its id, its number or a stream of it
        #[arg(value_name = "ORDER")]
        order: Named,
    },
    /// Have a parked fulfilment try its step again
    Resume(DecisionArguments),
    /// Have a parked fulfilment take its step as done: a lost parcel as delivered, a refund as written off
    Skip(DecisionArguments),
    /// Have a parked fulfilment undo everything: label, money, goods, order
    Compensate(DecisionArguments),
    /// Give all the money of an order back whose parcel is lost or came back, or whose charge differs
    Refund(GoodsArguments),
    /// Send an order again whose parcel is lost or came back
    SendAgain {
        #[command(flatten)]
        goods: GoodsArguments,
        /// Send only so many of a product of the order, and not everything; once for each product
        #[arg(long = "line", value_name = "PRODUCT=QUANTITY", value_parser = part)]
        lines: Vec<(ProductId, u32)>,
    },
    /// Take an order as it is: a lost or returned parcel as arrived, a smaller charge as enough
    Accept(DecisionArguments),
}

#[derive(Debug, Args)]
struct GoodsArguments {
    #[command(flatten)]
    decision: DecisionArguments,
    /// What came back can be sold again: put it back into stock
    #[arg(long)]
    restock: bool,
}

#[derive(Debug, Args)]
struct DecisionArguments {
    /// The order: its id, its number or a stream of it
    #[arg(value_name = "ORDER")]
    order: Named,
    /// Why; it is recorded with who decided
    #[arg(long, value_name = "WHY")]
    reason: String,
}

fn part(text: &str) -> Result<(ProductId, u32), String> {
    let wrong = || format!("{text:?} is not PRODUCT=QUANTITY, as in 0198c0de-0000-7000-8000-000000000001=2");
    let (product, quantity) = text.split_once('=').ok_or_else(wrong)?;
    let product: Uuid = product.trim().parse().map_err(|_| wrong())?;
    Ok((ProductId::new(product), quantity.trim().parse().map_err(|_| wrong())?))
}

fn state() -> impl clap::builder::TypedValueParser<Value = FulfilmentState> {
    let names = PossibleValuesParser::new(FulfilmentState::ALL.iter().map(|state| state.name()));
    names.try_map(|name| FulfilmentState::from_name(&name).ok_or("unknown state"))
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    row: Option<&'a FulfilmentRow>,
    events: Vec<EventLine<'a>>,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    use OperatorAction::{Compensate, Resume, Skip};
    match arguments.action {
        Action::List { stuck, stuck_for, state, limit } => {
            let quiet = Duration::from_secs(stuck_for.into());
            let filter = FulfilmentFilter { state, stuck_for: stuck.then(|| (quiet, SystemClock.now())) };
            // The log is opened because only it tells whether there is a shop.
            let store = engine::open_for_reading(settings).await?;
            let parked = store.parked(None, limit).await?;
            let among = if parked.is_empty() { Vec::new() } else { as_far_as_readable(&*store, &parked).await? };
            store.close().await;
            let Some(models) = engine::read_models_to_read(settings).await? else {
                bail!("there are no read models yet: the server builds them, or `jangbu replay`");
            };
            let (mut rows, more) = list(&models.queries(), &filter, limit).await?;
            models.close().await;
            // A process with an unreadable stream is parked, whatever the read models say.
            let is_parked = |row: &FulfilmentRow| parked.iter().any(|process| process.order_id == row.order_id);
            let asked_for = state.is_none_or(|state| state == FulfilmentState::Parked);
            if asked_for || state.is_some() {
                rows.retain(|row| !is_parked(row));
            }
            if asked_for {
                rows.splice(0..0, among);
                rows.truncate(limit);
            }
            print(&rows, output)?;
            if more {
                output.note(&format!("the newest {} shown, there are more: --limit for more", rows.len()));
            }
        }
        Action::Show { order } => show(&order, settings, output).await?,
        Action::Resume(decision) => decide(decision, Verb::Process(Resume), settings, output).await?,
        Action::Skip(decision) => decide(decision, Verb::Process(Skip), settings, output).await?,
        Action::Compensate(decision) => decide(decision, Verb::Process(Compensate), settings, output).await?,
        Action::Refund(GoodsArguments { decision, restock }) => {
            decide(decision, Verb::Refund { restock }, settings, output).await?;
        }
        Action::SendAgain { goods: GoodsArguments { decision, restock }, lines } => {
            decide(decision, Verb::SendAgain { restock, lines }, settings, output).await?;
        }
        Action::Accept(decision) => decide(decision, Verb::Accept, settings, output).await?,
    }
    Ok(Done::Yes)
}

/// The newest, and whether there are more.
async fn list(
    queries: &Queries,
    filter: &FulfilmentFilter,
    limit: usize,
) -> anyhow::Result<(Vec<FulfilmentRow>, bool)> {
    let mut rows = Vec::new();
    let mut request = PageRequest { cursor: None, limit: PAGE };
    // One more than is shown, to know whether there are more.
    while rows.len() <= limit {
        let page = queries.fulfilments(filter, &request).await?;
        rows.extend(page.items);
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, more))
}

fn print(rows: &[FulfilmentRow], output: &Output) -> std::io::Result<()> {
    let columns = [
        key("order"),
        key("step"),
        extra("rest"),
        text("why parked"),
        extra("outcome"),
        extra("open commands"),
        extra("next timer"),
        extra("updated"),
    ];
    output.list(rows, &columns, |row| {
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
    })
}

/// The readable part of processes of which something cannot be read.
async fn as_far_as_readable(store: &dyn Store, parked: &[ParkedProcess]) -> anyhow::Result<Vec<FulfilmentRow>> {
    let mut rows = Vec::with_capacity(parked.len());
    for process in parked {
        let events = jangbu_commands::history(store, StreamId::fulfilment(process.order_id), None).await?;
        rows.push(left_alone(process, &events));
    }
    Ok(rows)
}

fn left_alone(process: &ParkedProcess, events: &[RecordedEvent]) -> FulfilmentRow {
    let mut row = fold::readable_fulfilment(process.order_id, events, process.parked_at);
    row.parked_reason = Some(format!("{} cannot be read: {}", process.stream, process.reason));
    row
}

async fn show(order: &Named, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let store = engine::open_for_reading(settings).await?;
    let order_id = order.order(&*store).await?;
    let events = jangbu_commands::history(&*store, StreamId::fulfilment(order_id), None).await?;
    let parked = store.parked_among(vec![order_id]).await?;
    store.close().await;
    if events.is_empty() {
        bail!("there is no fulfilment of order {order_id}");
    }
    // Folded from the log itself, because an operator must not decide on a stale state.
    let row = match parked.first() {
        Some(process) => Some(left_alone(process, &events)),
        None => fold::fulfilment(&events)?,
    };
    let lines: Vec<EventLine<'_>> = events.iter().map(EventLine::new).collect::<anyhow::Result<_>>()?;
    if output.is_json() {
        return Ok(output.object(&Shown { row: row.as_ref(), events: lines })?);
    }
    print(row.as_slice(), output)?;
    let columns = [key("version"), extra("position"), key("time"), key("event"), text("content")];
    output.list(&lines, &columns, EventLine::of_a_stream)?;
    Ok(())
}

async fn decide(decision: DecisionArguments, action: Verb, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let store = engine::open_for_reading(settings).await?;
    let order_id = decision.order.order(&*store).await;
    store.close().await;
    let decided = action.name();
    let resolution = Resolution { order_id: order_id?, action, reason: decision.reason, operator: operator() };
    let resolved = match RunningServer::find(&settings.data_dir).await? {
        Some(server) => server.resolve(&resolution).await?,
        None => {
            let side = WriteSide::open(settings).await?;
            let resolved = side.operator().resolve(resolution).await;
            side.close().await;
            resolved?
        }
    };
    let fields =
        [("order", resolved.order_id.to_string()), ("decided", decided.to_owned()), ("step", resolved.step.clone())];
    Ok(output.fields(&resolved, &fields)?)
}
