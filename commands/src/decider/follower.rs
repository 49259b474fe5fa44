//! Follows the appends of other nodes, so that cached states are outdated only for a moment.
//! Correctness does not depend on it: an append or a check of versions detects what it has missed.

use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use jangbu_kernel::{Position, RecordedEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::task::Decider;
use crate::reader::decode;

/// A page of the log.
pub(super) type News = Vec<Arc<RecordedEvent>>;

/// Events of one read.
const PAGE: usize = 1_000;
/// Pages that may wait for the decider.
const PAGES_AHEAD: usize = 64;
/// The pause after a failed read.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Follows the log, starting at its head.
pub(super) fn spawn(log: Arc<dyn EventLog>, stop: CancellationToken) -> mpsc::Receiver<News> {
    let (send, receive) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(async move {
        let mut watch = log.watch_head();
        let mut after = None;
        let follow = async {
            loop {
                match page(log.as_ref(), after).await {
                    Ok((events, read_to)) => {
                        let quiet = after == Some(read_to);
                        after = Some(read_to);
                        if !events.is_empty() && send.send(events).await.is_err() {
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

async fn page(log: &dyn EventLog, after: Option<Position>) -> Result<(News, Position), LogError> {
    let Some(after) = after else { return Ok((News::new(), log.head().await?)) };
    log.follow(after, PAGE, &ReadFilter::default()).await
}

impl Decider {
    /// Folds new events of the log into the states in memory. Nothing is decided meanwhile.
    pub fn take_note(&mut self, events: &[Arc<RecordedEvent>]) {
        for event in events {
            let Some(known) = self.cache.version(event.stream) else { continue };
            // Its own events are already folded in.
            let is_next = event.version == known.next();
            if event.version > known && !(is_next && self.fold_in(event)) {
                self.cache.remove(event.stream);
            }
        }
    }

    /// False if the event cannot be read: commands that need the stream find out when they load it.
    fn fold_in(&mut self, event: &RecordedEvent) -> bool {
        let Ok(decoded) = decode(event) else { return false };
        if let Some(cached) = self.cache.get_mut(event.stream) {
            cached.state.evolve(&decoded);
            cached.version = event.version;
        }
        true
    }
}
