//! The process manager: drives an order from payment to delivery.
//!
//! The fulfilment aggregate decides what is to happen, as events in the order's own fulfilment
//! stream, in the append of the event that it reacts to. Its commands to other aggregates are
//! decided there, too. The rest is done here:
//!
//! - `dispatcher.rs` reads the calls that fulfilments issue, from its checkpoint on, and carries
//!   them out; `outside.rs` calls the gateway and the carrier.
//! - `places.rs` bounds the outside calls, in total and per buyer.
//! - `timers.rs` hands over the timers that are due.
//! - `lapses.rs` has lapsed points written off, and ends returns that were not sent back in time.
//! - `catch_up.rs` hands over events from before decisions did so, and events that were set aside
//!   since.
//! - `parked.rs` parks an order with unreadable data, so that all others go on.
//! - `turn.rs` lets one node at a time do all this, under a lease.
//! - `settled.rs` lets a caller wait until a fulfilment is at rest.
//!
//! It may be stopped at any moment: a checkpoint passes a position only when its work is done, and
//! repeated work changes nothing (inputs are identified by their stream and version, commands by
//! their id, charges and refunds by the id of the event that asked for them, labels by the
//! shipment). For the same reason a node that was paused past its lease does no harm when it goes
//! on for a moment.

mod catch_up;
mod dispatcher;
mod lapses;
mod outside;
mod parked;
mod payment;
mod places;
pub(crate) mod reader;
mod settled;
pub(crate) mod submit;
mod timers;
mod told;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use jangbu_kernel::ports::{Checkpoints, ParkedProcesses, TimerQueue, World};
use jangbu_kernel::{CorrelationId, OrderId, PaymentId, Position};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::adapters::{Carriers, Gateways};
use crate::decider::Commands;
use crate::lease::LeaseHolder;
use crate::request::{Answer, Caller, CommandError};
use crate::workers::WorkerDeps;
use parked::Parked;
use places::Places;
use settled::Waiters;

pub(crate) use payment::PaymentHistory;

/// How long running commands may take to finish before the end.
const PATIENCE: Duration = Duration::from_secs(6);
/// The number of windows of commands that may wait for their buyers' shares: about a minute of the
/// slowest cards of one buyer, in some tens of megabytes.
const MOST_WAITING: usize = 8;

/// The limits of the process manager.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Events of one page of catching up.
    pub page: usize,
    /// Issued commands that may run at once. Those that wait for their buyer's share of the outside
    /// calls do not count, up to [`MOST_WAITING`] times as many.
    pub window: usize,
    /// Outside calls that may run at once; one buyer may have an eighth of them.
    pub outside_calls: usize,
    /// How often the timer queue is polled.
    pub timer_poll: Duration,
    /// How often lapsed points are searched for.
    pub expire_points_every: Duration,
    /// The longest time that a checkpoint stays behind the finished work.
    pub checkpoint_every: Duration,
    /// How often it is checked whether parked orders can be read again.
    pub look_at_parked: Duration,
    /// The first pause before something that failed temporarily is tried again; it doubles.
    pub retry_first: Duration,
    /// The longest such pause.
    pub retry_longest: Duration,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            page: 1_000,
            window: 1_024,
            outside_calls: 256,
            timer_poll: Duration::from_millis(250),
            expire_points_every: Duration::from_secs(60),
            checkpoint_every: Duration::from_millis(250),
            look_at_parked: Duration::from_secs(30),
            retry_first: Duration::from_millis(20),
            retry_longest: Duration::from_secs(2),
        }
    }
}

/// The dependencies of the process manager.
#[derive(Clone)]
pub struct ProcessDeps {
    /// The decider.
    pub commands: Commands,
    /// Stores the checkpoints.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Stores the parked orders.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Decides which node does the work.
    pub lease: LeaseHolder,
    /// Has the due timers and lapsed points.
    pub timers: Arc<dyn TimerQueue>,
    /// Clock, ids and vault.
    pub world: World,
    /// The payment gateways.
    pub gateways: Arc<Gateways>,
    /// The carriers.
    pub carriers: Arc<Carriers>,
    /// The limits of the process manager.
    pub options: ProcessOptions,
}

impl ProcessDeps {
    /// None on a node that does not process orders.
    pub(crate) fn of(deps: &WorkerDeps) -> Option<Self> {
        let options = deps.processing.clone()?;
        Some(Self {
            commands: deps.commands.clone(),
            checkpoints: Arc::clone(&deps.checkpoints),
            parked: Arc::clone(&deps.parked),
            lease: deps.lease.clone(),
            timers: Arc::clone(&deps.timers),
            world: deps.world.clone(),
            gateways: Arc::clone(&deps.gateways),
            carriers: Arc::clone(&deps.carriers),
            options,
        })
    }
}

