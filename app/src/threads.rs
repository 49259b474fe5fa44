//! The threads of a program, and how many of them may do blocking work: reads of SQLite. Passwords
//! are hashed on threads of their own.
//!
//! Each kind of such work has its own bound, and there are exactly as many threads as all bounds
//! together, so that no kind waits for another. More would cost memory: the runtime gives work to
//! all of its idle threads in turn, and each keeps memory of its own (twice as much for the whole
//! program under load).

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use jangbu_store::sqlite::DECIDING_READERS;

/// How long blocking work that is under way at shutdown (hashing a password) may delay the end of
/// the process.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Runs a program's work to its end on the threads that all programs of the shop use.
///
/// # Errors
/// Those of the work, and when no thread can be started.
pub fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("jangbu")
        .max_blocking_threads(blocking())
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK);
    done
}

/// Concurrent reads of the embedded log: somewhat more than can run at once.
pub(crate) fn log_readers() -> u32 {
    readers(4)
}

/// Concurrent reads of the embedded read models.
pub(crate) fn view_readers() -> u32 {
    readers(8)
}

/// The sum of both, and of the decider's reads of the log.
fn blocking() -> usize {
    let readers = log_readers().saturating_add(DECIDING_READERS).saturating_add(view_readers());
    usize::try_from(readers).unwrap_or(usize::MAX)
}

fn readers(most: u32) -> u32 {
    let processors = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(processors).unwrap_or(most).saturating_add(1).min(most)
}
