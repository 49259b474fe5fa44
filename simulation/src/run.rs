//! One run: a shop, fifty orders, about fifty faults, and then no more faults until everything has
//! come to rest.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use jangbu_aggregates::processes::Step;
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{OrderId, UserId};
use jangbu_projections::ReadModels;
use tokio::sync::mpsc;

use crate::client::Answers;
use crate::dice::Dice;
use crate::market::{self, Market};
use crate::names::{FAULTS, Fault, POINTS, Point};
use crate::outside::Letter;
use crate::people::People;
use crate::rest;
use crate::shop::Town;
use crate::sim::{Broken, Sim};
use crate::store::SimStore;
use crate::witness::{News, Witness};
use crate::world::NodeClock;
use crate::{courier, sim};

/// Orders of a run.
pub const ORDERS: usize = 50;
/// How long orders keep coming, milliseconds.
const SHOPPING_MS: u64 = 150_000;
/// When the faults stop, milliseconds after the shop opened.
const CALM_AFTER: Duration = Duration::from_secs(240);
/// Limit for coming to rest after that.
const REST_WITHIN: Duration = Duration::from_secs(3 * 3_600);
/// How often it is checked whether everything is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Checks between two rounds of the caretaker.
const CARE_EVERY: u32 = 12;
/// One of this many runs has read models.
const WITH_MODELS: u64 = 16;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// A hash over everything that happened, in order: the same seed, the same hash.
    pub trace: u64,
    /// Orders that were placed.
    pub orders: usize,
    /// Events in the log at the end.
    pub events: u64,
    /// Calls of the simulated ports.
    pub calls: u64,
    /// Simulated time, milliseconds.
    pub simulated_ms: u64,
    /// Number of faults, in the order of [`Fault::ALL`].
    pub faults: [u32; FAULTS],
    /// Rare paths taken, in the order of [`Point::ALL`].
    pub points: [u32; POINTS],
    /// The broken invariant, if there is one.
    pub broken: Option<Broken>,
    /// What happened, line by line, if it was requested.
    pub story: Vec<String>,
}

/// Probability of each fault at each of its occasions, in millionths, in a run with its usual rate.
const fn rate(fault: Fault) -> u64 {
    match fault {
        Fault::CommitFails | Fault::CommitAnswerLost | Fault::CommitRequestLost | Fault::CommitLate => 4_000,
        Fault::CommitSlow => 5_000,
        Fault::ReadFails | Fault::ReadSlow => 400,
        Fault::CheckpointFails | Fault::CheckpointAnswerLost => 4_000,
        Fault::InboxFails | Fault::InboxAnswerLost => 10_000,
        Fault::LeaseFails | Fault::LeaseSlow | Fault::TimersFail => 4_000,
        Fault::VaultFails => 10_000,
        Fault::Crash => 200,
        Fault::Restart => 60,
        Fault::GatewayChanged => 300_000,
        Fault::ClockForward | Fault::ClockBack => 15_000,
        Fault::CallLost | Fault::AnswerLost | Fault::CallLate | Fault::CallTwice | Fault::CallErrs => 20_000,
        Fault::HookRepeated | Fault::HookDelayed | Fault::HookLost => 30_000,
        Fault::LabelRefused => 60_000,
        Fault::RefundRefused => 100_000,
        Fault::ClientHangsUp | Fault::ClientRepeats => 20_000,
    }
}

/// The fault rates of a run: some faults are off, some are frequent. Runs that differ in kind find
/// more than runs that are all alike.
fn rates(dice: &mut Dice) -> [u64; FAULTS] {
    let mut rates = [0; FAULTS];
    for (place, fault) in rates.iter_mut().zip(Fault::ALL) {
        *place = rate(*fault) * dice.pick(&[0, 1, 1, 4]).unwrap_or(1);
    }
    rates
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, with_story: bool) -> Outcome {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::of_no_runtime(seed, &error),
    };
    let outcome = runtime.block_on(live(seed, with_story));
    runtime.shutdown_background();
    outcome
}

async fn live(seed: u64, with_story: bool) -> Outcome {
    let mut dice = Dice::new(seed, 0);
    let faults = u32::try_from(dice.between(30, 70)).unwrap_or(50);
    let sim = Arc::new(Sim::new(seed, rates(&mut dice), faults, with_story));
    let (witness, news) = Witness::new();
    let store = SimStore::new(&sim, witness);
    let (calls, simulated_ms) = tokio::select! {
        biased;
        () = sim.alarm.notified() => effort(&sim),
        effort = play(&sim, &store, news, &mut dice) => effort,
    };
    Outcome {
        seed,
        trace: sim.hash(),
        orders: store.witness.orders(),
        events: store.witness.events(),
        calls,
        simulated_ms,
        faults: sim.thrown(),
        points: sim.reached(),
        broken: sim.broken(),
        story: sim.take_story(),
    }
}

/// Calls of the ports and simulated milliseconds so far.
fn effort(sim: &Sim) -> (u64, u64) {
    (sim.calls(), sim.elapsed_ms())
}

