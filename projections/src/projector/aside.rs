//! Background work with a lower priority than the shop's own.

use std::error::Error;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    thread_schedule_policy,
};
use tokio::sync::oneshot;

use super::ProjectorError;
use crate::queries::QueryError;

/// What such work adds to its niceness. It then gets about a tenth of the processor when everybody
/// wants it, and all of it when nobody else does.
const NICENESS: i32 = 10;
/// The same on a scale to 99, for a process that had a fixed priority.
const PRIORITY: u8 = 22;

/// Runs work on a thread of its own with low priority. Folding keeps a processor busy for a long
/// time, and neither the tasks that answer requests nor the live projector should wait for it.
pub(super) fn on_a_thread_that_yields<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<oneshot::Receiver<T>, ProjectorError> {
    let runtime = tokio::runtime::Handle::current();
    let (done, result) = oneshot::channel();
    let body = move || {
        if let Err(error) = step_aside() {
            tracing::warn!(%error, "the priority of a rebuild could not be lowered: {error}");
        }
        // If this cannot be sent, the caller is gone.
        let _ = done.send(runtime.block_on(work));
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
        ProjectorError::Models(QueryError::Unavailable(format!("a rebuild has no thread to run on: {error}")))
    })?;
    Ok(result)
}

/// Lowers the calling thread's priority. A fixed priority (`SCHED_RR`) that the process was started
/// with is given up: niceness has no effect beside it, and the kernel's own threads, which finish
/// the writes of every commit, would wait for a processor.
fn step_aside() -> Result<(), Box<dyn Error>> {
    if matches!(thread_schedule_policy()?, ThreadSchedulePolicy::Realtime(_)) {
        let priority = ThreadPriority::Crossplatform(PRIORITY.try_into()?);
        let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        set_thread_priority_and_policy(thread_native_id(), priority, batch)?;
    } else {
        rustix::process::nice(NICENESS)?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use thread_priority::RealtimeThreadSchedulePolicy;

    use super::*;

    /// Niceness and scheduling policy of the calling thread; the field numbers are those of
    /// proc(5).
    fn nice_and_policy() -> (i32, u32) {
        let told = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The fields before them are the id and a name with any characters.
        let mut fields = told.rsplit_once(") ").unwrap().1.split(' ');
        let nice = fields.nth(19 - 3).unwrap().parse().unwrap();
        (nice, fields.nth(41 - 20).unwrap().parse().unwrap())
    }

    async fn aside() -> (i32, u32) {
        on_a_thread_that_yields("aside", async { nice_and_policy() }).unwrap().await.unwrap()
    }

    #[tokio::test]
    async fn such_work_is_nicer_than_the_rest_and_the_rest_stays_as_it_was() {
        let before = nice_and_policy();
        assert_eq!(aside().await, ((before.0 + NICENESS).min(19), before.1));
        assert_eq!(nice_and_policy(), before);
    }

    #[tokio::test]
    async fn such_work_gives_up_a_fixed_priority() {
        const SCHED_BATCH: u32 = 3;
        let one = ThreadPriority::Crossplatform(1.try_into().unwrap());
        let fixed = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
        if set_thread_priority_and_policy(thread_native_id(), one, fixed).is_err() {
            // Without the permission for a fixed priority there is none to give up.
            return;
        }
        assert_eq!(aside().await, (NICENESS, SCHED_BATCH));
    }
}
