//! Reading the log from a durable checkpoint, page by page.

use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::ports::Checkpoints;
use jangbu_kernel::{Position, RecordedEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ProcessOptions;
use super::submit::Backoff;

/// How many more events than asked for may come with a page: more than a decision about one order
/// records of the event types that are read here.
const REST: usize = 64;

/// A reader of the log with a checkpoint of its own.
///
/// The checkpoint is written at most once in [`ProcessOptions::checkpoint_every`] while there is
/// work, and soon after the last of it. It may be behind the work, which then is repeated without
/// effect, but is never ahead of it.
pub(crate) struct Reader {
    log: Arc<dyn EventLog>,
    checkpoints: Arc<dyn Checkpoints>,
    name: &'static str,
    filter: ReadFilter,
    options: ProcessOptions,
    watch: HeadWatch,
    stop: CancellationToken,
    /// The position up to which the log was read.
    after: Position,
    /// The position up to which the work is done.
    done: Position,
    /// The position that is written as the checkpoint.
    durable: Position,
    written_at: Instant,
}

/// The result of waiting for work.
pub(crate) enum Next {
    /// The events, and the position up to which they were read.
    Page(Vec<Arc<RecordedEvent>>, Position),
    /// The program is stopping, or the log has closed.
    Stopped,
}

impl Reader {
    /// A reader that resumes from its checkpoint; none when the program is stopping.
    pub async fn resume(
        log: &Arc<dyn EventLog>,
        checkpoints: &Arc<dyn Checkpoints>,
        options: &ProcessOptions,
        stop: &CancellationToken,
        name: &'static str,
        event_types: Vec<String>,
    ) -> Option<Self> {
        let log = Arc::clone(log);
        let watch = log.watch_head();
        let mut backoff = Backoff::new(options);
        let after = loop {
            match checkpoints.checkpoint(name).await {
                Ok(after) => break after,
                Err(error) => tracing::warn!(%error, reader = name, "the checkpoint cannot be read for now"),
            }
            if !backoff.wait(stop).await {
                return None;
            }
        };
        Some(Self {
            log,
            checkpoints: Arc::clone(checkpoints),
            name,
            filter: ReadFilter { event_types, correlation_id: None },
            options: options.clone(),
            watch,
            stop: stop.clone(),
            after,
            done: after,
            durable: after,
            written_at: Instant::now(),
        })
    }

    pub const fn done(&self) -> Position {
        self.done
    }

    /// The next page that advances the reader; waits for one. A full page is extended to the end of
    /// its last append, by at most [`REST`] events. Cancel safe: nothing counts as read before it
    /// is returned.
    pub async fn next(&mut self, limit: usize) -> Next {
        let mut backoff = Backoff::new(&self.options);
        loop {
            if self.stop.is_cancelled() {
                return Next::Stopped;
            }
            match self.log.follow(self.after, limit, &self.filter).await {
                Ok((events, read_to)) if read_to > self.after => {
                    let is_full = events.len() >= limit;
                    let (events, read_to) = if is_full {
                        rounded(self.log.as_ref(), &self.filter, events, read_to).await
                    } else {
                        (events, read_to)
                    };
                    self.after = read_to;
                    return Next::Page(events, read_to);
                }
                Ok(_) => {
                    if !self.await_change().await {
                        return Next::Stopped;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, reader = self.name, "the log cannot be read for now");
                    if !backoff.wait(&self.stop).await {
                        return Next::Stopped;
                    }
                }
            }
        }
    }

    async fn await_change(&mut self) -> bool {
        loop {
            let flush_at = self.written_at + self.options.checkpoint_every;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                open = self.watch.changed() => return open,
                () = tokio::time::sleep_until(flush_at), if self.durable < self.done => self.write().await,
            }
        }
    }

    /// Notes that everything up to the position is done.
    pub async fn finished(&mut self, position: Position) {
        self.done = self.done.max(position);
        if self.durable < self.done && self.written_at.elapsed() >= self.options.checkpoint_every {
            self.write().await;
        }
    }

    /// Writes the checkpoint now.
    pub async fn write(&mut self) {
        if self.durable == self.done {
            return;
        }
        // The time also counts for a failed write: the next try comes with the next turn.
        self.written_at = Instant::now();
        match self.checkpoints.advance(self.name, self.done).await {
            Ok(()) => self.durable = self.done,
            Err(error) => tracing::warn!(%error, reader = self.name, "the checkpoint cannot be written for now"),
        }
    }

    /// When the checkpoint is due to be written; none if it is current.
    pub fn write_due(&self) -> Option<Instant> {
        let every: Duration = self.options.checkpoint_every;
        (self.durable < self.done).then(|| self.written_at + every)
    }
}

/// Extends a full page to the end of its last append.
async fn rounded(
    log: &dyn EventLog,
    filter: &ReadFilter,
    mut page: Vec<Arc<RecordedEvent>>,
    read_to: Position,
) -> (Vec<Arc<RecordedEvent>>, Position) {
    let Some(last) = page.last().map(Arc::clone) else { return (page, read_to) };
    let (more, more_to) = match log.follow(read_to, REST, filter).await {
        Ok(more) => more,
        Err(error) => {
            // The rest comes with the next page; a call that needs data of both reads it from the
            // log.
            tracing::debug!(%error, "the rest of an append cannot be read for now");
            return (page, read_to);
        }
    };
    let found = more.len();
    let rest: Vec<_> = more.into_iter().take_while(|event| is_of_one_append(&last, event)).collect();
    let rest_to = if rest.len() == found { more_to } else { rest.last().map_or(read_to, |event| event.position) };
    page.extend(rest);
    (page, read_to.max(rest_to))
}

/// Whether two neighbouring events were appended together. Two appends of one request in the same
/// millisecond are taken for one, which does no harm.
fn is_of_one_append(one: &RecordedEvent, other: &RecordedEvent) -> bool {
    one.meta.correlation_id == other.meta.correlation_id && one.meta.recorded_at == other.meta.recorded_at
}
