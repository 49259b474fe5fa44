//! The listening parts: the HTTP server and the operators' port.

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running server.
pub(super) struct Server {
    /// Its name in a sentence.
    pub(super) name: &'static str,
    /// Serves until `shutdown`.
    pub(super) task: JoinHandle<std::io::Result<()>>,
    /// Tells it to answer requests under way and end.
    pub(super) shutdown: CancellationToken,
}

#[async_trait]
impl Part for Server {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_finished(&mut self) -> bool {
        self.task.is_finished()
    }

    async fn stop(self: Box<Self>) {
        self.shutdown.cancel();
        let part = self.name;
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(part, %error, "{part} did not end well"),
            Err(error) => tracing::error!(part, %error, "{part} did not end by itself"),
        }
    }

    async fn abort(self: Box<Self>) {
        self.task.abort();
        // An aborted task returns an error, which is expected here.
        let _aborted = self.task.await;
    }
}
