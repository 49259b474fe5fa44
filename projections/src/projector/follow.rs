//! The loop: one page after the other, the views that are behind first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::EventLog;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::ports::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ProjectorError;
use super::border::Control;
use super::page::{PAGE, Page};
use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError, Step};
use crate::models::ReadModels;
use crate::registry::VIEWS;
use crate::runtime::AnyView;

/// The log is looked at this often even if nobody says that it moved.
const SLOW_POLL: Duration = Duration::from_millis(500);
/// The lease is renewed this often, a tenth of the time after which it is lost.
const RENEW: Duration = Duration::from_millis(500);
/// After a page events gather for as long as the page took, within these bounds: what a
/// page costs apart from its events is shared by more of them, a row that changes often is
/// written once, and a shop that is not behind gives its projector half a processor at
/// most. The first event after a rest does not wait, and nothing does while the views
/// are behind.
const GATHER_LEAST: Duration = Duration::from_millis(1);
const GATHER_MOST: Duration = Duration::from_millis(8);
/// Waits after a failure of the log or the database, doubled up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How often a projector that stands by looks whether it is needed.
const STANDBY: Duration = Duration::from_millis(500);

/// A live view and its checkpoint.
pub(super) struct Live {
    pub view: Box<dyn AnyView>,
    pub position: u64,
}

/// Why the views are no longer followed.
enum Ended {
    Stopped,
    Fenced,
}

/// The projector's task.
pub(super) struct Follower {
    pub log: Arc<dyn EventLog>,
    pub models: ReadModels,
    pub clock: Arc<dyn Clock>,
    controls: mpsc::Receiver<Control>,
    waiting: VecDeque<Control>,
    epoch_seen: watch::Sender<i64>,
    stop: CancellationToken,
    pub epoch: i64,
    pub views: Vec<Live>,
    renewed: Instant,
    /// Something failed, and what is in memory may not be what the tables hold.
    pub place_lost: bool,
    /// The page after the one at hand, while the views are behind.
    ahead: Option<Ahead>,
}

/// A page that is being read, and the position it follows.
struct Ahead {
    after: u64,
    page: JoinHandle<Result<Page, ProjectorError>>,
}

