//! The shared state of a run: random numbers, the trace, the counts, the true time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use jangbu_kernel::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::names::{Counts, FAULTS, Fault, POINTS, Point};

/// The start of every run: 2026-11-21T00:00:00Z.
const BEGIN_SECONDS: i64 = 1_795_219_200;
/// Calls of ports after which a run counts as endless.
const MAX_CALLS: u64 = 3_000_000;
/// Limit on the lines of a printed run, far above what is needed.
const MAX_LINES: usize = 200_000;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant's short name, as in `M3`.
    pub invariant: &'static str,
    /// What is wrong, one sentence.
    pub detail: String,
}

/// Locks. No code panics while it holds a lock, so the content of a poisoned one is consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The faults of this run, with their rates.
struct Trouble {
    dice: Dice,
    /// Probability of each kind at each of its occasions, in millionths.
    rates: [u64; FAULTS],
    left: u32,
    thrown: Counts<FAULTS>,
}

/// The trace: a hash of everything that happened, and if requested the text.
struct Tale {
    hash: u64,
    lines: Option<Vec<String>>,
}

/// While this lives, something is under way: a person's action, a courier, a call, a charge that
/// will be captured later.
pub(crate) struct AtWork(Arc<Sim>);

impl AtWork {
    pub fn begin(sim: &Arc<Sim>) -> Self {
        sim.at_work.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(sim))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The size of a clock's step: usually seconds, sometimes minutes.
pub(crate) fn clock_step(sim: &Sim) -> i64 {
    let most = sim.dice(|dice| dice.pick(&[2_000, 30_000, 400_000])).unwrap_or(2_000);
    i64::try_from(sim.dice(|dice| dice.between(1, most))).unwrap_or(1)
}

/// The shared state of a run.
pub(crate) struct Sim {
    pub seed: u64,
    begun: Instant,
    trouble: Mutex<Trouble>,
    calm: AtomicBool,
    quick: bool,
    tale: Mutex<Tale>,
    reached: Mutex<Counts<POINTS>>,
    calls: AtomicU64,
    at_work: AtomicU32,
    broken: Mutex<Option<Broken>>,
    /// Notified when an invariant is broken.
    pub alarm: Notify,
}

impl Sim {
    /// A run without faults or delays, for the store's contract suite.
    pub fn calm() -> Self {
        Self { quick: true, ..Self::new(0, [0; FAULTS], 0, false) }
    }

    pub fn new(seed: u64, rates: [u64; FAULTS], faults: u32, with_story: bool) -> Self {
        Self {
            seed,
            begun: Instant::now(),
            trouble: Mutex::new(Trouble { dice: Dice::new(seed, 1), rates, left: faults, thrown: [0; FAULTS] }),
            calm: AtomicBool::new(true),
            quick: false,
            tale: Mutex::new(Tale { hash: 0xCBF2_9CE4_8422_2325, lines: with_story.then(Vec::new) }),
            reached: Mutex::new([0; POINTS]),
            calls: AtomicU64::new(0),
            at_work: AtomicU32::new(0),
            broken: Mutex::new(None),
            alarm: Notify::new(),
        }
    }

    /// Milliseconds since the run began.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The true time, from which a node's clock may differ.
    pub fn now(&self) -> Timestamp {
        let begin = Timestamp::from_timestamp(BEGIN_SECONDS, 0).unwrap_or_default();
        begin + TimeDelta::milliseconds(i64::try_from(self.elapsed_ms()).unwrap_or(0))
    }

    /// Starts the faults.
    pub fn begin_trouble(&self) {
        self.calm.store(false, Ordering::Relaxed);
        self.tell("trouble", 0, || "the shop is open, faults may strike".to_owned());
    }

    /// Stops the faults.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.tell("calm", 0, || "the faults stop".to_owned());
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether there are no delays either.
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// Whether a fault occurs on this occasion.
    pub fn strikes(&self, fault: Fault) -> bool {
        if self.is_calm() {
            return false;
        }
        let mut trouble = lock(&self.trouble);
        let rate = trouble.rates.get(fault.index()).copied().unwrap_or(0);
        if trouble.left == 0 || !trouble.dice.per_million(rate) {
            return false;
        }
        trouble.left -= 1;
        if let Some(count) = trouble.thrown.get_mut(fault.index()) {
            *count += 1;
        }
        drop(trouble);
        self.tell("fault", fault.index() as u64, || format!("FAULT: {}", fault.name()));
        true
    }

    /// Random numbers other than faults: durations and outcomes.
    pub fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut lock(&self.trouble).dice)
    }

    /// The duration of a short wait.
    pub fn short(&self, most_ms: u64) -> Duration {
        self.dice(|dice| dice.millis(0, most_ms))
    }

    /// Records that a rare path was taken.
    pub fn reach(&self, point: Point) {
        if let Some(count) = lock(&self.reached).get_mut(point.index()) {
            *count += 1;
        }
        self.tell("point", point.index() as u64, || format!("* {}", point.name()));
    }

    /// Adds to the trace. The text is only made if it was requested.
    pub fn tell(&self, what: &'static str, subject: u64, words: impl FnOnce() -> String) {
        let at = self.elapsed_ms();
        let mut tale = lock(&self.tale);
        for number in [at, what.len() as u64, u64::from(what.as_bytes().first().copied().unwrap_or(0)), subject] {
            tale.hash = (tale.hash ^ number).wrapping_mul(0x0000_0100_0000_01B3);
            tale.hash ^= tale.hash >> 29;
        }
        if let Some(lines) = &mut tale.lines
            && lines.len() < MAX_LINES
        {
            let mut line = format!("{:>7}.{:03}  ", at / 1_000, at % 1_000);
            let _written = write!(line, "{}", words());
            lines.push(line);
        }
    }

    /// Counts a call of a port; false if there were so many that the run counts as endless.
    pub fn count_call(&self) -> bool {
        if self.calls.fetch_add(1, Ordering::Relaxed) < MAX_CALLS {
            return true;
        }
        self.fail("G1", "the run goes on for ever: its parts keep calling without coming to rest".to_owned());
        false
    }

    /// Records a broken invariant; only the first one is kept.
    pub fn fail(&self, invariant: &'static str, detail: String) {
        self.tell("broken", 0, || format!("BROKEN {invariant}: {detail}"));
        lock(&self.broken).get_or_insert(Broken { invariant, detail });
        self.alarm.notify_one();
    }

    pub fn broken(&self) -> Option<Broken> {
        lock(&self.broken).clone()
    }

    pub fn hash(&self) -> u64 {
        lock(&self.tale).hash
    }

    pub fn take_story(&self) -> Vec<String> {
        lock(&self.tale).lines.take().unwrap_or_default()
    }

    pub fn thrown(&self) -> Counts<FAULTS> {
        lock(&self.trouble).thrown
    }

    pub fn reached(&self) -> Counts<POINTS> {
        *lock(&self.reached)
    }

    /// The number of actions under way that will reach the shop.
    pub fn at_work(&self) -> u32 {
        self.at_work.load(Ordering::Relaxed)
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
