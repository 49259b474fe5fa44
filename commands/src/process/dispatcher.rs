//! Carries out the calls that fulfilments have asked for. What they asked of aggregates was
//! decided where they asked for it.
//!
//! Commands of different orders are under way side by side within a window, those of
//! one order one after the other in the order they were issued. The checkpoint passes
//! a position only when its command and all before it are finished. After a restart
//! everything behind the checkpoint is carried out again, which changes nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::payment::{CaptureRequested, PaymentRequested};
use jangbu_aggregates::processes::{CommandIssued, FulfilmentEvent, InputReceived, InputsSetAside, Way, task};
use jangbu_aggregates::shipment::ShipmentRequested;
use jangbu_kernel::{OrderId, RecordedEvent};
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
/// The only events it looks at: those that issue commands, those that a call is made of, and
/// those by which a process says that it was set aside.
const EVENT_TYPES: [&str; 6] = [
    InputReceived::TYPE,
    CommandIssued::TYPE,
    PaymentRequested::TYPE,
    CaptureRequested::TYPE,
    ShipmentRequested::TYPE,
    InputsSetAside::TYPE,
];

/// Which command: the position of the event that issued it, and its place in that event.
type Place = (u64, usize);

/// Commands that wait behind another one of their order.
type Waiting = VecDeque<(Place, Issued)>;

/// A command that ended: whose it was, and which if it is finished.
type Ended = (OrderId, Option<Place>);

/// What is under way, and how far the log was read.
struct Window {
    shared: Arc<Shared>,
    /// What is not finished.
    open: BTreeSet<Place>,
    read_to: u64,
    /// Orders that have a command under way, with those that wait behind it: the commands
    /// of one order are carried out one after the other.
    orders: HashMap<OrderId, Waiting>,
    tasks: JoinSet<Ended>,
}

impl Window {
    /// The position up to which everything is finished.
    fn finished(&self) -> u64 {
        self.open.first().map_or(self.read_to, |(position, _)| position - 1)
    }

    /// How many more commands may be taken up. Those that wait for their buyer's share do
    /// not keep the commands of others out.
    fn room(&self) -> usize {
        let window = self.shared.deps.options.window.max(1);
        let waiting = self.shared.outside.waiting().min(window.saturating_mul(MOST_WAITING));
        window.saturating_add(waiting).saturating_sub(self.open.len()).min(window)
    }

    /// Takes a page in. False when the program is stopping before it is.
    async fn take(&mut self, events: Vec<Arc<RecordedEvent>>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut read = Vec::with_capacity(events.len());
        for recorded in events {
            match decode(&recorded) {
                Ok(event) => read.push((recorded, event)),
                Err(error) if parked::pass_over(&shared, &recorded, &error).await => {}
                Err(_) => {
                    // What was not taken in comes again after the next start.
                    self.read_to = recorded.position.saturating_sub(1);
                    break;
                }
            }
        }
        let fresh = read.iter().filter(|(recorded, _)| recorded.position > shared.since.fresh);
        let at_hand = AtHand::of(fresh.map(|(recorded, event)| (recorded.as_ref(), event)));
        for (recorded, event) in &read {
            let DomainEvent::Fulfilment(event) = event else { continue };
            if let FulfilmentEvent::InputsSetAside(aside) = event
                && !parked::set_aside(&shared, OrderId::new(recorded.stream.id), aside).await
            {
                self.read_to = recorded.position.saturating_sub(1);
                return false;
            }
            for (ordinal, issued) in event.issued().iter().enumerate() {
                self.take_command((recorded.position, ordinal), issued_by(recorded, issued.clone()), &at_hand);
            }
        }
        true
    }

    fn take_command(&mut self, place: Place, issued: Issued, at_hand: &AtHand) {
        let is_decided = issued.is_decided || issued.position > self.shared.since.walked;
        match task(issued.order_id, &issued.command).way {
            Way::Plain(_) if is_decided => {}
            Way::Plain(_) | Way::Outside { .. } => {
                let told = if issued.position > self.shared.since.fresh { at_hand.told(&issued.command) } else { None };
                self.queue(place, Issued { is_decided, told, ..issued });
            }
        }
    }

    fn queue(&mut self, place: Place, issued: Issued) {
        self.open.insert(place);
        match self.orders.get_mut(&issued.order_id) {
            Some(waiting) => {
                // What those before were told may have changed: this one came of something.
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
            // Not finished because the program is stopping: it stays open, and so do those behind it.
            Ok((_, None)) => {}
            Err(error) => {
                tracing::error!(%error, "a command of the process manager broke off, it is carried out after the next start");
            }
        }
    }

    /// Takes note of whatever has ended by now.
    fn close_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.close(ended);
        }
    }
}

/// Carries a command out. One that breaks off does not end the others: its order is left to
/// a person. False when the program is stopping before it is finished.
async fn carry_out(shared: &Shared, issued: Issued) -> bool {
    let order_id = issued.order_id;
    match AssertUnwindSafe(outside::carry_out(shared, issued)).catch_unwind().await {
        Ok(finished) => finished,
        Err(_) => parked::broke_off(shared, order_id, "a command of the process broke off").await,
    }
}

pub(super) fn issued_by(recorded: &RecordedEvent, CommandIssued { command_id, command }: CommandIssued) -> Issued {
    Issued {
        position: recorded.position,
        order_id: OrderId::new(recorded.stream.id),
        command_id,
        command,
        // Earlier versions took an input in after it was in the log, and named it otherwise.
        is_decided: recorded.event_type == InputReceived::TYPE && recorded.schema_version > 1,
        told: None,
        cause: Cause {
            event_id: recorded.event_id.uuid(),
            correlation_id: recorded.meta.correlation_id,
            trace: recorded.meta.trace.clone(),
        },
    }
}

/// Runs until the program stops, then lets what is under way finish.
pub(super) async fn run(shared: Arc<Shared>) {
    let types = EVENT_TYPES.map(str::to_owned).to_vec();
    let Some(mut reader) = Reader::resume(&shared.deps, &shared.stop, READER, types).await else {
        return;
    };
    let mut window = Window {
        shared: Arc::clone(&shared),
        open: BTreeSet::new(),
        read_to: reader.done(),
        orders: HashMap::new(),
        tasks: JoinSet::new(),
    };
    shared.known.dispatched.send_replace(window.finished());
    let mut is_marked = shared.since.walked > 0;
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
                        is_marked = catch_up::note(&shared, 1).await;
                    }
                }
                Next::Stopped => break,
            },
            () = at(flush), if flush.is_some() => reader.write().await,
            () = shared.outside.began_to_wait(), if room == 0 => {}
            // Also when the window is full of commands that the stop has cut off.
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
