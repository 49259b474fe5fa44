//! The process manager's instances, for operators.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::processes::{Fulfilment, FulfilmentEvent, Step};
use jangbu_kernel::{AggregateKind, CommandId, Decider as _, OrderId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// A command that the process has issued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCommand {
    /// Its name.
    pub name: String,
    /// Its id.
    pub command_id: CommandId,
    /// Since when it is open.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub since: Timestamp,
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimerEntry {
    /// Its name.
    pub timer: String,
    /// When it is due.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub due_at: Timestamp,
}

/// The state of the process. The row contains it because the process itself decides what is open
/// and whether it is at rest; the view must not derive that from the events again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessState(Box<Fulfilment>);

impl PartialEq for ProcessState {
    fn eq(&self, other: &Self) -> bool {
        // The state has no equality of its own, so the stored forms are compared.
        matches!((serde_json::to_string(&self.0), serde_json::to_string(&other.0)), (Ok(one), Ok(two)) if one == two)
    }
}

/// The fulfilment of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FulfilmentRow {
    /// The order that the process fulfils.
    pub order_id: OrderId,
    /// The current step.
    pub step: String,
    /// Whether it only waits for others, or for a deadline that is far away.
    pub at_rest: bool,
    /// Whether it is undoing what was done.
    pub compensating: bool,
    /// Why a person has to decide.
    pub parked_reason: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The commands that were issued and whose effect, or refusal, was not seen yet.
    pub open_commands: Vec<OpenCommand>,
    /// The timers that are set.
    pub timers: Vec<TimerEntry>,
    /// How many events of other streams it has taken in.
    pub inputs: u32,
    /// When it began.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub started_at: Timestamp,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
    /// The state of the process.
    pub process: ProcessState,
}

/// The view "fulfilments".
pub struct FulfilmentsView;

/// Raised when the row changes. A change of the process's state raises the view's version by
/// itself.
const ROW_VERSION: i32 = 3;

impl View for FulfilmentsView {
    type Row = FulfilmentRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "fulfilments",
        version: ROW_VERSION * 1_000 + Fulfilment::STATE_VERSION as i32,
        key: &[column("order_id", Kind::Uuid)],
        columns: &[
            column("step", Kind::Text),
            column("state", Kind::Text),
            column("at_rest", Kind::Bool),
            fixed("started_at", Kind::Time),
            column("updated_at", Kind::Time),
            column("version", Kind::Int),
        ],
        indexes: &[index("started", "started_at, order_id"), index("state_started", "state, started_at, order_id")],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Fulfilment);

    fn fold(row: &mut Option<FulfilmentRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Fulfilment(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let FulfilmentEvent::Started(started) = event {
            first(row, fact)?;
            *row = Some(FulfilmentRow::nothing_known(started.order_id, fact.at));
        }
        let row = next(row, |row| row.version, fact)?;
        row.process.0.evolve(event);
        show(row, fact.at);
        row.version = fact.version;
        row.updated_at = fact.at;
        Ok(())
    }

    fn columns(row: &FulfilmentRow) -> Vec<Value> {
        vec![
            Value::text(&row.step),
            Value::name(row.state_name()),
            Value::bool(row.at_rest),
            Value::time(row.started_at),
            Value::time(row.updated_at),
            Value::count(row.version),
        ]
    }
}

impl FulfilmentRow {
    /// A fulfilment before its first event, or one of which no event can be read.
    pub(crate) fn nothing_known(order_id: OrderId, at: Timestamp) -> Self {
        Self {
            order_id,
            step: Step::NotStarted.name().to_owned(),
            at_rest: true,
            compensating: false,
            parked_reason: None,
            outcome: None,
            open_commands: Vec::new(),
            timers: Vec::new(),
            inputs: 0,
            started_at: at,
            updated_at: at,
            version: Version::ZERO,
            process: ProcessState(Box::default()),
        }
    }

    /// The state that operators see: `parked`, `ended`, `compensating` or `running`. A late payment
    /// makes an ended process run once more.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        if self.parked_reason.is_some() {
            "parked"
        } else if self.step == Step::Ended.name() {
            "ended"
        } else if self.compensating {
            "compensating"
        } else {
            "running"
        }
    }
}

/// Updates the shown fields to the process's state. Every event of a process passes here and most
/// fields do not change, so only those that changed are built again.
fn show(row: &mut FulfilmentRow, at: Timestamp) {
    let process = &row.process.0;
    let known = &row.open_commands;
    if !process.open_commands().map(|(id, _)| id).eq(known.iter().map(|open| open.command_id)) {
        let since = |id: CommandId| known.iter().find(|open| open.command_id == id).map_or(at, |open| open.since);
        row.open_commands = process
            .open_commands()
            .map(|(command_id, command)| OpenCommand {
                name: command.name().to_owned(),
                command_id,
                since: since(command_id),
            })
            .collect();
    }
    let timers = || process.timers().iter().map(|(timer, due_at)| (timer.name(), *due_at));
    if !timers().eq(row.timers.iter().map(|entry| (entry.timer.as_str(), entry.due_at))) {
        row.timers = timers().map(|(timer, due_at)| TimerEntry { timer: timer.to_owned(), due_at }).collect();
    }
    process.step().name().clone_into(&mut row.step);
    row.at_rest = process.at_rest();
    row.compensating = process.is_compensating();
    if row.parked_reason.as_deref() != process.parked_reason() {
        row.parked_reason = process.parked_reason().map(str::to_owned);
    }
    row.outcome = process.outcome().map(|outcome| outcome.name().to_owned());
    row.inputs = u32::try_from(process.inputs()).unwrap_or(u32::MAX);
}
