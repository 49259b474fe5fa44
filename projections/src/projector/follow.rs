//! The loop: one page after the other, the views that are behind first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::EventLog;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::ports::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ProjectorError;
use super::border::Control;
use super::page::{PAGE, Page};
use crate::engine::meta::{Building, Parked, Proof};
use crate::engine::{Engine, EngineError, Step};
use crate::models::ReadModels;
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
    /// It is being built from the log's beginning.
    pub anew: bool,
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
    pub epoch_seen: watch::Sender<i64>,
    stop: CancellationToken,
    pub epoch: i64,
    pub views: Vec<Live>,
    /// Which log this is.
    pub log_id: Uuid,
    /// Views that are built anew are whole from this position on.
    pub whole_from: u64,
    pub renewed: Instant,
    /// Something failed, and what is in memory may not be what the tables hold.
    pub place_lost: bool,
    /// The page after the one at hand, while the views are behind.
    pub ahead: Option<Ahead>,
}

/// A page that is being read, and the position it follows.
pub(super) struct Ahead {
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
            log_id: Uuid::nil(),
            whole_from: 0,
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
            self.engine().health().set_unchecked(false);
            self.engine().health().well();
            self.epoch_seen.send_replace(0);
            self.models.published.send_replace(None);
            self.waiting.clear();
            match ended {
                Ended::Stopped => break,
                // Somebody else looks after them now.
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
            // One that was stopped before it began takes nothing from its successor.
            if self.stop.is_cancelled() {
                return Ended::Stopped;
            }
            match self.own_whatever_is_there().await {
                Ok(()) => break,
                Err(ProjectorError::Stopped) => return Ended::Fenced,
                Err(error) => {
                    self.note_failure("the projector cannot start", &error);
                    if self.pause(&mut retry).await {
                        return Ended::Stopped;
                    }
                }
            }
        }
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
                    self.engine().health().well();
                    if self.ahead.is_none() {
                        tokio::select! {
                            () = self.stop.cancelled() => {}
                            () = tokio::time::sleep(begun.elapsed().clamp(GATHER_LEAST, GATHER_MOST)) => {}
                        }
                    }
                }
                Ok(false) => {
                    retry = FIRST_RETRY;
                    self.engine().health().well();
                    self.rest(&mut head).await;
                }
                Err(ProjectorError::Stopped) => return Ended::Fenced,
                Err(error) => {
                    self.note_failure("the projector waits", &error);
                    if self.pause(&mut retry).await {
                        return Ended::Stopped;
                    }
                }
            }
        }
    }

    fn note_failure(&self, what: &str, error: &ProjectorError) {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%error, cause, "{what}: {error}: {cause}");
        self.engine().health().trouble(&format!("{error}: {cause}"));
    }

    /// Waits before another attempt, or until somebody asks for everything to be built
    /// anew; true when the projector is to stop.
    async fn pause(&mut self, retry: &mut Duration) -> bool {
        let until = Instant::now() + *retry;
        *retry = retry.saturating_mul(2).min(LAST_RETRY);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return true,
                () = tokio::time::sleep_until(until) => return false,
                asked = self.controls.recv() => {
                    let Some(control) = asked else { return true };
                    let urgent = matches!(control, Control::BeginAnew { .. });
                    self.waiting.push_back(control);
                    if urgent {
                        return false;
                    }
                }
            }
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
        self.take_requests();
        if let Some(reply) = self.asked_to_begin_anew() {
            self.begin_anew(reply).await?;
            return Ok(true);
        }
        let moved = self.page().await?;
        self.take_requests();
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

    fn take_requests(&mut self) {
        while let Ok(control) = self.controls.try_recv() {
            self.waiting.push_back(control);
        }
    }

    /// A request to build everything anew does not wait for a border: there may
    /// never be one. Whatever else waits is let go, it was asked of what is thrown away.
    fn asked_to_begin_anew(&mut self) -> Option<oneshot::Sender<Result<(), ProjectorError>>> {
        let place = self.waiting.iter().position(|control| matches!(control, Control::BeginAnew { .. }))?;
        let asked = self.waiting.remove(place);
        self.waiting.clear();
        if let Some(Control::BeginAnew { reply }) = asked { Some(reply) } else { None }
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
        if page.events >= PAGE {
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
            let name = live.view.spec().name;
            moved.push(name);
            if live.anew && page.end >= self.whole_from {
                steps.push(Step::Run(engine.mark_building(name, Building::Anew, Building::Nothing)));
            }
            // A page of a busy log keeps this thread for a while: the next one in turn may
            // be somebody who waits for an answer.
            tokio::task::yield_now().await;
        }
        steps.push(Step::Run(engine.checkpoint(&moved, page.end, Proof { log: self.log_id, hash: page.hash })));
        steps.extend(parked.iter().map(|parked| Step::Run(engine.park(parked))));
        engine.transaction(Some(self.epoch), steps).await?;
        for live in self.views.iter_mut().filter(|live| live.position == from) {
            live.view.written();
            live.view.trim(1);
            live.position = page.end;
            live.anew &= page.end < self.whole_from;
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
