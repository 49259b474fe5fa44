//! The projector as a part of a node.

use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::part::Part;
use tokio::time::Instant;

use super::ProjectorHandle;

/// How long a stop waits for the read models to catch up with the log.
const PATIENCE: Duration = Duration::from_secs(2);

#[async_trait]
impl Part for ProjectorHandle {
    fn name(&self) -> &'static str {
        "the projector"
    }

    fn is_finished(&mut self) -> bool {
        Self::is_finished(self)
    }

    /// Waits first for the read models to reach the end of the log. Stop the writers before.
    async fn stop(self: Box<Self>) {
        match self.0.log.head().await {
            Ok(head) => {
                if !self.wait_for(head, Instant::now() + PATIENCE).await {
                    tracing::info!("the read models are not up to date; the next start brings them up");
                }
            }
            Err(error) => tracing::warn!(%error, "the head of the log could not be read"),
        }
        Self::stop(&self).await;
    }

    async fn abort(self: Box<Self>) {
        if let Some(task) = self.take_task() {
            task.abort();
            // An aborted task answers with an error, which is what was asked for.
            let _aborted = task.await;
        }
    }
}
