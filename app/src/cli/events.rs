//! `jangbu events`: the log, read.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::{CorrelationId, RecordedEvent, StreamId, time};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Done;
use crate::config::Settings;
use crate::engine;
use crate::output::Output;

/// Events read at once.
const PAGE: usize = 500;
/// Events read at once when they are only counted.
const COUNT_PAGE: usize = 10_000;
/// How often a tail looks for new events.
const TAIL_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu events list --from 1 --limit 20
  jangbu events list --type order.placed --type order.paid --json
  jangbu events list --stream order-01890a5d-ac96-774b-bcce-b302099a8057
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
        filter: Filter,
        /// First position, from 1
        #[arg(long, value_name = "POSITION", default_value_t = 1)]
        from: u64,
        /// At most so many events
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
    },
    /// How many events there are
    Count {
        #[command(flatten)]
        filter: Filter,
    },
    /// One event with its whole content
    Show {
        /// Its position in the log
        #[arg(value_name = "POSITION")]
        position: u64,
    },
    /// New events as they come; ends with Ctrl-C
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// Begin at this position instead of the end
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
    },
}

#[derive(Debug, Args)]
struct Filter {
    /// Only this stream, as <kind>-<uuid>
    #[arg(long, value_name = "STREAM")]
    stream: Option<StreamId>,
    /// Only this type, as order.placed; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// Only what one request set in motion
    #[arg(long, value_name = "UUID")]
    correlation: Option<CorrelationId>,
}

impl Filter {
    fn matches(&self, event: &RecordedEvent) -> bool {
        self.stream.is_none_or(|stream| stream == event.stream)
            && (self.event_types.is_empty() || self.event_types.contains(&event.event_type))
            && self.correlation.is_none_or(|correlation| correlation == event.meta.correlation_id)
    }
}

/// An event as programs read it.
#[derive(Serialize)]
pub(super) struct EventLine<'a> {
    position: u64,
    stream: StreamId,
    version: u64,
    id: jangbu_kernel::EventId,
    #[serde(rename = "type")]
    event_type: &'a str,
    schema_version: u16,
    data: &'a RawValue,
    actor: String,
    correlation_id: CorrelationId,
    causation_id: uuid::Uuid,
    command_id: jangbu_kernel::CommandId,
    recorded_at: String,
}

impl<'a> EventLine<'a> {
    pub(super) fn new(event: &'a RecordedEvent) -> anyhow::Result<Self> {
        // What is no JSON was damaged: the line tells that the event stands there.
        let data = serde_json::from_str(&event.payload).or_else(|_| serde_json::from_str("null"))?;
        Ok(Self {
            position: event.position,
            stream: event.stream,
            version: event.version,
            id: event.event_id,
            event_type: &event.event_type,
            schema_version: event.schema_version,
            data,
            actor: event.meta.actor.to_string(),
            correlation_id: event.meta.correlation_id,
            causation_id: event.meta.causation_id,
            command_id: event.meta.command_id,
            recorded_at: time::rfc3339(event.meta.recorded_at),
        })
    }
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_reading(settings).await?;
    let log: &dyn EventLog = &*store;
    match arguments.action {
        Action::List { filter, from, limit } => list(log, &filter, from, limit, output).await?,
        Action::Count { filter } => count(log, &filter, output).await?,
        Action::Show { position } => show(log, position, output).await?,
        Action::Tail { filter, from } => {
            let after = match from {
                Some(from) => from.saturating_sub(1),
                None => log.head().await?,
            };
            tokio::select! {
                ended = tail(log, &filter, after, output) => ended?,
                signal = tokio::signal::ctrl_c() => signal?,
            }
        }
    }
    store.close().await;
    Ok(Done::Yes)
}

async fn list(log: &dyn EventLog, filter: &Filter, from: u64, limit: usize, output: &Output) -> anyhow::Result<()> {
    let mut found = Vec::new();
    match filter.stream {
        Some(stream) => {
            for event in jangbu_commands::history(log, stream, None).await? {
                if event.position >= from && filter.matches(&event) && found.len() < limit {
                    found.push(event);
                }
            }
        }
        None => {
            let mut after = from.saturating_sub(1);
            let head = log.head().await?;
            while found.len() < limit && after < head {
                let (page, read_to) = log.read_all(after, PAGE.min(limit - found.len()), &wanted(filter)).await?;
                found.extend(page);
                after = read_to;
            }
        }
    }
    if output.is_json() {
        return found.iter().try_for_each(|event| Ok(output.object(&EventLine::new(event)?)?));
    }
    let lines: Vec<EventLine<'_>> = found.iter().map(EventLine::new).collect::<anyhow::Result<_>>()?;
    output.list(&lines, &["position", "time", "type", "stream", "version", "actor"], |line| {
        vec![
            line.position.to_string(),
            line.recorded_at.clone(),
            line.event_type.to_owned(),
            line.stream.to_string(),
            line.version.to_string(),
            line.actor.clone(),
        ]
    })?;
    Ok(())
}

async fn count(log: &dyn EventLog, filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let everything = filter.stream.is_none() && filter.event_types.is_empty() && filter.correlation.is_none();
    let head = log.head().await?;
    let mut found = 0_u64;
    let mut after = if everything { head } else { 0 };
    while after < head {
        let (page, read_to) = log.read_all(after, COUNT_PAGE, &wanted(filter)).await?;
        found += u64::try_from(page.iter().filter(|event| filter.matches(event)).count())?;
        after = read_to;
    }
    // Positions have no gaps, so the last one is the number of events.
    output.text(&(if everything { head } else { found }).to_string())?;
    Ok(())
}

fn wanted(filter: &Filter) -> ReadFilter {
    ReadFilter { event_types: filter.event_types.clone(), correlation_id: filter.correlation }
}

async fn show(log: &dyn EventLog, position: u64, output: &Output) -> anyhow::Result<()> {
    let (page, _) = log.read_all(position.saturating_sub(1), 1, &ReadFilter::default()).await?;
    let Some(event) = page.first().filter(|event| event.position == position) else {
        bail!("there is no event at position {position}; the log ends at {}", log.head().await?);
    };
    let line = EventLine::new(event)?;
    let data: serde_json::Value = serde_json::from_str(&event.payload)?;
    output.fields(
        &line,
        &[
            ("position", position.to_string()),
            ("stream", line.stream.to_string()),
            ("version", line.version.to_string()),
            ("type", format!("{} v{}", line.event_type, line.schema_version)),
            ("time", line.recorded_at.clone()),
            ("actor", line.actor.clone()),
            ("id", line.id.to_string()),
            ("command", line.command_id.to_string()),
            ("correlation", line.correlation_id.to_string()),
            ("causation", line.causation_id.to_string()),
            ("hash", hex(&event.hash)),
            ("data", serde_json::to_string_pretty(&data)?),
        ],
    )?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn tail(log: &dyn EventLog, filter: &Filter, mut after: u64, output: &Output) -> anyhow::Result<()> {
    loop {
        let (page, read_to) = log.read_all(after, PAGE, &wanted(filter)).await?;
        for event in page.iter().filter(|event| filter.matches(event)) {
            let line = EventLine::new(event)?;
            if output.is_json() {
                output.object(&line)?;
            } else {
                output.text(&format!(
                    "{:>8}  {}  {:<32} {}  v{}  {}",
                    line.position, line.recorded_at, line.event_type, line.stream, line.version, line.actor
                ))?;
            }
        }
        // Another process may be the writer, so there is nothing to be woken by.
        if read_to == after {
            tokio::time::sleep(TAIL_EVERY).await;
        }
        after = read_to;
    }
}
