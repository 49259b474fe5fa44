//! The shop's nodes: wired as in the program, on simulated ports; started, killed and started
//! again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use jangbu_aggregates::Policy;
use jangbu_aggregates::shipping::ShippingFee;
use jangbu_commands::inbox::{Hooks, InboxOptions};
use jangbu_commands::notices::NoticeOptions;
use jangbu_commands::process::{ProcessManagerHandle, ProcessOptions, Progress};
use jangbu_commands::workers::{self, WorkerDeps, Workers};
use jangbu_commands::{Carriers, Commands, DeciderOptions, Gateways, LeaseHolder};
use jangbu_kernel::log::LogError;
use jangbu_kernel::part::Parts;
use jangbu_kernel::ports::{DueTimer, IdSource as _, LapsedPoints, LapsedReturn, TimerQueue, World};
use jangbu_kernel::{Money, NoticeId, Timestamp};
use jangbu_projections::{Projector, ProjectorHandle, ReadModels};
use uuid::Uuid;

use crate::carrier::{self, Hauler, NodeCarrier};
use crate::dice::Dice;
use crate::gateway::{Gateway, NAMES, NodeGateway};
use crate::life::Life;
use crate::mailbox::{Mailbox, NodeMail};
use crate::names::Fault;
use crate::outside::Post;
use crate::sim::{Sim, lock};
use crate::store::{NodeStore, SimStore};
use crate::world::{Ids, NodeClock, PlainVault};

/// The lease of the work that one node does for all.
const LEASE: Duration = Duration::from_secs(10);
/// One run of so many has people told of what happens.
const TELLING: u64 = 4;
/// How often the parts of a node are checked.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// State that outlives every node.
pub(crate) struct Town {
    pub sim: Arc<Sim>,
    pub store: Arc<SimStore>,
    pub ids: Arc<Ids>,
    pub policy: Arc<Policy>,
    /// The gateways; the configuration of each node says which one gets its new charges.
    pub gateways: [Arc<Gateway>; NAMES.len()],
    pub hauler: Arc<Hauler>,
    pub mailbox: Arc<Mailbox>,
    /// The read models, in runs that have them.
    pub models: Option<ReadModels>,
    pub nodes: usize,
    open: Mutex<Vec<Option<Open>>>,
    /// Projectors of killed nodes. They are kept, because dropping them would shut them down
    /// cleanly.
    zombies: Mutex<Vec<ProjectorHandle>>,
}

/// The handles on a running node.
#[derive(Clone)]
pub(crate) struct Open {
    pub commands: Commands,
    pub hooks: Hooks,
    pub processes: Option<ProcessManagerHandle>,
    pub projector: Option<ProjectorHandle>,
    pub clock: Arc<NodeClock>,
    pub life: Arc<Life>,
}

impl Open {
    /// The progress of its process manager.
    pub fn progress(&self) -> Option<Progress> {
        self.processes.as_ref().map(ProcessManagerHandle::progress)
    }
}

/// The shop's policy in a run: minutes instead of days, so that a run comes to rest.
fn policy() -> Policy {
    let fee = Money::krw(3_000).ok().map(|base| ShippingFee::plain(base, Money::krw(50_000).ok()));
    Policy {
        payment_deadline: TimeDelta::seconds(180),
        owner_cancel_window: TimeDelta::minutes(10),
        completion_delay: TimeDelta::minutes(5),
        send_back_within: TimeDelta::minutes(4),
        shipping_fees: fee.into_iter().collect(),
        carrier: carrier::NAME.to_owned(),
        ..Policy::default()
    }
}

