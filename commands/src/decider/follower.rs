//! Hears of what other nodes write, so that cached states do not grow old for
//! longer than a moment. Nothing rests on it: an append or a check of versions finds
//! what it has missed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::StreamId;
use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events of one read.
const PAGE: usize = 1_000;
/// Pages that may wait for the decider.
const PAGES_AHEAD: usize = 64;
/// Wait after a failed read.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Follows the log from its head on; sends the newest version of every stream that moved.
pub(super) fn spawn(log: Arc<dyn EventLog>, stop: CancellationToken) -> mpsc::Receiver<Vec<(StreamId, u64)>> {
    let (send, receive) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(async move {
        let mut watch = log.watch_head();
        let mut after = None;
        let follow = async {
            loop {
                match page(log.as_ref(), after).await {
                    Ok((moved, read_to)) => {
                        let quiet = after == Some(read_to);
                        after = Some(read_to);
                        if !moved.is_empty() && send.send(moved).await.is_err() {
                            return;
                        }
                        if quiet && !watch.changed().await {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the log cannot be followed for now");
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = follow => {}
            () = stop.cancelled() => {}
        }
    });
    receive
}

async fn page(log: &dyn EventLog, after: Option<u64>) -> Result<(Vec<(StreamId, u64)>, u64), LogError> {
    let Some(after) = after else { return Ok((Vec::new(), log.head().await?)) };
    let (events, read_to) = log.follow(after, PAGE, &ReadFilter::default()).await?;
    let moved: HashMap<StreamId, u64> = events.into_iter().map(|event| (event.stream, event.version)).collect();
    Ok((moved.into_iter().collect(), read_to))
}
