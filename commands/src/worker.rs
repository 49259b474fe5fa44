//! A background task that runs until it is stopped.

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running task of the write side, held by its supervisor. Dropping it leaves the task running.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    /// Starts the work. Its token tells it to finish its current work and return.
    pub(crate) fn spawn<W>(name: &'static str, work: impl FnOnce(CancellationToken) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(stop.clone()));
        Self { name, stop, task }
    }

    /// Whether it has ended without being stopped, which means that it has failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets it finish its current work, and waits for that.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "{} did not end by itself", self.name);
        }
    }

    /// Ends it at once, as a crash would.
    pub async fn abort(self) {
        self.task.abort();
        // An aborted task returns an error, as intended.
        let _aborted = self.task.await;
    }
}

#[async_trait]
impl Part for Worker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_finished(&mut self) -> bool {
        Self::is_finished(self)
    }

    async fn stop(self: Box<Self>) {
        Self::stop(*self).await;
    }

    async fn abort(self: Box<Self>) {
        Self::abort(*self).await;
    }
}
