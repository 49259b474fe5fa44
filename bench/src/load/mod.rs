//! The load: connections that each have one request under way at a time.
//!
//! It shares the machine with what it measures, so it is as cheap as it can be: one
//! thread, requests written as bytes from templates, answers read no further than
//! counting needs. `jangbu-bench yardsticks` prints what one request costs it.

mod pace;
mod request;
mod tally;
mod wire;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use self::pace::Pace;
pub use self::request::{Head, Request};
pub use self::tally::Tally;
use self::wire::Wire;
use crate::machine;

/// How long the last answers of a load may take after its end.
const LAST_ANSWERS: Duration = Duration::from_secs(60);

/// Makes the next request of a connection.
pub trait Ammunition: Send + 'static {
    /// Writes the next request; false when there is none left.
    fn next(&mut self, request: &mut Request) -> bool;
}

/// How a load is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Time before, which does not count.
    pub warmup: Duration,
    /// Time that counts.
    pub measured: Duration,
    /// Requests a second that are sent whether or not earlier ones were answered; a latency is then
    /// counted from the moment at which its request was due. None: every connection sends its next
    /// request as soon as it has its answer.
    pub pace: Option<u64>,
}

/// One connection's target and requests.
pub struct Gun<A> {
    /// Where it connects to.
    pub address: SocketAddr,
    /// What it sends.
    pub ammunition: A,
}

/// Fires on a thread of its own until the ammunition or the time is used up, and
/// counts what was answered after the warm-up.
///
/// # Errors
/// When a connection breaks, an answer is not HTTP, or the last answers do not come.
pub async fn fire<A: Ammunition>(guns: Vec<Gun<A>>, plan: Plan) -> anyhow::Result<Tally> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        // The receiver may have been cancelled.
        let _ = sender.send(on_this_thread(guns, plan));
    })?;
    receiver.await.map_err(|_| anyhow!("the load broke off"))?
}

fn on_this_thread<A: Ammunition>(guns: Vec<Gun<A>>, plan: Plan) -> anyhow::Result<Tally> {
    machine::go_before_others();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = plan.warmup + plan.measured + LAST_ANSWERS;
    let local = tokio::task::LocalSet::new();
    let firing = async { tokio::time::timeout(limit, all(guns, plan)).await };
    let mut tally = local.block_on(&runtime, firing).context("the last answers did not come in time")??;
    tally.own_cpu = cpu_of_this_thread();
    Ok(tally)
}

/// Processor time that this thread has used so far; zero where the system does not report it.
fn cpu_of_this_thread() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// What the connections share; they are tasks of one thread.
struct Shared {
    tally: RefCell<Tally>,
    stage: Cell<Stage>,
    pace: Option<Pace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Warmup,
    Counting,
    Over,
}

async fn all<A: Ammunition>(guns: Vec<Gun<A>>, plan: Plan) -> anyhow::Result<Tally> {
    let mut ready = Vec::with_capacity(guns.len());
    for gun in guns {
        ready.push((Wire::open(gun.address).await?, gun.ammunition));
    }
    let stage = if plan.warmup.is_zero() { Stage::Counting } else { Stage::Warmup };
    let pace = plan.pace.map(|rate| Pace::start(rate, plan.warmup + plan.measured)).transpose()?;
    let shared = Rc::new(Shared { tally: RefCell::new(Tally::new()?), stage: Cell::new(stage), pace });
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (wire, ammunition) in ready {
        tasks.spawn_local(shoot(wire, ammunition, Rc::clone(&shared)));
    }
    let clock = tokio::task::spawn_local({
        let shared = Rc::clone(&shared);
        async move {
            tokio::time::sleep(plan.warmup).await;
            shared.stage.set(Stage::Counting);
            let begun = Instant::now();
            tokio::time::sleep(plan.measured).await;
            shared.stage.set(Stage::Over);
            shared.tally.borrow_mut().elapsed = begun.elapsed();
            if let Some(pace) = &shared.pace {
                pace.close();
            }
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    clock.abort();
    let mut tally = shared.tally.replace(Tally::new()?);
    if shared.stage.get() != Stage::Over {
        // The ammunition was used up before the time was over.
        tally.elapsed = begun.elapsed().saturating_sub(plan.warmup);
    }
    Ok(tally)
}

async fn shoot<A: Ammunition>(mut wire: Wire, mut ammunition: A, shared: Rc<Shared>) -> anyhow::Result<()> {
    let mut request = Request::default();
    loop {
        let due = match &shared.pace {
            None => None,
            Some(pace) => match pace.next().await {
                None => return Ok(()),
                due => due,
            },
        };
        if shared.stage.get() == Stage::Over || !ammunition.next(&mut request) {
            return Ok(());
        }
        let begun = due.unwrap_or_else(Instant::now);
        let counts = shared.stage.get() == Stage::Counting;
        let answer = wire.exchange(request.bytes()).await?;
        let took = begun.elapsed();
        let mut tally = shared.tally.borrow_mut();
        // A request that began before the end counts for latency even if its answer comes after it:
        // leaving the slowest out would flatter the figures. It does not count for the rate.
        let in_time = shared.stage.get() == Stage::Counting;
        tally.count(&answer, took, counts, in_time)?;
    }
}
