//! Hands over to the processes the events that no decision has handed over: events of earlier
//! versions, whose decisions did not do that, and events that were set aside since.
//!
//! The mark is the position up to which this is done. Every append after it contains the reactions
//! of the processes.

use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::OrderPlaced;
use jangbu_aggregates::processes::{
    FirstInput, FulfilmentStarted, PROCESSES, Process, Told, input_command_id, order_of,
};
use jangbu_kernel::{AggregateKind, OrderId, Position, RecordedEvent, StreamId};
use uuid::Uuid;

use super::reader::{Next, Reader};
use super::submit::{Backoff, Cause, Submitted, Unreadable, submit, unkeyed};
use super::{Shared, parked};
use crate::reader::decode;

/// The name of the mark among the checkpoints. Storage format.
const MARK: &str = "process-walk";
/// The name of the checkpoint in which earlier versions stored how far they had handed over the
/// log. Storage format.
const READER: &str = "process-manager";

/// An event that is to be handed over to a process.
pub(super) struct Input {
    pub process: &'static dyn Process,
    pub instance: StreamId,
    pub order_id: OrderId,
    pub recorded: Arc<RecordedEvent>,
    pub event: DomainEvent,
}

/// The processes that an event concerns, as inputs.
pub(super) fn inputs_of(recorded: &Arc<RecordedEvent>, event: &DomainEvent) -> impl Iterator<Item = Input> {
    let learners = PROCESSES.iter().filter_map(|process| Some((*process, process.learner(recorded.stream, event)?)));
    let order_id = order_of(recorded.stream, event);
    learners.filter_map(move |(process, instance)| {
        let (recorded, event) = (Arc::clone(recorded), event.clone());
        Some(Input { process, instance, order_id: order_id?, recorded, event })
    })
}

/// Hands over the events that no decision has handed over, once; returns the mark. None if the
/// program is stopping.
pub(super) async fn run(shared: &Shared) -> Option<Position> {
    let (checkpoints, mut backoff) = (&shared.deps.checkpoints, Backoff::new(&shared.deps.options));
    let (mark, head) = loop {
        match (checkpoints.checkpoint(MARK).await, shared.deps.commands.log().head().await) {
            (Ok(mark), Ok(head)) => break (mark, head),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "how far the processes are taken along cannot be read for now");
            }
        }
        if !backoff.wait(&shared.stop).await {
            return None;
        }
    };
    if mark > Position::ZERO || head == Position::ZERO {
        return Some(mark);
    }
    let deps = &shared.deps;
    let (log, stop, types) = (deps.commands.log(), &shared.stop, event_types());
    let mut reader = Reader::resume(log, &deps.checkpoints, &deps.options, stop, READER, types).await?;
    while reader.done() < head {
        let Next::Page(events, read_to) = reader.next(shared.deps.options.page).await else { return None };
        if !handle(shared, events).await {
            return None;
        }
        reader.finished(read_to).await;
    }
    reader.write().await;
    note(shared, head).await.then_some(head)
}

/// Stores the mark. False if the program is stopping before that.
pub(super) async fn note(shared: &Shared, mark: Position) -> bool {
    let mut backoff = Backoff::new(&shared.deps.options);
    while let Err(error) = shared.deps.checkpoints.advance(MARK, mark).await {
        tracing::warn!(%error, "how far the processes are taken along cannot be kept for now");
        if !backoff.wait(&shared.stop).await {
            return false;
        }
    }
    true
}

/// The events that can concern a process.
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

/// Hands over a page: instances in parallel, each in the order of the log, so that the first inputs
/// of all instances share one batch of the decider, then the second ones. False if the program is
/// stopping.
async fn handle(shared: &Shared, events: Vec<Arc<RecordedEvent>>) -> bool {
    // In the order of their ids, so that the same page is always handed over in the same way.
    let mut by_instance: BTreeMap<StreamId, Vec<Input>> = BTreeMap::new();
    let started: HashSet<Uuid> = events
        .iter()
        .filter(|event| event.event_type == FulfilmentStarted::TYPE)
        .map(|event| event.stream.id)
        .collect();
    // An order is placed only once, and an order and its fulfilment have the same id.
    let has_begun = |event: &RecordedEvent| {
        event.event_type == FulfilmentStarted::TYPE
            || (event.event_type == OrderPlaced::TYPE && started.contains(&event.stream.id))
    };
    for recorded in events.into_iter().filter(|event| !has_begun(event)) {
        match decode(&recorded) {
            Ok(event) => {
                // A parked process catches up when it is released.
                let inputs = inputs_of(&recorded, &event);
                for input in inputs.filter(|input| !shared.known.parked.contains(input.order_id)) {
                    by_instance.entry(input.instance).or_default().push(input);
                }
            }
            Err(error) => {
                if !parked::pass_over(shared, &recorded, &error).await {
                    return false;
                }
            }
        }
    }
    let instances = by_instance.into_iter().map(|(instance, inputs)| async move {
        // One instance that panics does not end the others.
        match AssertUnwindSafe(hand_over_all(shared, inputs)).catch_unwind().await {
            Ok(done) => done,
            Err(_) => parked::broke_off(shared, OrderId::new(instance.id), "taking an input in broke off").await,
        }
    });
    join_all(instances).await.into_iter().all(|done| done)
}

/// Hands over the inputs of one instance, in their order. False if the program is stopping.
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

/// The result of handing over an input.
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
    let Input { process, instance, order_id, recorded, event } = input;
    let cause = Cause {
        event_id: recorded.event_id.uuid(),
        correlation_id: recorded.meta.correlation_id,
        trace: recorded.meta.trace.clone(),
    };
    // The same input always gives the same id, however often it is handed over.
    let (stream, version, position) = (recorded.stream, recorded.version, recorded.position);
    let command_id = input_command_id(instance, stream, version);
    let logged = Some(FirstInput { position, event_id: recorded.event_id });
    let command = process.take_in(instance, Told { stream, version, logged, event: &event });
    match submit(shared, unkeyed(command, command_id, &cause)).await {
        Submitted::Done => {}
        Submitted::Refused(refusal) => {
            tracing::error!(%instance, position = position.get(), code = refusal.code.code(), "a process refused its input");
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