/// The data that the parts share during one turn of this node.
struct Shared {
    deps: ProcessDeps,
    known: Arc<Known>,
    outside: Arc<Places>,
    stop: CancellationToken,
    since: Since,
}

/// The positions after which a turn can rely on certain facts.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    /// Every append after this position contains the reactions of the processes, so only outside
    /// calls are left to be made.
    walked: Position,
    /// No event after this position has been acted on: the head when the turn began.
    fresh: Position,
}

/// The progress of the process manager, which outlives a turn.
struct Known {
    /// The position up to which every issued command is finished.
    dispatched: watch::Sender<Position>,
    /// The number of running commands.
    under_way: AtomicUsize,
    /// Whether this node does the work now.
    active: AtomicBool,
    /// The parked orders.
    parked: Parked,
    waiters: Waiters,
}

impl Shared {
    /// A copy for another turn, which ends when the program stops, or earlier.
    fn turn(&self) -> Self {
        let (deps, known) = (self.deps.clone(), Arc::clone(&self.known));
        let (outside, stop) = (Arc::clone(&self.outside), self.stop.child_token());
        Self { deps, known, outside, stop, since: Since::default() }
    }
}

/// The progress of the process manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether this node does the work now. If not, the other fields are as of its last turn.
    pub active: bool,
    /// The position up to which every issued command is finished.
    pub dispatched: Position,
    /// Issued commands that are running.
    pub under_way: usize,
    /// Orders that are parked, because some of their data cannot be read.
    pub parked: usize,
}

/// Starts the process manager.
#[derive(Debug)]
pub struct ProcessManager;

/// A cheap handle to the running process manager.
#[derive(Clone)]
pub struct ProcessManagerHandle(Arc<Shared>);

/// The running tasks, held by their supervisor.
#[derive(Debug)]
pub struct ProcessTasks {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl ProcessManager {
    /// Starts it. It works or stands by until it is stopped.
    #[must_use]
    pub fn spawn(deps: ProcessDeps) -> (ProcessManagerHandle, ProcessTasks) {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            known: Arc::new(Known {
                dispatched: watch::Sender::new(Position::ZERO),
                under_way: AtomicUsize::new(0),
                active: AtomicBool::new(false),
                parked: Parked::default(),
                waiters: Waiters::default(),
            }),
            outside: Arc::new(Places::new(deps.options.outside_calls)),
            stop: stop.clone(),
            since: Since::default(),
            deps,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(turn::run(Arc::clone(&shared)));
        (ProcessManagerHandle(shared), ProcessTasks { stop, tasks })
    }
}

impl ProcessManagerHandle {
    /// Waits until the order's fulfilment is at rest: no command that it issued is running. It has
    /// taken in everything that was committed before this call. False if the deadline comes first.
    pub async fn wait_settled(&self, order_id: OrderId, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, settled::wait(&self.0, order_id)).await.is_ok()
    }

    /// Asks the gateway now for the state of a payment's charge, and records the answer. A payment
    /// that the gateway was never asked for is returned as it is.
    ///
    /// # Errors
    /// As [`Commands::execute`]; refused as not found if the payment is not in the caller's scope.
    pub async fn sync_payment(
        &self,
        payment_id: PaymentId,
        caller: Caller,
        correlation_id: CorrelationId,
    ) -> Result<Answer, CommandError> {
        payment::sync(&self.0, payment_id, caller, correlation_id).await
    }

    /// The present progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            active: self.0.known.active.load(Ordering::Relaxed),
            dispatched: *self.0.known.dispatched.borrow(),
            under_way: self.0.known.under_way.load(Ordering::Relaxed),
            parked: self.0.known.parked.len(),
        }
    }
}

impl ProcessTasks {
    /// Lets running commands finish, but for no longer than `within`. Commands that are interrupted
    /// then are carried out after the next start. Stop it before the decider.
    pub async fn stop(mut self, within: Duration) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("commands of the process manager are cut off, they are carried out after the next start");
            self.tasks.shutdown().await;
        }
    }

    /// Ends everything at once, as a crash would.
    pub async fn abort(mut self) {
        self.tasks.shutdown().await;
    }
}

#[async_trait]
impl Part for ProcessTasks {
    fn name(&self) -> &'static str {
        "the process manager"
    }

    fn is_finished(&mut self) -> bool {
        self.tasks.try_join_next().is_some()
    }

    async fn stop(self: Box<Self>) {
        Self::stop(*self, PATIENCE).await;
    }

    async fn abort(self: Box<Self>) {
        Self::abort(*self).await;
    }
}
