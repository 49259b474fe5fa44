//! A task in the background that runs until it is stopped.

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running task of the write side, held by whoever stops it. Dropping it leaves the task running.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    /// Starts the work. It is given what tells it to finish what it has in hand and return.
    pub(crate) fn spawn<W>(name: &'static str, work: impl FnOnce(CancellationToken) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(stop.clone()));
        Self { name, stop, task }
    }

    /// Whether it has ended, although nobody stopped it: it has failed then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets it finish what it has in hand, then returns.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "{} did not end by itself", self.name);
        }
    }

    /// Ends it at once, as a crash would.
    pub async fn abort(self) {
        self.task.abort();
        // An aborted task answers with an error, which is what was asked for.
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
