//! Hands the events that concern an order to its fulfilment.

use jangbu_aggregates::commands::AdvanceFulfilment;
use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::OrderPlaced;
use jangbu_aggregates::processes::{FulfilmentInput, FulfilmentStarted, fact_of, order_of};
use jangbu_kernel::{AggregateKind, CommandId, OrderId, RecordedEvent};
use tokio::time::Instant;
use uuid::Uuid;

use super::reader::{Next, Reader};
use super::submit::{Cause, Submitted, Unreadable, submit, unkeyed};
use super::{Shared, parked};
use crate::reader::decode;

/// The name of the runner's checkpoint. Storage format.
pub(super) const READER: &str = "process-manager";

/// The longest that events are gathered between two pages.
const GATHER_MOST: Duration = Duration::from_millis(8);

/// An event on its way to a fulfilment.
pub(super) struct Input {
    pub order_id: OrderId,
    pub recorded: Arc<RecordedEvent>,
    pub event: DomainEvent,
}

/// Runs until the program stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(mut reader) = Reader::resume(&shared.deps, &shared.stop, READER, event_types()).await else { return };
    shared.known.handled.send_replace(reader.done());
    while let Next::Page(events, read_to) = reader.next(shared.deps.options.page).await {
        let begun = Instant::now();
        metrics::histogram!("jangbu_process_page_events").record(crate::measure::count(events.len()));
        if !handle(&shared, events).await {
            break;
        }
        shared.known.handled.send_replace(read_to);
        reader.finished(read_to).await;
        // Under load as much time as the page took, so that commits are shared by many.
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = tokio::time::sleep(begun.elapsed().min(GATHER_MOST)) => {}
        }
    }
    reader.write().await;
}

/// The events that a fulfilment can have to do with.
fn event_types() -> Vec<String> {
    let kinds = [AggregateKind::Order, AggregateKind::Payment, AggregateKind::Shipment];
    let concerned = DomainEvent::types()
        .map(|info| info.event_type)
        .filter(|event_type| {
            event_type.split_once('.').is_some_and(|(kind, _)| kinds.iter().any(|wanted| wanted.name() == kind))
        })
        .chain([FulfilmentStarted::TYPE]);
    concerned.map(str::to_owned).collect()
}

/// Hands a page over: instances side by side, each in the order of the log, so that
/// the first inputs of all of them fall into one batch of the decider, then the second
/// ones. False when the program is stopping.
async fn handle(shared: &Shared, events: Vec<Arc<RecordedEvent>>) -> bool {
    // In the order of their ids, so that the same page is handed over the same way every time.
    let mut by_order: BTreeMap<OrderId, Vec<Input>> = BTreeMap::new();
    let started: HashSet<Uuid> = events
        .iter()
        .filter(|event| event.event_type == FulfilmentStarted::TYPE)
        .map(|event| event.stream.id)
        .collect();
    // An order is placed once, and an order and its fulfilment have one id.
    let has_begun = |event: &RecordedEvent| {
        event.event_type == FulfilmentStarted::TYPE
            || (event.event_type == OrderPlaced::TYPE && started.contains(&event.stream.id))
    };
    for recorded in events.into_iter().filter(|event| !has_begun(event)) {
        match decode(&recorded) {
            Ok(event) => {
                // What teaches a fulfilment nothing is not handed over, and one that is parked
                // catches up when it goes on.
                let order_id = fact_of(recorded.stream, &event).and_then(|_| order_of(recorded.stream, &event));
                if let Some(order_id) = order_id.filter(|order_id| !shared.known.parked.contains(*order_id)) {
                    by_order.entry(order_id).or_default().push(Input { order_id, recorded, event });
                }
            }
            Err(error) => {
                if !parked::pass_over(shared, &recorded, &error).await {
                    return false;
                }
            }
        }
    }
    let instances = by_order.into_iter().map(|(order_id, inputs)| async move {
        // One instance that breaks off does not end the others.
        match AssertUnwindSafe(hand_over_all(shared, inputs)).catch_unwind().await {
            Ok(done) => done,
            Err(_) => parked::broke_off(shared, order_id, "taking an input in broke off").await,
        }
    });
    join_all(instances).await.into_iter().all(|done| done)
}

/// Hands inputs of one instance over, in their order. False when the program is stopping.
async fn hand_over_all(shared: &Shared, inputs: Vec<Input>) -> bool {
    for input in inputs {
        match hand_over(shared, input).await {
            Handed::Over => {}
            // The rest is handed over when it can be read again.
            Handed::Parked => return true,
            Handed::Stopped => return false,
        }
    }
    true
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// It was taken in.
    Over,
    /// Its process cannot be read, and is parked.
    Parked,
    /// The program is stopping.
    Stopped,
}

pub(super) async fn hand_over(shared: &Shared, input: Input) -> Handed {
    let Input { order_id, recorded, event } = input;
    let cause = Cause {
        event_id: recorded.event_id.uuid(),
        correlation_id: recorded.meta.correlation_id,
        trace: recorded.meta.trace.clone(),
    };
    // The same input gives the same id, whoever hands it over and how often.
    let command_id = CommandId::new(Uuid::new_v5(&cause.event_id, b"fulfilment-input"));
    let (position, event_id, stream) = (recorded.position, recorded.event_id, recorded.stream);
    let input = FulfilmentInput::Event { position, event_id, stream, event: Box::new(event) };
    let command = AdvanceFulfilment { order_id, input };
    match submit(shared, unkeyed(command, command_id, &cause)).await {
        Submitted::Done => {}
        Submitted::Refused(refusal) => {
            tracing::error!(%order_id, position, code = refusal.code.code(), "a fulfilment refused its input");
        }
        Submitted::Unreadable(Unreadable { stream, reason }) => {
            let noted = parked::park(shared, order_id, stream, reason).await;
            return if noted { Handed::Parked } else { Handed::Stopped };
        }
        Submitted::Stopped => return Handed::Stopped,
    }
    shared.known.waiters.wake(order_id);
    Handed::Over
}
