//! `jangbu events`: reads the log.

mod entry;

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::{CorrelationId, Position, RecordedEvent, StreamId};
use jangbu_store::Store;
use serde::Serialize;

use super::Done;
use super::named::{Named, event_type};
use crate::config::Settings;
use crate::engine;
use crate::output::Output;
use crate::table::{extra, key, room, short_time, shorten_ids};
pub(super) use entry::EventLine;
use entry::{Entry, page};

/// Events read at once.
const PAGE: usize = 500;
/// Events read at once when they are only counted.
const COUNT_PAGE: usize = 10_000;
/// How often a tail looks for new events.
const TAIL_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu events list --last 20
  jangbu events list --from 1 --limit 500
  jangbu events list --type order.placed --type order.paid --json
  jangbu events list --stream order-01890a5d-ac96-774b-bcce-b302099a8057
  jangbu events list --stream 261121-9HQ4B2T7KM
  jangbu events count --type order.placed
  jangbu events show 42
  jangbu events tail --type payment.captured")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Events in order of position
    List {
        #[command(flatten)]
        filter: FilterArguments,
        /// First position, from 1
        #[arg(long, value_name = "POSITION", default_value_t = Position::FIRST)]
        from: Position,
        /// At most so many events
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// The newest so many events instead, in order of position
        #[arg(long, value_name = "COUNT", conflicts_with_all = ["from", "limit"])]
        last: Option<usize>,
    },
    /// How many events there are
    Count {
        #[command(flatten)]
        filter: FilterArguments,
    },
    /// One event with its whole content
    Show {
        /// Its position in the log
        #[arg(value_name = "POSITION")]
        position: Position,
    },
    /// New events as they come; ends with Ctrl-C
    Tail {
        #[command(flatten)]
        filter: FilterArguments,
        /// Begin at this position instead of the end
        #[arg(long, value_name = "POSITION")]
        from: Option<Position>,
    },
}

#[derive(Debug, Args)]
struct FilterArguments {
    /// Only this stream, as <kind>-<uuid>; an id alone or an order's number will do
    #[arg(long, value_name = "STREAM")]
    stream: Option<Named>,
    /// Only this type, as order.placed; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    event_types: Vec<String>,
    /// Only what one request set in motion
    #[arg(long, value_name = "UUID")]
    correlation: Option<CorrelationId>,
}

impl FilterArguments {
    async fn resolve(self, log: &dyn EventLog) -> anyhow::Result<Filter> {
        let stream = match &self.stream {
            Some(named) => Some(named.stream(log).await?),
            None => None,
        };
        Ok(Filter { stream, event_types: self.event_types, correlation: self.correlation })
    }
}

/// Which events.
struct Filter {
    stream: Option<StreamId>,
    event_types: Vec<String>,
    correlation: Option<CorrelationId>,
}

impl Filter {
    fn matches(&self, event: &RecordedEvent) -> bool {
        self.stream.is_none_or(|stream| stream == event.stream)
            && (self.event_types.is_empty() || self.event_types.contains(&event.event_type))
            && self.correlation.is_none_or(|correlation| correlation == event.meta.correlation_id)
    }

    fn is_everything(&self) -> bool {
        self.stream.is_none() && self.event_types.is_empty() && self.correlation.is_none()
    }
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let opened: &dyn Store = &*store;
    let log: &dyn EventLog = opened;
    match arguments.action {
        Action::List { filter, last: Some(last), .. } => {
            list_last(opened, &filter.resolve(log).await?, last, output).await?
        }
        Action::List { filter, from, limit, last: None } => {
            list(opened, &filter.resolve(log).await?, from, limit, output).await?;
        }
        Action::Count { filter } => count(log, &filter.resolve(log).await?, output).await?,
        Action::Show { position } => show(opened, position, output).await?,
        Action::Tail { filter, from } => {
            let after = match from {
                Some(from) => from.previous(),
                None => log.head().await?,
            };
            let filter = filter.resolve(log).await?;
            tokio::select! {
                ended = tail(opened, &filter, after, output) => ended?,
                signal = tokio::signal::ctrl_c() => signal?,
            }
        }
    }
    store.close().await;
    Ok(Done::Yes)
}

async fn list(log: &dyn Store, filter: &Filter, from: Position, limit: usize, output: &Output) -> anyhow::Result<()> {
    let mut found = Vec::new();
    let mut next = None;
    match filter.stream {
        Some(stream) => {
            let events = jangbu_commands::history(log, stream, None).await?;
            let mut wanted = events.into_iter().filter(|event| event.position >= from && filter.matches(event));
            found.extend(wanted.by_ref().take(limit).map(Entry::Known));
            next = wanted.next().map(|event| event.position);
        }
        None => {
            let mut after = from.previous();
            let head = log.head().await?;
            while next.is_none() && after < head {
                // One more than is shown, to know whether there are more.
                let room = limit.saturating_sub(found.len());
                let (page, read_to) = page(log, after, PAGE.min(room.saturating_add(1)), &wanted(filter)).await?;
                let mut page = page.into_iter();
                found.extend(page.by_ref().take(room));
                next = page.next().map(|entry| entry.position());
                after = read_to;
            }
        }
    }
    print(&found, output)?;
    if let Some(next) = next {
        output.note(&format!(
            "{} shown, there are more: --from {next} for the next ones, --limit for more at once, --last for the newest",
            found.len()
        ));
    }
    Ok(())
}

