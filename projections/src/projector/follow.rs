//! The loop: one page after the other, for the views that are furthest behind first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::Position;
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

/// The log is polled this often, even if no change was notified.
const SLOW_POLL: Duration = Duration::from_millis(500);
/// The lease is renewed this often: a tenth of the time after which it is lost.
const RENEW: Duration = Duration::from_millis(500);
/// After a page the projector pauses for as long as the page took, within these bounds, so that
/// events gather. A shop that is not behind thus gives its projector at most half a processor.
const GATHER_LEAST: Duration = Duration::from_millis(1);
const GATHER_MOST: Duration = Duration::from_millis(8);
/// Events gather for this long from the start of a page, unless a caller waits to see them. More
/// events then share the fixed cost of a page, and a row that changes often is written once. The
/// first event after a rest does not wait, and nothing waits while the views are behind.
const GATHER_UNSEEN: Duration = Duration::from_millis(25);
/// Waits after a failure of the log or the database: doubled each time, up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How often a standby projector checks whether it is needed.
const STANDBY: Duration = Duration::from_millis(500);

/// A live view and its checkpoint.
pub(super) struct Live {
    pub view: Box<dyn AnyView>,
    pub position: Position,
    /// Whether it is being built from the log's beginning.
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
    /// The identity of the log.
    pub log_id: Uuid,
    /// Views that are built anew are complete from this position on.
    pub whole_from: Position,
    pub renewed: Instant,
    /// Whether something failed, so that memory and tables may differ.
    pub place_lost: bool,
    /// The page after the current one, while the views are behind.
    pub ahead: Option<Ahead>,
}

/// A page that is being read, and the position that it follows.
pub(super) struct Ahead {
    after: Position,
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
            whole_from: Position::ZERO,
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
                // Another projector owns the views now.
                Ended::Fenced => tracing::warn!(epoch = self.epoch, "another projector has taken over; standing by"),
            }
        }
    }

    /// Waits until no other projector is active; false if this one is to stop.
    async fn stand_by(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(STANDBY) => {}
                // A projector that does not own the views does not answer requests: the reply is
                // dropped, which the caller sees.
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
            // A projector that was stopped before it began must not take the lease from its
            // successor.
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
                        self.gather(begun).await;
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

    /// Lets events gather after a page that began at `begun`.
    async fn gather(&mut self, begun: Instant) {
        let gathered = gathered(begun, self.models.waiting.subscribe());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = gathered => {}
        }
    }

    fn note_failure(&self, what: &str, error: &ProjectorError) {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%error, cause, "{what}: {error}: {cause}");
        self.engine().health().trouble(&format!("{error}: {cause}"));
    }

    /// Waits before another attempt, or until a request to build everything anew arrives; true if
    /// the projector is to stop.
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

    /// Waits, while there is nothing to do, for the log, a request, or the next poll.
    async fn rest(&mut self, head: &mut HeadWatch) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            asked = self.controls.recv() => match asked {
                Some(control) => self.waiting.push_back(control),
                None => self.stop.cancel(),
            },
            alive = head.changed() => if !alive {
                // The log is closing; polling goes on until the stop.
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(SLOW_POLL) => {}
                }
            },
            () = tokio::time::sleep(SLOW_POLL) => {}
        }
    }

    /// Handles one page, then the requests that wait for a border; false if there was nothing to
    /// do.
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

    /// A request to build everything anew does not wait for a border, because there may never be
    /// one. The other requests are dropped, because they concern what is thrown away.
    fn asked_to_begin_anew(&mut self) -> Option<oneshot::Sender<Result<(), ProjectorError>>> {
        let place = self.waiting.iter().position(|control| matches!(control, Control::BeginAnew { .. }))?;
        let asked = self.waiting.remove(place);
        self.waiting.clear();
        if let Some(Control::BeginAnew { reply }) = asked { Some(reply) } else { None }
    }

    /// The position of all views, if it is the same.
    fn aligned(&self) -> Option<Position> {
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
        let limit = next.map_or(PAGE, |next| usize::try_from(from.behind(next)).unwrap_or(PAGE).min(PAGE));
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
        // Until the page is known to be in the tables, the rows in memory are ahead of them.
        self.place_lost = true;
        self.write_page(from, &page).await?;
        self.place_lost = false;
        self.publish();
        self.renew(page.end).await?;
        Ok(true)
    }

    /// Folds a page into the views that are at its start, and writes their rows and checkpoints in
    /// one transaction.
    async fn write_page(&mut self, from: Position, page: &Page) -> Result<(), EngineError> {
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
            // A page of a busy log keeps this thread busy for a while, and the next task in turn
            // may be one that answers a request.
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

    async fn renew(&mut self, seen: Position) -> Result<(), EngineError> {
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

/// Waits until events have gathered after a page that began at `begun`, or until a caller waits to
/// see them.
async fn gathered(begun: Instant, mut waiting: watch::Receiver<usize>) {
    tokio::time::sleep(begun.elapsed().clamp(GATHER_LEAST, GATHER_MOST)).await;
    tokio::select! {
        biased;
        // Its sender belongs to the read models, which outlive the projector.
        _ = waiting.wait_for(|count| *count > 0) => {}
        () = tokio::time::sleep_until(begun + GATHER_UNSEEN) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long events gather after a page that took this long, while this many callers wait.
    async fn gathers(took: Duration, waiting: usize) -> Duration {
        let begun = Instant::now();
        tokio::time::sleep(took).await;
        let (_models, waiting) = watch::channel(waiting);
        gathered(begun, waiting).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_cuts_the_gathering_short() {
        let page = Duration::from_millis(2);
        assert_eq!(gathers(page, 1).await, 2 * page);
        assert_eq!(gathers(page, 0).await, GATHER_UNSEEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_page_is_followed_by_a_pause() {
        let page = Duration::from_millis(60);
        assert_eq!(gathers(page, 0).await, page + GATHER_MOST);
    }

    /// A caller counts as waiting only during the wait, whatever position was asked for.
    #[tokio::test]
    async fn who_has_left_is_not_waited_for() {
        let models = ReadModels::in_memory().await.unwrap();
        models.published.send_replace(Some(Position::ZERO));
        assert!(!models.queries().wait_for(Position::MAX, Instant::now()).await);
        assert_eq!(*models.waiting.borrow(), 0);
    }
}
