//! The threads of a program, and how many of them may stand in something that blocks: a
//! read of SQLite. Passwords are hashed on threads of their own.
//!
//! Each kind of such work is bounded by those who do it, and there are as many threads as
//! all of them take together: none waits for another kind. There are no more than that.
//! The runtime gives all of its idle threads work in turn, so that with many
//! of them each keeps memory of its own for what only few do (twice as much for the whole
//! program under load).

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use jangbu_store::sqlite::DECIDING_READERS;

/// How long blocking work that is still under way at the end (a password being hashed) may
/// keep the process.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Runs a program's work to its end on threads such as every program of ours has.
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

/// Reads of the embedded log at once: some more than can be at work.
pub(crate) fn log_readers() -> u32 {
    readers(4)
}

/// Reads of the embedded read models at once.
pub(crate) fn view_readers() -> u32 {
    readers(8)
}

/// All of them, and the decider's reads of the log.
fn blocking() -> usize {
    let readers = log_readers().saturating_add(DECIDING_READERS).saturating_add(view_readers());
    usize::try_from(readers).unwrap_or(usize::MAX)
}

fn readers(most: u32) -> u32 {
    let processors = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(processors).unwrap_or(most).saturating_add(1).min(most)
}