/// The newest events. The log is read forwards, because with a filter it is not known in advance
/// how far back they are.
async fn list_last(log: &dyn Store, filter: &Filter, last: usize, output: &Output) -> anyhow::Result<()> {
    let mut found = VecDeque::new();
    let mut keep = |entry: Entry| {
        if found.len() == last {
            found.pop_front();
        }
        if last > 0 {
            found.push_back(entry);
        }
    };
    match filter.stream {
        Some(stream) => {
            let events = jangbu_commands::history(log, stream, None).await?;
            events.into_iter().filter(|event| filter.matches(event)).map(Entry::Known).for_each(keep);
        }
        None => {
            let head = log.head().await?;
            let back = if filter.is_everything() { u64::try_from(last)? } else { head.get() };
            let mut after = head.minus(back);
            while after < head {
                let (page, read_to) = page(log, after, PAGE, &wanted(filter)).await?;
                // Events that were appended meanwhile are left out.
                page.into_iter().filter(|entry| entry.position() <= head).for_each(&mut keep);
                after = read_to;
            }
        }
    }
    print(found.make_contiguous(), output)
}

fn print(found: &[Entry], output: &Output) -> anyhow::Result<()> {
    let lines: Vec<EventLine<'_>> = found.iter().map(Entry::line).collect::<anyhow::Result<_>>()?;
    let columns = [key("position"), key("time"), key("type"), key("stream"), extra("version"), extra("actor")];
    output.list(&lines, &columns, |line| {
        vec![
            line.position.to_string(),
            line.recorded_at.clone(),
            line.event_type.to_owned(),
            line.stream.clone(),
            line.version.to_string(),
            line.actor.clone(),
        ]
    })?;
    Ok(())
}

/// The number of events.
#[derive(Serialize)]
struct Count {
    count: u64,
}

async fn count(log: &dyn EventLog, filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let head = log.head().await?;
    // Positions have no gaps, so the last one is the number of events.
    let (mut count, mut after) = if filter.is_everything() { (head.get(), head) } else { (0, Position::ZERO) };
    while after < head {
        let (page, read_to) = log.read_all(after, COUNT_PAGE, &wanted(filter)).await?;
        count += u64::try_from(page.iter().filter(|event| filter.matches(event)).count())?;
        after = read_to;
    }
    if output.is_json() {
        output.object(&Count { count })?;
    } else {
        output.text(&count.to_string())?;
    }
    Ok(())
}

fn wanted(filter: &Filter) -> ReadFilter {
    ReadFilter { event_types: filter.event_types.clone(), correlation_id: filter.correlation }
}

async fn show(log: &dyn Store, position: Position, output: &Output) -> anyhow::Result<()> {
    let (page, _) = page(log, position.previous(), 1, &ReadFilter::default()).await?;
    let Some(entry) = page.first().filter(|entry| entry.position() == position) else {
        bail!("there is no event at position {position}; the log ends at {}", log.head().await?);
    };
    let line = entry.line()?;
    let data: serde_json::Value = serde_json::from_str(line.data.get())?;
    output.fields(
        &line,
        &[
            ("position", position.to_string()),
            ("stream", line.stream.clone()),
            ("version", line.version.to_string()),
            ("type", format!("{} v{}", line.event_type, line.schema_version)),
            ("time", line.recorded_at.clone()),
            ("actor", line.actor.clone()),
            ("id", line.id.to_string()),
            ("command", line.command_id.to_string()),
            ("correlation", line.correlation_id.to_string()),
            ("causation", line.causation_id.to_string()),
            ("hash", hex(entry.hash())),
            ("data", serde_json::to_string_pretty(&data)?),
        ],
    )?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn tail(log: &dyn Store, filter: &Filter, mut after: Position, output: &Output) -> anyhow::Result<()> {
    loop {
        let (page, read_to) = page(log, after, PAGE, &wanted(filter)).await?;
        for entry in page.iter().filter(|entry| entry.is_wanted(filter)) {
            let line = entry.line()?;
            if output.is_json() {
                output.object(&line)?;
            } else {
                output.text(&as_it_comes(&line))?;
            }
        }
        // Another process may be the writer, and it cannot wake this one.
        if read_to == after {
            tokio::time::sleep(TAIL_EVERY).await;
        }
        after = read_to;
    }
}

/// An event on one line, with as many columns as there is room for.
fn as_it_comes(line: &EventLine<'_>) -> String {
    /// Width of a line with all columns.
    const WHOLE: u16 = 150;
    /// Width of a short line with the longest stream name.
    const WITH_IDS: u16 = 100;
    let EventLine { position, recorded_at, event_type, stream, version, actor, .. } = line;
    match room() {
        Some(room) if room < WHOLE => {
            let time = short_time(recorded_at).unwrap_or_else(|| recorded_at.clone());
            let stream = if room < WITH_IDS { shorten_ids(stream) } else { stream.as_str().into() };
            format!("{position:>7} {time} {event_type:<28} {stream}")
        }
        Some(_) | None => format!("{position:>8}  {recorded_at}  {event_type:<32} {stream}  v{version}  {actor}"),
    }
}
