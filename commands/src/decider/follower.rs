//! Hears of what other nodes write, so that cached states do not grow old for
//! longer than a moment. Nothing rests on it: an append or a check of versions finds
//! what it has missed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use jangbu_kernel::{RecordedEvent, StreamId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::task::Decider;
use crate::reader::decode;

/// A page of the log.
pub(super) type News = Vec<Arc<RecordedEvent>>;

/// What an event of the log means to the states in memory.
enum Bearing {
    /// Nothing.
    None,
    /// It is the next one of a state that nothing undecided rests on.
    Next,
    /// What is in memory is not what the log holds.
    Spoils,
}

/// Events of one read.
const PAGE: usize = 1_000;
/// Pages that may wait for the decider.
const PAGES_AHEAD: usize = 64;
/// Wait after a failed read.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Follows the log from its head on.
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

async fn page(log: &dyn EventLog, after: Option<u64>) -> Result<(News, u64), LogError> {
    let Some(after) = after else { return Ok((News::new(), log.head().await?)) };
    log.follow(after, PAGE, &ReadFilter::default()).await
}

impl Decider {
    /// Folds what the log has gained into the states in memory. What the open batch decided
    /// on an older state is decided anew, before it is sent only to be refused.
    pub fn take_note(&mut self, events: &[Arc<RecordedEvent>]) {
        let open = self.open.rests_on();
        let mut spoiled = HashSet::new();
        for event in events {
            let stream = event.stream;
            if spoiled.contains(&stream) {
                continue;
            }
            match self.bearing(event, &open) {
                Bearing::None => {}
                Bearing::Next => {
                    if !self.fold_in(event) {
                        self.cache.remove(stream);
                    }
                }
                Bearing::Spoils => {
                    spoiled.insert(stream);
                }
            }
        }
        if !spoiled.is_empty() {
            let mut again = Vec::new();
            self.throw_away(spoiled, &mut again);
            again.into_iter().rev().for_each(|job| self.pending.push_front(job));
        }
    }

    fn bearing(&self, event: &RecordedEvent, open: &HashSet<StreamId>) -> Bearing {
        let Some(cached) = self.cache.peek(event.stream) else { return Bearing::None };
        if let Some(before) = self.open.touched.get(&event.stream) {
            // Behind what is in flight nothing of this node is in the log yet.
            return if event.version > *before { Bearing::Spoils } else { Bearing::None };
        }
        if event.version <= cached.version || cached.written_by > self.settled {
            // Known; or in flight, and the append says whose it is.
            return Bearing::None;
        }
        if open.contains(&event.stream) || event.version > cached.version + 1 {
            return Bearing::Spoils;
        }
        Bearing::Next
    }

    /// False when it cannot be read: commands that need the stream are told so.
    fn fold_in(&mut self, event: &RecordedEvent) -> bool {
        let Ok(decoded) = decode(event) else { return false };
        if let Some(cached) = self.cache.get_mut(event.stream) {
            cached.state.evolve(&decoded);
            cached.version = event.version;
        }
        true
    }
}
