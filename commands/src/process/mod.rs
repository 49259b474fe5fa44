//! The process manager: carries an order from payment to the customer's door.
//!
//! What is to happen is decided by the fulfilment aggregate, as events in the order's own
//! fulfilment stream, in the append of what it learns from; what it asks of other aggregates is
//! decided there too. Here is done what is left:
//!
//! - `dispatcher.rs` reads the calls that fulfilments ask for from its checkpoint and carries
//!   them out; `outside.rs` talks to gateway and carrier.
//! - `places.rs` bounds the calls to the outside, for all buyers and for one.
//! - `timers.rs` hands over the timers that are due.
//! - `lapses.rs` has points written off whose time is over.
//! - `catch_up.rs` hands over what was decided before processes were taken along, and what was
//!   set aside since.
//! - `parked.rs` leaves an order alone of which something cannot be read, and only that one.
//! - `turn.rs` has one node at a time do all this, under a lease.
//! - `settled.rs` lets a caller wait until a fulfilment has come to rest.
//!
//! Safe against a stop at any moment: a checkpoint passes a position only when its
//! work is done, and doing work twice changes nothing (inputs are known by their stream and
//! version, commands by their id, charges and refunds by the id of the event that
//! asked for them, labels by the shipment). That is also why a node that was paused past
//! its lease does no harm when it goes on for a moment.

mod catch_up;
mod dispatcher;
mod lapses;
mod outside;
mod parked;
mod payment;
mod places;
mod reader;
mod settled;
mod submit;
mod timers;
mod told;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use jangbu_kernel::ports::{Checkpoints, ParkedProcesses, TimerQueue, World};
use jangbu_kernel::{CorrelationId, OrderId, PaymentId};
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

/// How long the commands under way may take to finish before the end.
const PATIENCE: Duration = Duration::from_secs(6);
/// So many windows of commands may wait for their buyers' shares: about a minute of the
/// slowest cards of one buyer, in some tens of megabytes.
const MOST_WAITING: usize = 8;

/// The limits of the process manager.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Events of one page of catching up.
    pub page: usize,
    /// Issued commands that may be under way. Those that wait for their buyer's share of
    /// the outside calls do not count, up to [`MOST_WAITING`] times as many.
    pub window: usize,
    /// Calls to the outside world at a time; one buyer has an eighth of them.
    pub outside_calls: usize,
    /// How often the timer queue is looked at.
    pub timer_poll: Duration,
    /// How often it is looked which points have lapsed.
    pub expire_points_every: Duration,
    /// The longest a checkpoint stays behind the work that is done.
    pub checkpoint_every: Duration,
    /// How often it is looked whether what was parked can be read again.
    pub look_at_parked: Duration,
    /// First wait before something that failed for the moment is tried again; it doubles.
    pub retry_first: Duration,
    /// The longest such wait.
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

/// What the process manager works with.
#[derive(Clone)]
pub struct ProcessDeps {
    /// The decider.
    pub commands: Commands,
    /// Keeps how far it has come.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Keeps which orders are left alone.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Says which node does the work.
    pub lease: LeaseHolder,
    /// Knows what is due: timers, and points that have lapsed.
    pub timers: Arc<dyn TimerQueue>,
    /// Clock, ids and vault.
    pub world: World,
    /// The payment gateways.
    pub gateways: Arc<Gateways>,
    /// The carriers.
    pub carriers: Arc<Carriers>,
    /// Its limits.
    pub options: ProcessOptions,
}

impl ProcessDeps {
    /// None on a node that does not carry orders on.
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

/// Everything that the parts share during one turn of this node.
struct Shared {
    deps: ProcessDeps,
    known: Arc<Known>,
    outside: Arc<Places>,
    stop: CancellationToken,
    since: Since,
}

/// Since when a turn may take for granted what it is told.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    /// Behind this position every append holds what the processes make of it: only calls to
    /// the outside are left to be carried out.
    walked: u64,
    /// Behind this position nobody has acted on what was recorded: the head when the turn began.
    fresh: u64,
}

/// How far it is; outlives a turn.
struct Known {
    /// The position up to which every issued command is finished.
    dispatched: watch::Sender<u64>,
    /// Commands under way.
    under_way: AtomicUsize,
    /// Whether it is this node's turn.
    active: AtomicBool,
    /// The orders that are left alone.
    parked: Parked,
    waiters: Waiters,
}

impl Shared {
    /// The same for another turn, which ends when the program stops, or before.
    fn turn(&self) -> Self {
        let (deps, known) = (self.deps.clone(), Arc::clone(&self.known));
        let (outside, stop) = (Arc::clone(&self.outside), self.stop.child_token());
        Self { deps, known, outside, stop, since: Since::default() }
    }
}

/// How far the process manager is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether this node does the work now. What follows is as of its last turn otherwise.
    pub active: bool,
    /// The position up to which every issued command is finished.
    pub dispatched: u64,
    /// Issued commands under way now.
    pub under_way: usize,
    /// Orders that are left alone, because something of theirs cannot be read.
    pub parked: usize,
}

/// Starts the process manager.
#[derive(Debug)]
pub struct ProcessManager;

/// A cheap handle to the running process manager.
#[derive(Clone)]
pub struct ProcessManagerHandle(Arc<Shared>);

/// The running parts, held by their supervisor.
#[derive(Debug)]
pub struct ProcessTasks {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl ProcessManager {
    /// Starts it. It works, or stands by, until it is stopped.
    #[must_use]
    pub fn spawn(deps: ProcessDeps) -> (ProcessManagerHandle, ProcessTasks) {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            known: Arc::new(Known {
                dispatched: watch::Sender::new(0),
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
    /// Waits until the order's fulfilment is at rest: nothing it asked for is under way. What
    /// was committed before this is asked it has taken in. False when the deadline comes first.
    pub async fn wait_settled(&self, order_id: OrderId, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, settled::wait(&self.0, order_id)).await.is_ok()
    }

    /// Asks the gateway now what became of a payment's charge, and records what it
    /// says. A payment that the gateway was never asked about is answered as it stands.
    ///
    /// # Errors
    /// As [`Commands::execute`]; refused as not found when the payment is not in the
    /// caller's scope.
    pub async fn sync_payment(
        &self,
        payment_id: PaymentId,
        caller: Caller,
        correlation_id: CorrelationId,
    ) -> Result<Answer, CommandError> {
        payment::sync(&self.0, payment_id, caller, correlation_id).await
    }

    /// How far it is.
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
    /// Lets the commands under way finish, but no longer than `within`; what is cut
    /// off then is carried out after the next start. Stop it before the decider.
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
