//! Parked orders: orders with data that cannot be read, for example an event of a newer release
//! after a rollback, an altered byte, or handling that panicked. All other orders go on.
//!
//! They are stored in a separate table, because their own streams may be unreadable. While an order
//! is parked, its timers are not handed over, and inputs that it cannot take in are set aside; both
//! remain in the queue and in the log. From time to time it is checked whether everything can be
//! read again. Then the order catches up: the events of its order, payments and parcels are handed
//! over again, which changes nothing for known ones, and commands that it issued without getting an
//! answer are carried out again.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::OrderEvent;
use jangbu_aggregates::processes::{Fulfilment, FulfilmentProcess, InputsSetAside, order_of};
use jangbu_kernel::log::{LogError, ReadFilter};
use jangbu_kernel::ports::ParkedProcess;
use jangbu_kernel::{AggregateKind, Decider as _, OrderId, RecordedEvent, RefusalCode, StreamId, Version};

use super::catch_up::{Handed, Input, hand_over, inputs_of};
use super::dispatcher::issued_by;
use super::submit::Backoff;
use super::{Shared, outside};
use crate::reader::decode;

/// The most parked orders that are kept in memory. Others are found out again with each input.
const MOST_KNOWN: usize = 100_000;
/// The number of positions before and after an event within which its append lies: an order of 50
/// lines writes about 105 events.
const APPEND_REACH: u64 = 200;
/// Rows of one read of the table.
const PAGE: usize = 1_000;

/// The parked orders in memory.
#[derive(Debug, Default)]
pub(super) struct Parked(Mutex<HashMap<OrderId, Why>>);

/// Why an order is parked.
#[derive(Clone, Copy, Debug)]
struct Why {
    /// What cannot be read.
    stream: StreamId,
    /// Handling it panicked. Being readable does not help then; the next start tries again.
    broke: bool,
}

impl Parked {
    fn orders(&self) -> MutexGuard<'_, HashMap<OrderId, Why>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an order is parked.
    pub fn contains(&self, order_id: OrderId) -> bool {
        self.orders().contains_key(&order_id)
    }

    /// The number of parked orders.
    pub fn len(&self) -> usize {
        self.orders().len()
    }

    fn insert(&self, order_id: OrderId, why: Why) {
        let mut orders = self.orders();
        if orders.len() < MOST_KNOWN || orders.contains_key(&order_id) {
            orders.insert(order_id, why);
        }
        metrics::gauge!("jangbu_process_parked_orders").set(crate::measure::count(orders.len()));
    }

    fn remove(&self, order_id: OrderId) {
        let mut orders = self.orders();
        orders.remove(&order_id);
        metrics::gauge!("jangbu_process_parked_orders").set(crate::measure::count(orders.len()));
    }
}

/// Parks an order. False if the program is stopping before that is stored.
pub(super) async fn park(shared: &Shared, order_id: OrderId, stream: StreamId, reason: String) -> bool {
    keep(shared, order_id, Why { stream, broke: false }, reason).await
}

/// The same, because handling its data panicked.
pub(super) async fn broke_off(shared: &Shared, order_id: OrderId, what: &str) -> bool {
    let why = Why { stream: StreamId::fulfilment(order_id), broke: true };
    keep(shared, order_id, why, what.to_owned()).await
}

/// The same, because a decision could not hand over to it.
pub(super) async fn set_aside(shared: &Shared, order_id: OrderId, aside: &InputsSetAside) -> bool {
    let broke = aside.reason != RefusalCode::StreamUnreadable.code();
    let why = Why { stream: StreamId::fulfilment(order_id), broke };
    keep(shared, order_id, why, format!("not taken along: {}", aside.reason)).await
}

async fn keep(shared: &Shared, order_id: OrderId, why: Why, reason: String) -> bool {
    shared.known.parked.insert(order_id, why);
    let parked_at = shared.deps.world.clock.now();
    let process = ParkedProcess { order_id, stream: why.stream, reason: reason.clone(), parked_at };
    let mut backoff = Backoff::new(&shared.deps.options);
    loop {
        match shared.deps.parked.park(process.clone()).await {
            Ok(true) => {
                let stream = why.stream;
                metrics::counter!("jangbu_process_parked_total").increment(1);
                tracing::error!(%order_id, %stream, reason, "the process of order {order_id} is parked: {stream} cannot be used");
                break;
            }
            Ok(false) => break,
            Err(error) => tracing::warn!(%error, %order_id, "that a process is parked cannot be kept for now"),
        }
        if !backoff.wait(&shared.stop).await {
            return false;
        }
    }
    shared.known.waiters.wake(order_id);
    true
}