impl Follower {
    pub fn new(
        log: Arc<dyn EventLog>,
        models: ReadModels,
        clock: Arc<dyn Clock>,
        controls: mpsc::Receiver<Control>,
        epoch_seen: watch::Sender<i64>,
        stop: CancellationToken,
    ) -> Self {
        let renewed = Instant::now();
        Self {
            log,
            models,
            clock,
            controls,
            waiting: VecDeque::new(),
            epoch_seen,
            stop,
            epoch: 0,
            views: Vec::new(),
            renewed,
            place_lost: false,
            ahead: None,
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.models.engine
    }

    pub async fn run(mut self) {
        let mut first = true;
        loop {
            if !first && !self.stand_by().await {
                break;
            }
            first = false;
            let ended = self.own_and_follow().await;
            self.epoch_seen.send_replace(0);
            self.models.published.send_replace(None);
            self.waiting.clear();
            match ended {
                Ended::Stopped => break,
                Ended::Fenced => tracing::warn!(epoch = self.epoch, "another projector has taken over; standing by"),
            }
        }
    }

    /// Waits until nobody projects; false when this one is to stop.
    async fn stand_by(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(STANDBY) => {}
                // What is asked of a projector that does not own the views is answered
                // with its absence: the reply is dropped.
                asked = self.controls.recv() => if asked.is_none() { return false },
            }
            match self.engine().lease().await {
                Ok(lease) if lease.is_silent() => return true,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the projector's lease cannot be read: {error}"),
            }
        }
    }

    async fn own_and_follow(&mut self) -> Ended {
        let mut retry = FIRST_RETRY;
        loop {
            match self.own().await {
                Ok(()) => break,
                Err(EngineError::Fenced) => return Ended::Fenced,
                Err(error) => {
                    tracing::warn!(%error, "the projector cannot start: {error}");
                    if self.pause(&mut retry).await {
                        return Ended::Stopped;
                    }
                }
            }
        }
        self.epoch_seen.send_replace(self.epoch);
        self.publish();
        let mut head = self.log.watch_head();
        let mut retry = FIRST_RETRY;
        loop {
            if self.stop.is_cancelled() {
                if let Err(error) = self.engine().release(self.epoch).await {
                    tracing::warn!(%error, "the projector's lease could not be given back: {error}");
                }
                return Ended::Stopped;
            }
            let begun = Instant::now();
            match self.turn().await {
                Ok(true) => {
                    retry = FIRST_RETRY;
                    if self.ahead.is_none() {
                        tokio::select! {
                            () = self.stop.cancelled() => {}
                            () = tokio::time::sleep(begun.elapsed().clamp(GATHER_LEAST, GATHER_MOST)) => {}
                        }
                    }
                }
                Ok(false) => {
                    retry = FIRST_RETRY;
                    self.rest(&mut head).await;
                }
                Err(ProjectorError::Stopped) => return Ended::Fenced,
                Err(error) => {
                    tracing::warn!(%error, cause = std::error::Error::source(&error), "the projector waits: {error}");
                    if self.pause(&mut retry).await {
                        return Ended::Stopped;
                    }
                }
            }
        }
    }

    /// Takes the views over.
    async fn own(&mut self) -> Result<(), EngineError> {
        self.epoch = self.engine().acquire().await?;
        self.take_stock().await
    }

    /// A transaction that failed may have gone through all the same, and may even go
    /// through yet. Taking a new epoch waits for it and fences it out; after that the
    /// checkpoints say how far the rows are. Folding a page in twice would spoil them.
    async fn settle_doubt(&mut self) -> Result<(), EngineError> {
        self.epoch = self.engine().acquire_after(self.epoch).await?;
        self.epoch_seen.send_replace(self.epoch);
        self.take_stock().await
    }

    /// Where every view stands, with nothing of it in memory.
    async fn take_stock(&mut self) -> Result<(), EngineError> {
        let engine = self.engine().clone();
        engine.reset_outdated(self.epoch).await?;
        let records = engine.records().await?;
        let notes: Vec<Step> = records
            .iter()
            .filter(|record| record.rebuilding)
            .map(|record| Step::Run(engine.mark_rebuilding(&record.name, false)))
            .collect();
        engine.transaction(Some(self.epoch), notes).await?;
        self.find_place().await?;
        self.renewed = Instant::now();
        Ok(())
    }

    /// Begins anew where the tables stand. After a failure they alone know: a commit whose
    /// answer was lost has moved rows and checkpoints, and folding its page once more would
    /// find every row ahead of its events and park their streams.
    async fn find_place(&mut self) -> Result<(), EngineError> {
        let engine = self.engine();
        let (records, parked) = (engine.records().await?, engine.parked().await?);
        self.views = VIEWS
            .iter()
            .map(|entry| {
                let name = entry.spec.name;
                let position = records.iter().find(|record| record.name == name).map_or(0, |record| record.position);
                let mut view = (entry.open)(name.to_owned());
                view.parked().extend(parked.iter().filter(|parked| parked.view == name).map(|parked| parked.stream));
                Live { view, position }
            })
            .collect();
        self.place_lost = false;
        Ok(())
    }

    /// Waits before another attempt; true when the projector is to stop.
    async fn pause(&mut self, retry: &mut Duration) -> bool {
        let wait = *retry;
        *retry = retry.saturating_mul(2).min(LAST_RETRY);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(wait) => false,
        }
    }

    /// Nothing is to be done: waits for the log, a request, or the next look.
    async fn rest(&mut self, head: &mut HeadWatch) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            asked = self.controls.recv() => match asked {
                Some(control) => self.waiting.push_back(control),
                None => self.stop.cancel(),
            },
            alive = head.changed() => if !alive {
                // The engine of the log is closing; the slow look goes on until the stop.
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(SLOW_POLL) => {}
                }
            },
            () = tokio::time::sleep(SLOW_POLL) => {}
        }
    }

    /// One page, then what waits for a border; false when there was nothing to do.
    async fn turn(&mut self) -> Result<bool, ProjectorError> {
        let moved = self.page().await?;
        while let Ok(control) = self.controls.try_recv() {
            self.waiting.push_back(control);
        }
        let mut served = false;
        if let Some(position) = self.aligned() {
            for _ in 0..self.waiting.len() {
                if self.place_lost {
                    break;
                }
                let Some(control) = self.waiting.pop_front() else { break };
                if control.needs() > position {
                    self.waiting.push_back(control);
                } else {
                    self.serve(control, position).await?;
                    served = true;
                }
            }
        }
        Ok(moved || served)
    }

    /// The position of all views, if it is the same.
    fn aligned(&self) -> Option<u64> {
        let first = self.views.first()?.position;
        self.views.iter().all(|live| live.position == first).then_some(first)
    }

    /// Reads and writes one page for the views that are furthest behind.
    async fn page(&mut self) -> Result<bool, ProjectorError> {
        if self.place_lost {
            self.settle_doubt().await?;
        }
        let Some(from) = self.views.iter().map(|live| live.position).min() else { return Ok(false) };
        let next = self.views.iter().map(|live| live.position).filter(|position| *position > from).min();
        let limit = next.map_or(PAGE, |next| usize::try_from(next - from).unwrap_or(PAGE).min(PAGE));
        let page = match self.ahead.take().filter(|ahead| ahead.after == from && next.is_none()) {
            Some(ahead) => ahead.page.await.map_err(|_| ProjectorError::Stopped)??,
            None => Page::read(self.log.as_ref(), from, limit).await?,
        };
        if page.events == 0 {
            self.renew(from).await?;
            return Ok(false);
        }
        if page.events == PAGE {
            let (log, after) = (Arc::clone(&self.log), page.end);
            let page = tokio::spawn(async move { Page::read(log.as_ref(), after, PAGE).await });
            self.ahead = Some(Ahead { after, page });
        }
        // Until the page is in the tables for certain, the rows in memory are ahead of them.
        self.place_lost = true;
        self.write_page(from, &page).await?;
        self.place_lost = false;
        self.publish();
        self.renew(page.end).await?;
        Ok(true)
    }

    /// Folds a page into the views that stand before it, and writes their rows and
    /// checkpoints in one transaction.
    async fn write_page(&mut self, from: u64, page: &Page) -> Result<(), EngineError> {
        let (engine, now) = (self.models.engine.clone(), self.clock.now());
        let (mut steps, mut moved) = (Vec::new(), Vec::new());
        let mut parked: Vec<Parked> = Vec::new();
        for live in self.views.iter_mut().filter(|live| live.position == from) {
            let wanted = live.view.wanted(&page.facts);
            page.load_into(&engine, live.view.as_mut(), wanted).await?;
            parked.extend(page.fold_into(live.view.as_mut(), now));
            if live.view.changed() > 0 {
                steps.push(Step::Write(live.view.writes(true)?));
            }
            moved.push(live.view.spec().name);
            // A page of a busy log keeps this thread for a while: the next one in turn may
            // be somebody who waits for an answer.
            tokio::task::yield_now().await;
        }
        steps.push(Step::Run(engine.checkpoint(&moved, page.end)));
        steps.extend(parked.iter().map(|parked| Step::Run(engine.park(parked))));
        engine.transaction(Some(self.epoch), steps).await?;
        for live in self.views.iter_mut().filter(|live| live.position == from) {
            live.view.written();
            live.view.trim(1);
            live.position = page.end;
        }
        Ok(())
    }

    async fn renew(&mut self, seen: u64) -> Result<(), EngineError> {
        if self.renewed.elapsed() < RENEW {
            return Ok(());
        }
        let head = self.log.head().await.unwrap_or(seen);
        self.engine().renew(self.epoch, head).await?;
        self.renewed = Instant::now();
        Ok(())
    }

    pub fn publish(&self) {
        let reached = self.views.iter().map(|live| live.position).min();
        self.models.published.send_replace(reached);
    }
}
