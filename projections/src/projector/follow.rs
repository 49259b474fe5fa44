//! The loop: one page after the other, the views that are behind first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::ports::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::border::Control;
use super::page::{PAGE, Page};
use super::{LEASE_MS, ProjectorError};
use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError, Step};
use crate::models::ReadModels;
use crate::registry::VIEWS;
use crate::runtime::AnyView;

/// The log is looked at this often even if nobody says that it moved.
const SLOW_POLL: Duration = Duration::from_millis(500);
/// The lease is renewed this often, a tenth of the time after which it is lost.
const RENEW: Duration = Duration::from_millis(500);
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
                Ok(lease) if lease.silent_ms > LEASE_MS => return true,
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
            match self.turn().await {
                Ok(true) => retry = FIRST_RETRY,
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
        let engine = self.engine().clone();
        self.epoch = engine.acquire().await?;
        engine.reset_outdated(self.epoch).await?;
        let records = engine.records().await?;
        let notes: Vec<Step> = records
            .iter()
            .filter(|record| record.rebuilding)
            .map(|record| Step::Run(engine.mark_rebuilding(&record.name, false)))
            .collect();
        engine.transaction(Some(self.epoch), notes).await?;
        let parked = engine.parked().await?;
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
        self.renewed = Instant::now();
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
        let Some(from) = self.views.iter().map(|live| live.position).min() else { return Ok(false) };
        let next = self.views.iter().map(|live| live.position).filter(|position| *position > from).min();
        let limit = next.map_or(PAGE, |next| usize::try_from(next - from).unwrap_or(PAGE).min(PAGE));
        let (events, end) =
            self.log.read_all(from, limit, &ReadFilter::default()).await.map_err(ProjectorError::Log)?;
        if events.is_empty() {
            self.renew(from).await?;
            return Ok(false);
        }
        let page = Page::decode(&events, end);
        drop(events);
        let written = self.write_page(from, &page).await;
        if written.is_err() {
            // Nothing of the page is in the tables: the rows in memory are ahead of them.
            for live in self.views.iter_mut().filter(|live| live.position == from) {
                live.view.forget();
            }
        }
        written?;
        self.publish();
        Ok(true)
    }

    async fn write_page(&mut self, from: u64, page: &Page) -> Result<(), EngineError> {
        let (engine, now) = (self.models.engine.clone(), self.clock.now());
        let mut parked: Vec<Parked> = Vec::new();
        let outcome = self.fold_and_commit(&engine, from, page, now, &mut parked).await;
        for live in self.views.iter_mut().filter(|live| live.position == from) {
            match &outcome {
                Ok(()) => {
                    live.view.written();
                    live.position = page.end;
                }
                Err(_) => {
                    let name = live.view.spec().name;
                    for undone in parked.iter().filter(|parked| parked.view == name) {
                        live.view.parked().remove(&undone.stream);
                    }
                }
            }
        }
        outcome
    }

    async fn fold_and_commit(
        &mut self,
        engine: &Engine,
        from: u64,
        page: &Page,
        now: jangbu_kernel::Timestamp,
        parked: &mut Vec<Parked>,
    ) -> Result<(), EngineError> {
        let mut steps = Vec::new();
        for live in self.views.iter_mut().filter(|live| live.position == from) {
            parked.extend(page.fold_into(engine, live.view.as_mut(), now).await?);
            if live.view.changed() > 0 {
                steps.push(Step::Write(live.view.writes()?));
            }
            steps.push(Step::Run(engine.checkpoint(live.view.spec().name, page.end)));
        }
        steps.extend(parked.iter().map(|parked| Step::Run(engine.park(parked))));
        engine.transaction(Some(self.epoch), steps).await?;
        self.renew(page.end).await
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