/// Skips an event that cannot be read, and parks the order that it concerns, if that can be found
/// out. False if the program is stopping.
pub(super) async fn pass_over(shared: &Shared, recorded: &RecordedEvent, error: &LogError) -> bool {
    metrics::counter!("jangbu_process_events_passed_over_total").increment(1);
    match concerned(shared, recorded).await {
        Some(order_id) => park(shared, order_id, recorded.stream, error.to_string()).await,
        None => {
            let (position, stream) = (recorded.position, recorded.stream);
            tracing::warn!(position = position.get(), %stream, %error, "an event that concerns no order known here is passed over");
            !shared.stop.is_cancelled()
        }
    }
}

/// The order that an event belongs to, according to the first event of its stream. If that is the
/// unreadable one, according to the events of the same append.
async fn concerned(shared: &Shared, recorded: &RecordedEvent) -> Option<OrderId> {
    let (log, stream) = (shared.deps.commands.log(), recorded.stream);
    match stream.kind {
        AggregateKind::Order | AggregateKind::Fulfilment => Some(OrderId::new(stream.id)),
        AggregateKind::Payment | AggregateKind::Shipment => {
            let first = log.read_stream(stream, Version::FIRST, Version::FIRST, 1).await.ok()?;
            let told = first.first().and_then(|first| order_of(stream, &decode(first).ok()?));
            if told.is_some() {
                return told;
            }
            let before = recorded.position.minus(APPEND_REACH);
            let around = usize::try_from(2 * APPEND_REACH).unwrap_or(usize::MAX);
            let (around, _) = log.read_all(before, around, &ReadFilter::default()).await.ok()?;
            let of_an_order = |event: &&RecordedEvent| {
                matches!(event.stream.kind, AggregateKind::Order | AggregateKind::Fulfilment)
                    && event.meta.command_id == recorded.meta.command_id
            };
            around.iter().find(of_an_order).map(|event| OrderId::new(event.stream.id))
        }
        AggregateKind::User
        | AggregateKind::Email
        | AggregateKind::Session
        | AggregateKind::Product
        | AggregateKind::Category
        | AggregateKind::Slug
        | AggregateKind::Stock
        | AggregateKind::Return
        | AggregateKind::Locations
        | AggregateKind::Points
        | AggregateKind::Administrators
        | AggregateKind::Buyer
        | AggregateKind::Import
        | AggregateKind::Notice => None,
    }
}

/// Loads the parked orders at the beginning of a turn. False if the program is stopping.
pub(super) async fn resume(shared: &Shared) -> bool {
    shared.known.parked.orders().clear();
    let mut backoff = Backoff::new(&shared.deps.options);
    let mut after = None;
    loop {
        match shared.deps.parked.parked(after, PAGE).await {
            Ok(page) => {
                after = page.last().map(|process| process.order_id);
                for process in &page {
                    // One that panicked before this start may succeed now.
                    shared.known.parked.insert(process.order_id, Why { stream: process.stream, broke: false });
                }
                if page.len() < PAGE || shared.known.parked.len() >= MOST_KNOWN {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "which processes are parked cannot be read for now");
                if !backoff.wait(&shared.stop).await {
                    return false;
                }
            }
        }
    }
    let parked = shared.known.parked.len();
    if parked > 0 {
        tracing::warn!(parked, "{parked} processes are parked, because something of theirs cannot be read");
    }
    true
}

/// Checks from time to time whether parked orders can be read again, until the program stops.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let parked: Vec<(OrderId, Why)> = {
            let orders = shared.known.parked.orders();
            let mut parked: Vec<_> = orders.iter().map(|(order_id, why)| (*order_id, *why)).collect();
            parked.retain(|(_, why)| !why.broke);
            parked.sort_unstable_by_key(|(order_id, _)| *order_id);
            parked
        };
        for (order_id, why) in parked {
            let tried = AssertUnwindSafe(try_again(&shared, order_id, why.stream)).catch_unwind().await;
            let goes_on = match tried {
                Ok(goes_on) => goes_on,
                Err(_) => broke_off(&shared, order_id, "catching up broke off").await,
            };
            if !goes_on {
                return;
            }
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.deps.options.look_at_parked) => {}
        }
    }
}

