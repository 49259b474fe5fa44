//! The due times of the processes: the table behind the timer queue.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::processes::{
    FulfilmentEvent, FulfilmentStarted, TimerCancelled, TimerName, TimerReached, TimerSet,
};
use jangbu_kernel::{AggregateKind, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Key, KeyPart, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, index};

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimerRow {
    /// The process.
    pub stream: StreamId,
    /// Its name within the process.
    pub timer: String,
    /// When it is due.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub due_at: Timestamp,
}

/// The view "timers".
pub struct TimersView;

impl View for TimersView {
    type Row = TimerRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "timers",
        version: 2,
        key: &[column("process_id", Kind::Uuid), column("timer", Kind::Text)],
        columns: &[column("due_at", Kind::Time)],
        indexes: &[index("due", "due_at, process_id, timer")],
    };
    const SHOWS: Shows = Shows::Only(
        AggregateKind::Fulfilment,
        &[FulfilmentStarted::TYPE, TimerSet::TYPE, TimerCancelled::TYPE, TimerReached::TYPE],
    );

    fn key(fact: &Fact) -> Key {
        let timer = if let DomainEvent::Fulfilment(event) = &fact.event { timer_of(event) } else { None };
        // An event without a timer does not show here, so its row is never asked for.
        Key { id: fact.stream.id, part: KeyPart::Name(timer.map_or("", TimerName::name)) }
    }

    /// Setting and cancelling a timer replace whatever row there is.
    fn builds_on_row(fact: &Fact) -> bool {
        matches!(fact.event, DomainEvent::Fulfilment(FulfilmentEvent::TimerReached(_)))
    }

    fn fold(row: &mut Option<TimerRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Fulfilment(event) = &fact.event else { return Err(NOT_SHOWN) };
        let Some(timer) = timer_of(event) else { return Err(NOT_SHOWN) };
        if let Some(due_at) = set_to(event) {
            *row = Some(TimerRow { stream: fact.stream, timer: timer.name().to_owned(), due_at });
        } else if let FulfilmentEvent::TimerReached(reached) = event {
            // A timer that was moved meanwhile stays set for its new time.
            if row.as_ref().is_some_and(|row| row.due_at <= reached.due_at) {
                *row = None;
            }
        } else {
            *row = None;
        }
        Ok(())
    }

    fn columns(row: &TimerRow) -> Vec<Value> {
        vec![Value::time(row.due_at)]
    }
}

fn timer_of(event: &FulfilmentEvent) -> Option<TimerName> {
    match event {
        FulfilmentEvent::TimerSet(set) => Some(set.timer),
        FulfilmentEvent::TimerCancelled(cancelled) => Some(cancelled.timer),
        FulfilmentEvent::TimerReached(reached) => Some(reached.timer),
        FulfilmentEvent::Started(started) => Some(started.timer().0),
        FulfilmentEvent::InputReceived(_)
        | FulfilmentEvent::InputsSetAside(_)
        | FulfilmentEvent::StepEntered(_)
        | FulfilmentEvent::CommandIssued(_)
        | FulfilmentEvent::CommandRefused(_)
        | FulfilmentEvent::CompensationStarted(_)
        | FulfilmentEvent::Parked(_)
        | FulfilmentEvent::OperatorResolved(_)
        | FulfilmentEvent::Ended(_) => None,
    }
}

fn set_to(event: &FulfilmentEvent) -> Option<Timestamp> {
    if let FulfilmentEvent::Started(started) = event {
        Some(started.timer().1)
    } else if let FulfilmentEvent::TimerSet(set) = event {
        Some(set.due_at)
    } else {
        None
    }
}
