//! Makes the outside calls that processes have issued. Commands to other aggregates were decided
//! where they were issued.
//!
//! Commands of different orders run in parallel within a window; those of one order run one after
//! the other in the order in which they were issued. The checkpoint passes a position only when its
//! command and all before it are finished. After a restart everything after the checkpoint is
//! carried out again, which changes nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::payment::{CaptureRequested, PaymentRequested};
use jangbu_aggregates::processes::{FulfilmentEvent, InputReceived, IssuedTask, PROCESSES, Process, Way, process_of};
use jangbu_aggregates::shipment::ShipmentRequested;
use jangbu_kernel::{OrderId, Position, RecordedEvent};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::outside::{self, Issued};
use super::reader::{Next, Reader};
use super::submit::Cause;
use super::told::AtHand;
use super::{MOST_WAITING, Shared, catch_up, parked};
use crate::reader::decode;

/// The name of the dispatcher's checkpoint. Storage format.
const READER: &str = "process-dispatcher";
/// The events that calls are made of; it reads them and those by which processes issue commands.
const TELLING: [&str; 3] = [PaymentRequested::TYPE, CaptureRequested::TYPE, ShipmentRequested::TYPE];

/// The place of a command: the position of the event that issued it, and its index in that event.
type Place = (Position, usize);

/// Commands that wait for another one of their order.
type Waiting = VecDeque<(Place, Issued)>;

/// A command that ended: its order, and its place if it is finished.
type Ended = (OrderId, Option<Place>);

/// The running commands, and how far the log was read.
struct Window {
    shared: Arc<Shared>,
    /// The commands that are not finished.
    open: BTreeSet<Place>,
    read_to: Position,
    /// Orders with a running command, each with the commands that wait for it: the commands of one
    /// order run one after the other.
    orders: HashMap<OrderId, Waiting>,
    tasks: JoinSet<Ended>,
}

impl Window {
    /// The position up to which everything is finished.
    fn finished(&self) -> Position {
        self.open.first().map_or(self.read_to, |(position, _)| position.previous())
    }

    /// How many more commands may be accepted. Those that wait for their buyer's share do not block
    /// the commands of other buyers.
    fn room(&self) -> usize {
        let window = self.shared.deps.options.window.max(1);
        let waiting = self.shared.outside.waiting().min(window.saturating_mul(MOST_WAITING));
        window.saturating_add(waiting).saturating_sub(self.open.len()).min(window)
    }

    /// Adds a page. False if the program is stopping before that is done.
    async fn take(&mut self, events: Vec<Arc<RecordedEvent>>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut read = Vec::with_capacity(events.len());
        for recorded in events {
            match decode(&recorded) {
                Ok(event) => read.push((recorded, event)),
                Err(error) if parked::pass_over(&shared, &recorded, &error).await => {}
                Err(_) => {
                    // What was not added is read again after the next start.
                    self.read_to = recorded.position.previous();
                    break;
                }
            }
        }
        let fresh = read.iter().filter(|(recorded, _)| recorded.position > shared.since.fresh);
        let at_hand = AtHand::of(fresh.map(|(recorded, event)| (recorded.as_ref(), event)));
        for (recorded, event) in &read {
            let Some(process) = process_of(recorded.stream.kind) else { continue };
            if let DomainEvent::Fulfilment(FulfilmentEvent::InputsSetAside(aside)) = event
                && !parked::set_aside(&shared, OrderId::new(recorded.stream.id), aside).await
            {
                self.read_to = recorded.position.previous();
                return false;
            }
            for (ordinal, issued) in issued_by(process, recorded, event).into_iter().enumerate() {
                self.take_command((recorded.position, ordinal), issued, &at_hand);
            }
        }
        true
    }

    fn take_command(&mut self, place: Place, issued: Issued, at_hand: &AtHand) {
        let is_decided = issued.is_decided || issued.position > self.shared.since.walked;
        let told = match &issued.task.way {
            Way::Plain(_) if is_decided => return,
            Way::Outside { call, .. } if issued.position > self.shared.since.fresh => at_hand.told(call),
            Way::Plain(_) | Way::Outside { .. } => None,
        };
        self.queue(place, Issued { is_decided, told, ..issued });
    }

    fn queue(&mut self, place: Place, issued: Issued) {
        self.open.insert(place);
        match self.orders.get_mut(&issued.order_id) {
            Some(waiting) => {
                // The data that came with the earlier ones may be outdated, because this one was
                // issued in reaction to something.
                waiting.iter_mut().for_each(|(_, before)| before.told = None);
                waiting.push_back((place, issued));
            }
            None => {
                self.orders.insert(issued.order_id, Waiting::new());
                self.begin(place, issued);
            }
        }
    }