/// Plays the run; returns what it took until everything was at rest. Read models are checked only
/// then, because they use threads of their own, for which the simulated clock does not wait.
async fn play(
    sim: &Arc<Sim>,
    store: &Arc<SimStore>,
    news: mpsc::UnboundedReceiver<News>,
    dice: &mut Dice,
) -> (u64, u64) {
    let nodes = if dice.permille(500) { 2 } else { 1 };
    let models = match dice.below(WITH_MODELS) {
        0 => ReadModels::in_memory_at(Arc::new(NodeClock { sim: Arc::clone(sim), wrong_ms: AtomicI64::new(0) }))
            .await
            .ok(),
        _ => None,
    };
    let (post, letters) = mpsc::unbounded_channel();
    let town = Town::new(sim, store, &post, models, nodes);
    for node in 0..nodes {
        tokio::spawn(Arc::clone(&town).keep_running(node));
    }
    let people = Arc::new(People {
        town: Arc::clone(&town),
        answers: Answers::default(),
        staff: UserId::new(town.ids.new_id()),
        orders: Mutex::default(),
        dice: Mutex::new(Dice::new(sim.seed, 2)),
    });
    tokio::spawn(listen(Arc::clone(&people), news, letters));
    // The shop opens without faults.
    let market = Arc::new(market::open(&people).await);
    sim.begin_trouble();
    set_out(&people, &market);
    trouble(&town).await;
    sim.calm_down();
    for node in town.running() {
        node.clock.set_right();
    }
    let rested = come_to_rest(&people).await;
    let effort = effort(sim);
    if rested {
        rest::check(&people, &market).await;
    }
    effort
}

/// Delivers events to people and webhooks to the couriers.
async fn listen(
    people: Arc<People>,
    mut news: mpsc::UnboundedReceiver<News>,
    mut letters: mpsc::UnboundedReceiver<Letter>,
) {
    loop {
        tokio::select! {
            biased;
            heard = news.recv() => match heard {
                Some(heard) => people.hear(heard),
                None => return,
            },
            letter = letters.recv() => match letter {
                Some(letter) => courier::carry(&people.town, &letter),
                None => return,
            },
        }
    }
}

/// Schedules the actions of all people.
fn set_out(people: &Arc<People>, market: &Arc<Market>) {
    for number in 0..ORDERS {
        people.later(0, SHOPPING_MS, Arc::clone(people).buys(Arc::clone(market), number));
    }
    for user in market.buyers.iter().take(3) {
        people.later(0, SHOPPING_MS / 2, Arc::clone(people).logs_in(*user));
    }
    people.later(0, 10_000, Arc::clone(people).keeps_shop(Arc::clone(market)));
}

/// Steps the nodes' clocks from time to time, until the faults stop.
async fn trouble(town: &Town) {
    let sim = &town.sim;
    let end = tokio::time::Instant::now() + CALM_AFTER;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY).await;
        for node in town.running() {
            let by = sim::clock_step(sim);
            if sim.strikes(Fault::ClockForward) {
                node.clock.step(by);
            }
            if sim.strikes(Fault::ClockBack) {
                node.clock.step(-by);
            }
        }
    }
}

/// Waits until nothing is left to do; false if that does not happen within the limit.
async fn come_to_rest(people: &Arc<People>) -> bool {
    let town = &people.town;
    let end = tokio::time::Instant::now() + REST_WITHIN;
    let (mut looks, mut quiet) = (0_u32, 0);
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        let open = town.store.witness.open_orders();
        quiet = if open.is_empty() && rest::is_quiet(town).await { quiet + 1 } else { 0 };
        if quiet >= 3 {
            town.sim.reach(Point::Rested);
            return true;
        }
        if looks.is_multiple_of(CARE_EVERY) {
            for (order_id, step) in open {
                take_care(people, order_id, step);
            }
        }
    }
    let open = town.store.witness.open_orders();
    let working = town.sim.at_work();
    let detail = format!("not at rest after three hours: {open:?}, {working} at work, {}", rest::state(town).await);
    town.sim.fail("G1", detail);
    false
}

/// The caretaker handles orders that wait for a person.
fn take_care(people: &Arc<People>, order_id: OrderId, step: Step) {
    let known = people.known(order_id);
    let helper = Arc::clone(people);
    if known.on_hold && step != Step::NeedsOperator {
        people.later(0, 1_000, async move { helper.release(order_id).await });
        return;
    }
    if step == Step::AwaitingCompletion {
        people.later(0, 1_000, helper.look_after_returns(order_id));
        return;
    }
    let (Step::Delivering, Some(shipment_id)) = (step, known.shipment) else { return };
    people.later(0, 1_000, async move {
        if known.dispatched { helper.look_for(shipment_id).await } else { helper.dispatch(shipment_id).await }
    });
}

impl Outcome {
    fn of_no_runtime(seed: u64, error: &std::io::Error) -> Self {
        let broken = Broken { invariant: "run", detail: format!("there is no runtime: {error}") };
        Self {
            seed,
            trace: 0,
            orders: 0,
            events: 0,
            calls: 0,
            simulated_ms: 0,
            faults: [0; FAULTS],
            points: [0; POINTS],
            broken: Some(broken),
            story: Vec::new(),
        }
    }
}
