//! The decider: one task for the log, through which every decision goes.
//!
//! Requests wait in a bounded queue; if it is full, they are answered at once. The task takes the
//! queued requests, loads the streams that they read with one read, and decides them **one after
//! the other on the states in memory, each seeing what the earlier ones decided**. Their decisions
//! form one append batch. It is committed and answered before the next batch is decided, which
//! takes the requests that have queued meanwhile. No request is answered before the batch that its
//! answer depends on is committed.
//!
//! The processes' reactions to a decision, and the commands that they then issue, are decided with
//! it and go into the same append.
//!
//! `task.rs` is the loop, `decide.rs` decides requests into the open batch, `walk.rs` adds the
//! reactions of the processes, `settle.rs` answers after the commit, `cache.rs` holds the states,
//! and `follower.rs` follows the appends of other nodes.
//!
//! Why this is correct:
//! - D1 A cached state is the fold of its stream up to the cached version, over
//!   committed events and those of the open batch only.
//! - D2 When an append is not carried out, the streams it wrote leave the cache.
//! - D3 States are only evicted between two batches, so a stream with uncommitted events is never
//!   evicted.
//! - D4 A command that only reads a stream which the same batch writes waits for the next batch. So
//!   within one batch nothing depends on an append that may still be refused, because another node
//!   was faster or its receipt already existed.
//! - D5 If the log has other writers, "no" and "already done" are only answered if the versions
//!   that were read are still the log's.
//! - D6 If the log has other writers, the append also checks the version of a stream to which an
//!   aggregate of the decision had nothing to add. For example, a stock that does not know of a
//!   reservation yet has nothing to release, and without the check the units would be held for
//!   ever.

mod batch;
mod cache;
mod decide;
mod follower;
mod settle;
mod task;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use jangbu_aggregates::Policy;
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::World;
use jangbu_kernel::{RecordedEvent, StreamId, Version};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::measure::Figures;
use crate::request::{Answer, CommandError, Request};
use crate::worker::Worker;
use batch::Job;

/// The limits of the decider.
#[derive(Clone, Debug)]
pub struct DeciderOptions {
    /// Requests that may wait. One more is answered "busy".
    pub queue_capacity: usize,
    /// Events after which a batch is closed. The last command may exceed it.
    pub max_batch_events: usize,
    /// Bytes of payload after which a batch is closed. The last command may exceed it.
    pub max_batch_bytes: usize,
    /// The number of streams whose folded states are cached: this many that many orders share, such
    /// as stocks, and this many of single orders.
    pub cache_capacity: usize,
    /// Receipts that are kept in memory.
    pub receipt_capacity: usize,
    /// Versions of a stream between two snapshots.
    pub snapshot_every: u64,
    /// How often a request is decided again because other nodes were faster.
    pub max_rounds: u32,
    /// How long a rejected caller is told to wait.
    pub retry_after: Duration,
}

impl Default for DeciderOptions {
    fn default() -> Self {
        Self {
            queue_capacity: 8_192,
            max_batch_events: 1_000,
            max_batch_bytes: 1024 * 1024,
            cache_capacity: 30_000,
            receipt_capacity: 20_000,
            snapshot_every: 500,
            max_rounds: 16,
            retry_after: Duration::from_secs(1),
        }
    }
}

/// A cheap handle to the decider.
#[derive(Clone)]
pub struct Commands {
    queue: mpsc::Sender<Job>,
    log: Arc<dyn EventLog>,
    figures: Arc<Figures>,
    retry_after: Duration,
}

impl Commands {
    /// Starts the decider of a log. It reads the log separately from everything else, if the log
    /// has a handle for that.
    ///
    /// When it is stopped, it accepts no more requests and finishes the waiting ones. When it is
    /// aborted, the current batch is still either carried out as a whole or not at all.
    #[must_use]
    pub fn spawn(
        log: Arc<dyn EventLog>,
        world: &World,
        policy: Arc<Policy>,
        options: DeciderOptions,
    ) -> (Self, Worker) {
        let (queue, requests) = mpsc::channel(options.queue_capacity.max(1));
        let figures = Arc::new(Figures::new());
        let retry_after = options.retry_after;
        let commands = Self { queue, log: Arc::clone(&log), figures: Arc::clone(&figures), retry_after };
        let decider = Worker::spawn("the decider", |stop| {
            task::Decider::new(log, world.clone(), (policy, options), requests, figures, stop).run()
        });
        (commands, decider)
    }

    /// Carries out a command. It runs in the decider's task, so dropping this future does not
    /// affect the command.
    ///
    /// # Errors
    /// [`CommandError`]. Only after [`CommandError::OutcomeUnknown`] it is open whether anything
    /// was written.
    pub async fn execute(&self, request: Request) -> Result<Answer, CommandError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Job::new(request, answer, Arc::clone(&self.figures))) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.answer(Err(CommandError::Busy { retry_after: self.retry_after })),
            Err(TrySendError::Closed(job)) => job.answer(Err(CommandError::ShuttingDown)),
        }
        // Only a decider that was aborted in the middle of a batch drops an answer, and its commit
        // may have succeeded.
        answered.await.unwrap_or_else(|_| Err(CommandError::OutcomeUnknown("the decider is gone".to_owned())))
    }

    /// The events of a stream up to a version; all of them if none is given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn history(&self, stream: StreamId, to_version: Option<Version>) -> Result<Vec<RecordedEvent>, LogError> {
        crate::reader::history(self.log.as_ref(), stream, to_version).await
    }

    /// The events of a stream from one version up to another; to its end if none is given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn between(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Option<Version>,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        crate::reader::between(self.log.as_ref(), stream, from_version, to_version).await
    }

    /// The log behind the decider, for reading.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The number of requests in the queue.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }
}