impl Town {
    pub fn new(
        sim: &Arc<Sim>,
        store: &Arc<SimStore>,
        post: &Post,
        models: Option<ReadModels>,
        nodes: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            sim: Arc::clone(sim),
            store: Arc::clone(store),
            ids: Arc::new(Ids::new(sim)),
            policy: Arc::new(policy()),
            gateways: NAMES.map(|name| Gateway::new(name, sim, post.clone())),
            hauler: Hauler::new(sim, post.clone()),
            mailbox: Mailbox::new(sim),
            models,
            nodes,
            open: Mutex::new(vec![None; nodes]),
            zombies: Mutex::default(),
        })
    }

    /// Any running node, if there is one.
    pub fn any_node(&self) -> Option<Open> {
        let open = lock(&self.open);
        let running: Vec<&Open> = open.iter().flatten().collect();
        let at = self.sim.dice(|dice| dice.below(running.len() as u64));
        running.get(usize::try_from(at).unwrap_or(0)).map(|open| (*open).clone())
    }

    /// All running nodes.
    pub fn running(&self) -> Vec<Open> {
        lock(&self.open).iter().flatten().cloned().collect()
    }

    /// Restarts a node until the end of the run.
    pub async fn keep_running(self: Arc<Self>, node: usize) {
        let mut dice = Dice::new(self.sim.seed, 100 + node as u64);
        let clock = Arc::new(NodeClock::new(&self.sim));
        loop {
            let (open, mut parts) = self.start(node, &clock, &mut dice);
            let life = Arc::clone(&open.life);
            self.set(node, Some(open.clone()));
            let killed = self.watch(&life, &mut parts).await;
            self.set(node, None);
            if killed {
                parts.abort().await;
                lock(&self.zombies).extend(open.projector);
            } else {
                self.sim.tell("stopping", node as u64, || format!("node {node} stops in good order"));
                tokio::select! {
                    biased;
                    () = life.killed.notified() => lock(&self.zombies).extend(open.projector),
                    () = stop(parts, open.projector.clone()) => life.retire(),
                }
            }
            tokio::time::sleep(dice.millis(0, 8_000)).await;
        }
    }

    /// Watches a node until it is killed (true) or asked to shut down (false).
    async fn watch(&self, life: &Life, parts: &mut Parts) -> bool {
        loop {
            tokio::select! {
                biased;
                () = life.killed.notified() => return true,
                () = life.asked_to_stop.notified() => return false,
                () = tokio::time::sleep(WATCH_EVERY) => {
                    if let Some(part) = parts.ended() {
                        self.sim.fail("alive", format!("{part} of node {} has ended by itself", life.node));
                    }
                }
            }
        }
    }

    fn set(&self, node: usize, open: Option<Open>) {
        if let Some(place) = lock(&self.open).get_mut(node) {
            *place = open;
        }
    }

    /// A node's adapters to the gateways. Its configured gateway may differ from the one before its
    /// restart.
    fn gateways(&self, life: &Arc<Life>) -> Gateways {
        let way = |gateway: &Arc<Gateway>, chosen| {
            Arc::new(NodeGateway { gateway: Arc::clone(gateway), life: Arc::clone(life), chosen })
        };
        let [usual, other] = &self.gateways;
        let (chosen, former) = if self.sim.strikes(Fault::GatewayChanged) { (other, usual) } else { (usual, other) };
        Gateways::new(way(chosen, true)).with(way(former, false))
    }

    /// Whom a node tells of what happens: nobody in most runs, because it is as much work as the
    /// orders themselves.
    fn notices(&self, life: &Arc<Life>, dice: &mut Dice) -> Option<NoticeOptions> {
        if !self.sim.seed.is_multiple_of(TELLING) {
            return None;
        }
        let mail = NodeMail { mailbox: Arc::clone(&self.mailbox), life: Arc::clone(life) };
        let mut options = NoticeOptions::new(vec![Arc::new(mail)], "shop".to_owned());
        options.shop_email = Some("shop@example.com".to_owned());
        options.at_once = dice.pick(&[2, 3, 16]).unwrap_or(2);
        options.poll = Duration::from_secs(5);
        Some(options)
    }

    fn start(&self, node: usize, clock: &Arc<NodeClock>, dice: &mut Dice) -> (Open, Parts) {
        self.sim.tell("started", node as u64, || format!("node {node} starts"));
        let life = Arc::new(Life::new(&self.store, node, self.nodes == 1));
        let log = Arc::new(NodeStore { store: Arc::clone(&self.store), life: Arc::clone(&life) });
        let world = World {
            clock: Arc::clone(clock) as _,
            ids: Arc::clone(&self.ids) as _,
            vault: Arc::new(PlainVault(Arc::clone(&self.sim))),
        };
        let gateways = Arc::new(self.gateways(&life));
        let mut policy = Policy::clone(&self.policy);
        gateways.chosen().name().clone_into(&mut policy.gateway);
        let (commands, decider) =
            Commands::spawn(Arc::clone(&log) as _, &world, Arc::new(policy), decider_options(dice));
        let carrier = NodeCarrier { hauler: Arc::clone(&self.hauler), life: Arc::clone(&life) };
        let carriers = Arc::new(Carriers::new(Arc::new(carrier)));
        let timers: Arc<dyn TimerQueue> = match &self.models {
            Some(models) => Arc::new(models.clone()),
            None => Arc::new(Timers { store: Arc::clone(&self.store), life: Arc::clone(&life) }),
        };
        let lease = LeaseHolder {
            leases: Arc::clone(&log) as _,
            // A restarted node may keep its id or get a new one.
            node: if dice.permille(500) { Uuid::from_u128(node as u128 + 1) } else { self.ids.new_id() },
            length: dice.pick(&[LEASE, 3 * LEASE]).unwrap_or(LEASE),
        };
        let Workers { hooks, processes, mut parts } = workers::start(&WorkerDeps {
            commands: commands.clone(),
            inbox: Arc::clone(&log) as _,
            checkpoints: Arc::clone(&log) as _,
            parked: Arc::clone(&log) as _,
            timers,
            lease,
            world,
            gateways,
            carriers,
            receiving: inbox_options(dice),
            processing: Some(process_options(dice)),
            notices: self.notices(&life, dice),
        });
        parts.add(decider);
        let projector =
            self.models.clone().map(|models| Projector::spawn(Arc::clone(&log) as _, models, Arc::clone(clock) as _));
        let open = Open { commands, hooks, processes, projector, clock: Arc::clone(clock), life };
        (open, parts)
    }
}

