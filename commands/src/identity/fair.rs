//! Expensive work on separate threads: a bounded queue whose places are shared fairly between
//! blocks of addresses.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::block::AddressBlock;

/// How much the scheduling priority of this work is lowered.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

type Work = Box<dyn FnOnce() + Send>;

/// The queue. Blocks are served in turn. If it is full, a block with fewer waiting tasks takes the
/// newest place of the block with the most, so that a client that floods the queue only displaces
/// its own tasks. The threads end with the last handle.
pub(super) struct FairQueue {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    places: usize,
    threads: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: HashMap<AddressBlock, VecDeque<Work>>,
    /// The blocks that have waiting tasks, the next one first.
    turns: VecDeque<AddressBlock>,
    count: usize,
    running: usize,
    ended: bool,
}

/// There is no free place for this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl FairQueue {
    /// A queue with a number of places and threads. The threads start with the first work.
    pub(super) fn new(name: &'static str, places: usize, threads: usize) -> Self {
        let (places, threads) = (places.max(1), threads.max(1));
        let (state, wake) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { name, places, threads, state, wake }) }
    }

    /// Queues work until its turn comes. Work that loses its place is dropped without running.
    pub(super) fn submit(&self, block: AddressBlock, work: Work) -> Result<(), Full> {
        let mut state = self.shared.lock();
        let lost = if state.count < self.shared.places { None } else { Some(state.make_room(block)?) };
        state.push(block, work);
        if state.running < self.shared.threads && self.shared.begin_thread() {
            state.running += 1;
        }
        drop(state);
        self.shared.wake.notify_one();
        // Outside the lock: the drop notifies the caller that waits for the work.
        drop(lost);
        Ok(())
    }
}

impl Drop for FairQueue {
    fn drop(&mut self) {
        let undone = {
            let mut state = self.shared.lock();
            state.ended = true;
            std::mem::take(&mut state.waiting)
        };
        drop(undone);
        self.shared.wake.notify_all();
    }
}

impl State {
    fn push(&mut self, block: AddressBlock, work: Work) {
        let own = self.waiting.entry(block).or_default();
        if own.is_empty() {
            self.turns.push_back(block);
        }
        own.push_back(work);
        self.count += 1;
    }

    /// Removes the newest work of the block with the most waiting tasks, if that has more than this
    /// block would have.
    fn make_room(&mut self, block: AddressBlock) -> Result<Option<Work>, Full> {
        let would_have = self.waiting.get(&block).map_or(0, VecDeque::len) + 1;
        let most = self.waiting.values_mut().max_by_key(|works| works.len()).ok_or(Full)?;
        if most.len() <= would_have {
            return Err(Full);
        }
        self.count -= 1;
        // The block has more left, so it stays in `turns`.
        Ok(most.pop_back())
    }

    fn next(&mut self) -> Option<Work> {
        let block = self.turns.pop_front()?;
        let works = self.waiting.get_mut(&block)?;
        let work = works.pop_front();
        if works.is_empty() {
            self.waiting.remove(&block);
        } else {
            self.turns.push_back(block);
        }
        self.count -= usize::from(work.is_some());
        work
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics in the middle of a change, so the state is intact.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_thread(self: &Arc<Self>) -> bool {
        let shared = Arc::clone(self);
        let begun = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || shared.work_off());
        if let Err(error) = &begun {
            tracing::error!(%error, "a thread for passwords could not begin");
        }
        begun.is_ok()
    }

    fn work_off(&self) {
        step_aside();
        while let Some(work) = self.wait() {
            // The caller notices a panic because no answer comes; the thread goes on.
            let _panicked = catch_unwind(AssertUnwindSafe(work));
        }
    }

    fn wait(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            if let Some(work) = state.next() {
                return Some(work);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Gives passwords a lower priority than everything else in the program.
fn step_aside() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "passwords are hashed at the usual priority");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn block(number: u8) -> AddressBlock {
        AddressBlock::of([192, 0, number, 1].into())
    }

    /// A queue whose only thread is blocked until the sender is dropped.
    fn held(places: usize) -> (FairQueue, mpsc::Sender<()>) {
        let queue = FairQueue::new("test", places, 1);
        let (hold, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let work = move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        };
        queue.submit(block(0), Box::new(work)).unwrap();
        begins.recv().unwrap();
        (queue, hold)
    }

    fn submit(queue: &FairQueue, from: u8, done: &mpsc::Sender<u8>) -> Result<(), Full> {
        let done = done.clone();
        queue.submit(block(from), Box::new(move || done.send(from).unwrap()))
    }

    #[test]
    fn blocks_are_served_in_turn_however_many_one_of_them_has_waiting() {
        let (queue, hold) = held(20);
        let (done, order) = mpsc::channel();
        for from in [1, 1, 1, 1, 1, 2, 2, 3] {
            submit(&queue, from, &done).unwrap();
        }
        drop((hold, done));
        assert_eq!(order.iter().collect::<Vec<_>>(), [1, 2, 3, 1, 2, 1, 1, 1]);
    }

    #[test]
    fn a_full_queue_turns_away_those_who_fill_it() {
        let (queue, hold) = held(8);
        let (done, order) = mpsc::channel();
        // Four blocks flood it.
        let flooded = (0..40).filter(|number| submit(&queue, 1 + number % 4, &done).is_err()).count();
        assert_eq!(flooded, 32);
        // Each new block gets a place all the same.
        for from in 5..9 {
            assert_eq!(submit(&queue, from, &done), Ok(()), "{from}");
        }
        assert_eq!(submit(&queue, 1, &done), Err(Full));
        drop((hold, done));
        let mut served: Vec<u8> = order.iter().collect();
        served.sort_unstable();
        assert_eq!(served, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_waits_when_the_queue_ends_is_dropped() {
        let (queue, hold) = held(8);
        let (done, order) = mpsc::channel();
        submit(&queue, 1, &done).unwrap();
        drop(queue);
        drop((hold, done));
        assert_eq!(order.iter().count(), 0);
    }
}
