//! The decider: one task for the log, through which every decision goes.
//!
//! Requests queue (bounded; full is answered at once). The task takes what is
//! queued, loads what the requests look at with one read, and decides them **one
//! after the other on the states in memory, each seeing what the earlier ones
//! decided**. What they decided is one append batch. While it commits, the next
//! batch is already being decided on top of it; it is sent only after the one below
//! has landed, without what rested on any of it that did not succeed. No request is answered
//! before the batch that its answer rests on is committed.
//!
//! What the processes learn from a decision, and what they then ask for, is decided with it and
//! goes into the same append.
//!
//! `task.rs` is the loop, `decide.rs` takes requests into the open batch, `walk.rs` takes the
//! processes along, `settle.rs`
//! answers after the commit, `cache.rs` keeps the states, `follower.rs` hears of what
//! other nodes write.
//!
//! Why this is right:
//! - D1 A cached state is the fold of its stream up to the cached version, over
//!   committed events and those of the batch in flight and of the open batch only.
//! - D2 When an append is not carried out, the streams it wrote leave the cache. What the
//!   batch above decided on them is decided anew, and so is whatever shares a stream with
//!   that; the rest stands.
//! - D3 A stream that an uncommitted batch touched is never evicted for room.
//! - D4 A command that only reads a stream which the same batch writes waits for the next
//!   batch: within one append batch nothing rests on an append that may still be refused,
//!   because another node was faster or its receipt was there before.
//! - D5 On such a log "no" and "already done" are said only when the versions that were
//!   looked at are still the log's.
//! - D6 On such a log the append also checks the version of a stream to which an aggregate
//!   of the decision had nothing to add: a stock that knows of no reservation yet has
//!   nothing to release, and the units would be kept for ever.

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
use jangbu_kernel::{RecordedEvent, StreamId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::measure::Figures;
use crate::request::{Answer, CommandError, Request};
use crate::worker::Worker;
use batch::Job;

/// The limits of the decider.
#[derive(Clone, Debug)]
pub struct DeciderOptions {
    /// Requests that may wait; one more is answered "busy".
    pub queue_capacity: usize,
    /// Events after which a batch is closed. The last command may exceed it.
    pub max_batch_events: usize,
    /// Bytes of payload after which a batch is closed. The last command may exceed it.
    pub max_batch_bytes: usize,
    /// Streams whose folded states are kept: so many of those that many orders share, such
    /// as stocks, and so many of those of one order.
    pub cache_capacity: usize,
    /// Receipts that are remembered without asking the log.
    pub receipt_capacity: usize,
    /// Versions of a stream between two snapshots.
    pub snapshot_every: u64,
    /// How often a request is decided anew because others were faster.
    pub max_rounds: u32,
    /// What a caller who is turned away is told to wait.
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
    /// Starts the decider of a log. It reads the log apart from everybody else, where the log
    /// gives it a handle of its own.
    ///
    /// When it is stopped it takes no more requests and finishes those that wait; when it is
    /// aborted, a batch under way is still wholly carried out or not at all.
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

    /// Carries a command out. It runs in the decider's task: dropping this future
    /// changes nothing about what becomes of the command.
    ///
    /// # Errors
    /// [`CommandError`]; only [`CommandError::OutcomeUnknown`] leaves open whether
    /// anything was written.
    pub async fn execute(&self, request: Request) -> Result<Answer, CommandError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Job::new(request, answer, Arc::clone(&self.figures))) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.answer(Err(CommandError::Busy { retry_after: self.retry_after })),
            Err(TrySendError::Closed(job)) => job.answer(Err(CommandError::ShuttingDown)),
        }
        // Only a decider that was torn down mid-batch drops an answer: its commit may have gone through.
        answered.await.unwrap_or_else(|_| Err(CommandError::OutcomeUnknown("the decider is gone".to_owned())))
    }

    /// The events of a stream up to a version, all of them when none is given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn history(&self, stream: StreamId, to_version: Option<u64>) -> Result<Vec<RecordedEvent>, LogError> {
        crate::reader::history(self.log.as_ref(), stream, to_version).await
    }

    /// The events of a stream from one version on up to another, to its end when none is given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn between(
        &self,
        stream: StreamId,
        from_version: u64,
        to_version: Option<u64>,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        crate::reader::between(self.log.as_ref(), stream, from_version, to_version).await
    }

    /// The log behind the decider, for reading.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Requests that wait in the queue now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }
}