/// Small and unusual limits, because they reach the edge cases.
fn decider_options(dice: &mut Dice) -> DeciderOptions {
    let pick = |dice: &mut Dice, choices: &[usize]| dice.pick(choices).unwrap_or(1);
    DeciderOptions {
        queue_capacity: pick(dice, &[4, 64, 1_024]),
        max_batch_events: pick(dice, &[1, 8, 200]),
        cache_capacity: pick(dice, &[4, 50, 10_000]),
        receipt_capacity: 1_024,
        snapshot_every: dice.pick(&[2, 5, 500]).unwrap_or(5),
        ..DeciderOptions::default()
    }
}

fn process_options(dice: &mut Dice) -> ProcessOptions {
    ProcessOptions {
        page: dice.pick(&[1, 7, 200]).unwrap_or(7),
        window: dice.pick(&[1, 5, 256]).unwrap_or(5),
        outside_calls: dice.pick(&[1, 3, 64]).unwrap_or(3),
        timer_poll: Duration::from_millis(1_000),
        expire_points_every: Duration::from_secs(dice.pick(&[5, 60]).unwrap_or(60)),
        ..ProcessOptions::default()
    }
}

fn inbox_options(dice: &mut Dice) -> InboxOptions {
    InboxOptions { page: dice.pick(&[1, 4, 256]).unwrap_or(4), poll: Duration::from_secs(5), ..InboxOptions::default() }
}

/// In the order of the program's shutdown.
async fn stop(parts: Parts, projector: Option<ProjectorHandle>) {
    parts.stop().await;
    if let Some(projector) = projector {
        projector.stop().await;
    }
}

/// The timer queue as the witness knows it, for runs without read models.
struct Timers {
    store: Arc<SimStore>,
    life: Arc<Life>,
}

#[async_trait]
impl TimerQueue for Timers {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, LogError> {
        self.life.moment().await;
        if self.life.sim.strikes(Fault::TimersFail) {
            return Err(LogError::Unavailable("simulated".to_owned(), None));
        }
        Ok(self.store.witness.due(now, limit))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, LogError> {
        self.life.moment().await;
        Ok(self.store.witness.next_due())
    }

    async fn lapsed_points(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedPoints>, LogError> {
        self.life.moment().await;
        if self.life.sim.strikes(Fault::TimersFail) {
            return Err(LogError::Unavailable("simulated".to_owned(), None));
        }
        Ok(self.store.witness.lapsed_points(now, limit))
    }

    async fn lapsed_returns(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedReturn>, LogError> {
        self.life.moment().await;
        if self.life.sim.strikes(Fault::TimersFail) {
            return Err(LogError::Unavailable("simulated".to_owned(), None));
        }
        Ok(self.store.witness.lapsed_returns(now, limit))
    }

    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, LogError> {
        self.life.moment().await;
        Ok(self.store.witness.due_notices(now, limit))
    }
}