    fn begin(&mut self, place: Place, issued: Issued) {
        let shared = Arc::clone(&self.shared);
        let order_id = issued.order_id;
        self.tasks.spawn(async move { (order_id, carry_out(&shared, issued).await.then_some(place)) });
    }

    fn close(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok((order_id, Some(place))) => {
                self.open.remove(&place);
                match self.orders.get_mut(&order_id).and_then(VecDeque::pop_front) {
                    Some((place, issued)) => self.begin(place, issued),
                    None => {
                        self.orders.remove(&order_id);
                    }
                }
            }
            // Not finished because the program is stopping: it stays open, and so do those that
            // wait for it.
            Ok((_, None)) => {}
            Err(error) => {
                tracing::error!(%error, "a command of the process manager broke off, it is carried out after the next start");
            }
        }
    }

    /// Handles all commands that have ended by now.
    fn close_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.close(ended);
        }
    }
}

/// Carries out a command. If it panics, the others go on, and its order is left to a person. False
/// if the program is stopping before it is finished.
async fn carry_out(shared: &Shared, issued: Issued) -> bool {
    let order_id = issued.order_id;
    match AssertUnwindSafe(outside::carry_out(shared, issued)).catch_unwind().await {
        Ok(finished) => finished,
        Err(_) => parked::broke_off(shared, order_id, "a command of the process broke off").await,
    }
}

/// The commands that a process issued with an event of one of its instances.
pub(super) fn issued_by(process: &'static dyn Process, recorded: &RecordedEvent, event: &DomainEvent) -> Vec<Issued> {
    // Earlier versions took in an input only after it was in the log, and used another schema
    // version.
    let is_decided = recorded.event_type == InputReceived::TYPE && recorded.schema_version > 1;
    let issued = process.issued(recorded.stream, event).into_iter();
    let issued = issued.map(|IssuedTask { command_id, order_id, task }| Issued {
        position: recorded.position,
        process,
        instance: recorded.stream,
        order_id,
        command_id,
        task,
        is_decided,
        told: None,
        cause: Cause {
            event_id: recorded.event_id.uuid(),
            correlation_id: recorded.meta.correlation_id,
            trace: recorded.meta.trace.clone(),
        },
    });
    issued.collect()
}

/// Runs until the program stops, then lets running commands finish.
pub(super) async fn run(shared: Arc<Shared>) {
    let issuing = PROCESSES.iter().flat_map(|process| process.issuing());
    let types = issuing.chain(&TELLING).map(|name| (*name).to_owned()).collect();
    let deps = &shared.deps;
    let resumed = Reader::resume(deps.commands.log(), &deps.checkpoints, &deps.options, &shared.stop, READER, types);
    let Some(mut reader) = resumed.await else { return };
    let mut window = Window {
        shared: Arc::clone(&shared),
        open: BTreeSet::new(),
        read_to: reader.done(),
        orders: HashMap::new(),
        tasks: JoinSet::new(),
    };
    shared.known.dispatched.send_replace(window.finished());
    let mut is_marked = shared.since.walked > Position::ZERO;
    loop {
        let room = window.room();
        let flush = reader.write_due();
        tokio::select! {
            biased;
            Some(ended) = window.tasks.join_next() => {
                window.close(ended);
                window.close_ended();
            }
            next = reader.next(room), if room > 0 => match next {
                Next::Page(events, read_to) => {
                    window.read_to = read_to;
                    if !window.take(events).await {
                        break;
                    }
                    if !is_marked {
                        // The log was empty when the turn began.
                        is_marked = catch_up::note(&shared, Position::FIRST).await;
                    }
                }
                Next::Stopped => break,
            },
            () = at(flush), if flush.is_some() => reader.write().await,
            () = shared.outside.began_to_wait(), if room == 0 => {}
            // Also when the window is full of commands that were interrupted by the stop.
            () = shared.stop.cancelled() => break,
        }
        publish(&window);
        reader.finished(window.finished()).await;
    }
    while let Some(ended) = window.tasks.join_next().await {
        window.close(ended);
    }
    publish(&window);
    reader.finished(window.finished()).await;
    reader.write().await;
}

fn publish(window: &Window) {
    let open = window.open.len();
    window.shared.known.under_way.store(open, Ordering::Relaxed);
    metrics::gauge!("jangbu_process_commands_under_way").set(crate::measure::count(open));
    window.shared.known.dispatched.send_replace(window.finished());
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
