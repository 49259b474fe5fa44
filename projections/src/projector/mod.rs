//! The projector: follows the log and keeps the views' rows.
//!
//! `page.rs` reads and folds, once for all views; `own.rs` takes the views over and throws away
//! those that do not fit the log; `follow.rs` is the loop and its lease; `border.rs` is what it
//! does between two pages; `rebuild.rs` builds views beside the live ones, on the threads of
//! `aside.rs`; `compare.rs` compares them with the log without writing anything; `part.rs` is how a
//! node stops the projector.

mod aside;
mod border;
mod compare;
mod follow;
mod own;
mod page;
mod part;
mod rebuild;

use std::sync::{Arc, Mutex, PoisonError};

use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::{Position, StreamId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::EngineError;
use crate::models::ReadModels;
use crate::queries::{ProjectionStatus, QueryError};
use border::Control;

pub use border::Redriven;
pub use compare::{Compared, ComparedView};
pub use rebuild::{Difference, RebuildOptions, RebuildProgress, RebuildReport, RebuildStage, RebuiltView};

/// An owner that was silent for longer than this, by the database's clock, may be replaced.
pub(crate) const LEASE_MS: i64 = 5_000;
/// Requests to the loop that wait for a border between pages.
const CONTROLS: usize = 16;

/// Why the projector could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// There is no such view.
    #[error("there is no view {0}")]
    UnknownView(String),
    /// The stream is not parked in this view.
    #[error("{1} is not parked in {0}")]
    NotParked(String, StreamId),
    /// Another rebuild is going on.
    #[error("another rebuild is going on")]
    Busy,
    /// The rebuild was cancelled; the live tables are unchanged.
    #[error("cancelled")]
    Cancelled,
    /// The projector has stopped, or another process projects now.
    #[error("the projector has stopped")]
    Stopped,
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[source] LogError),
    /// The read models cannot be written.
    #[error("the read models cannot be written")]
    Models(#[source] QueryError),
}

impl ProjectorError {
    /// Whether stored data cannot be read.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self, Self::Models(QueryError::Corrupt(_)))
    }
}

impl From<EngineError> for ProjectorError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Fenced => Self::Stopped,
            EngineError::Unavailable(_) | EngineError::Full(_) | EngineError::Corrupt(_) => Self::Models(error.into()),
        }
    }
}

/// The projector.
pub struct Projector;

impl Projector {
    /// Starts following the log. The newest projector over the same read models is
    /// the one that writes; older ones stand by and take over when it goes silent.
    #[must_use]
    pub fn spawn(log: Arc<dyn EventLog>, models: ReadModels, clock: Arc<dyn Clock>) -> ProjectorHandle {
        models.engine.health().set_unchecked(true);
        let (controls, asked) = mpsc::channel(CONTROLS);
        let (epoch, held) = watch::channel(0);
        let stop = CancellationToken::new();
        let follower =
            follow::Follower::new(Arc::clone(&log), models.clone(), Arc::clone(&clock), asked, epoch, stop.clone());
        let task = tokio::spawn(follower.run());
        ProjectorHandle(Arc::new(Inner {
            log,
            models,
            clock,
            controls,
            epoch: held,
            rebuilding: Arc::default(),
            stop: stop.clone(),
            task: Mutex::new(Some(task)),
            _guard: stop.drop_guard(),
        }))
    }
}

struct Inner {
    log: Arc<dyn EventLog>,
    models: ReadModels,
    clock: Arc<dyn Clock>,
    controls: mpsc::Sender<Control>,
    /// 0 while this projector does not own the views.
    epoch: watch::Receiver<i64>,
    rebuilding: Arc<tokio::sync::Mutex<()>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    _guard: DropGuard,
}

/// The handle on a running projector, which stops with its last handle.
#[derive(Clone)]
pub struct ProjectorHandle(Arc<Inner>);

impl ProjectorHandle {
    /// Whether it has ended. Unless it was stopped, it has failed then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops after the current page, and lets another projector take over at once.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        if let Some(task) = self.take_task()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the projector's task failed: {error}");
        }
    }

    fn take_task(&self) -> Option<JoinHandle<()>> {
        self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until every view shows the log up to a position; false if the deadline passes first.
    pub async fn wait_for(&self, position: Position, deadline: Instant) -> bool {
        self.0.models.queries().wait_for(position, deadline).await
    }

    /// The status of every view, compared with the current head of the log.
    ///
    /// # Errors
    /// When the log or the read models cannot be read.
    pub async fn statuses(&self) -> Result<Vec<ProjectionStatus>, ProjectorError> {
        let engine = &self.0.models.engine;
        let head = self.0.log.head().await.map_err(ProjectorError::Log)?;
        let (lease, records) = (engine.lease().await?, engine.records().await?);
        Ok(crate::queries::statuses(lease, &records, head))
    }

    /// Folds the events of a parked stream in, in order, from the one that failed.
    ///
    /// # Errors
    /// When there is no such view or parked stream, or the log or the read models fail.
    pub async fn redrive(&self, view: &str, stream: StreamId) -> Result<Redriven, ProjectorError> {
        let (reply, answer) = oneshot::channel();
        let control = Control::Redrive { view: view.to_owned(), stream, reply };
        self.0.controls.send(control).await.map_err(|_| ProjectorError::Stopped)?;
        answer.await.map_err(|_| ProjectorError::Stopped)?
    }

    /// Builds views anew from the log's beginning, beside the live ones, and replaces those by
    /// them. No names means all views. Dropping the future cancels.
    ///
    /// # Errors
    /// Unknown names, another rebuild, cancellation, or a failure of the log or the read models.
    /// The live tables are unchanged then, unless they were damaged: a rebuild that does not verify
    /// throws damaged read models away first.
    pub async fn rebuild(
        &self,
        names: &[String],
        options: RebuildOptions,
        progress: impl FnMut(RebuildProgress) + Send + 'static,
    ) -> Result<RebuildReport, ProjectorError> {
        rebuild::run(&self.0, names, options, Box::new(progress)).await
    }
}