/// Releases an order if all its data can be read. False if the program is stopping.
async fn try_again(shared: &Shared, order_id: OrderId, stream: StreamId) -> bool {
    if shared.stop.is_cancelled() {
        return false;
    }
    if !is_readable(shared, stream).await || history_of(shared, order_id).await.is_err() {
        return true;
    }
    // From here on new events are taken in with their decisions; those that were set aside are in
    // the log.
    shared.known.parked.remove(order_id);
    let Ok(History { inputs, fulfilment }) = history_of(shared, order_id).await else {
        shared.known.parked.insert(order_id, Why { stream, broke: false });
        return true;
    };
    for input in inputs {
        match hand_over(shared, input).await {
            Handed::Over => {}
            Handed::Parked => return true,
            Handed::Stopped => return false,
        }
    }
    for issued in unanswered(&fulfilment) {
        if !outside::carry_out(shared, issued).await {
            return false;
        }
    }
    if shared.known.parked.contains(order_id) {
        return true;
    }
    if let Err(error) = shared.deps.parked.release(order_id).await {
        // The next start tries again, which changes nothing.
        tracing::warn!(%error, %order_id, "that a process goes on cannot be kept for now");
    }
    tracing::info!(%order_id, "everything of order {order_id} can be read again: its process goes on");
    true
}

async fn is_readable(shared: &Shared, stream: StreamId) -> bool {
    match whole(shared, stream).await {
        Ok(events) => events.iter().all(|event| decode(event).is_ok()),
        Err(_) => false,
    }
}

/// All events of a stream, if none is missing.
async fn whole(shared: &Shared, stream: StreamId) -> Result<Vec<RecordedEvent>, LogError> {
    let events = shared.deps.commands.history(stream, None).await?;
    if Version::FIRST.onwards().zip(&events).any(|(version, event)| event.version != version) {
        return Err(LogError::Damaged(format!("a version of {stream} is missing")));
    }
    Ok(events)
}

/// The inputs of an order, in the order of the log, and the stream of its process.
struct History {
    inputs: Vec<Input>,
    fulfilment: Vec<RecordedEvent>,
}

async fn history_of(shared: &Shared, order_id: OrderId) -> Result<History, LogError> {
    let order = whole(shared, StreamId::order(order_id)).await?;
    let mut streams = Vec::new();
    for recorded in &order {
        let DomainEvent::Order(event) = decode(recorded)? else { continue };
        if let OrderEvent::PaymentOpened(opened) = &event {
            streams.push(StreamId::payment(opened.payment_id));
        }
        if let OrderEvent::PreparationStarted(started) = &event {
            streams.push(StreamId::shipment(started.shipment_id));
        }
    }
    let mut events = order;
    for stream in streams {
        events.extend(whole(shared, stream).await?);
    }
    events.sort_unstable_by_key(|recorded| recorded.position);
    let mut inputs = Vec::with_capacity(events.len());
    for recorded in events {
        let event = decode(&recorded)?;
        inputs.extend(inputs_of(&Arc::new(recorded), &event).filter(|input| input.order_id == order_id));
    }
    let fulfilment = whole(shared, StreamId::fulfilment(order_id)).await?;
    fulfilment.iter().try_for_each(|recorded| decode(recorded).map(|_| ()))?;
    Ok(History { inputs, fulfilment })
}

/// The commands that a process issued without getting an answer, as they were issued.
fn unanswered(fulfilment: &[RecordedEvent]) -> Vec<outside::Issued> {
    let mut state = Fulfilment::default();
    let mut issued = Vec::new();
    for recorded in fulfilment {
        let Ok(event) = decode(recorded) else { continue };
        let of_event = issued_by(&FulfilmentProcess, recorded, &event).into_iter();
        // Some may not even have been decided yet; deciding one again changes nothing.
        issued.extend(of_event.map(|issued| outside::Issued { is_decided: false, ..issued }));
        if let DomainEvent::Fulfilment(event) = event {
            state.evolve(&event);
        }
    }
    issued.retain(|command| state.open_commands().any(|(open, _)| open == command.command_id));
    issued
}
