//! Rebuild without downtime: shadow tables are filled from the log, then swapped in.
//!
//! The live projector goes on. The shadow is built in large pages, with rows folded in memory and
//! written in bulk, and its indexes are created after its rows. It follows the log until it is
//! close. At a border between two pages of the live projector, where both show the same position,
//! it replaces the live tables in one transaction.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jangbu_kernel::log::EventLog;
use jangbu_kernel::{Position, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::aside::on_a_thread_that_yields;
use super::border::{Control, Met, Purpose, ShadowSet};
use super::page::{PAGE, Page};
use super::{Inner, ProjectorError};
use crate::engine::meta::shadow_of;
use crate::engine::{Engine, Frozen, Statement, sql};
use crate::models::ReadModels;
use crate::queries::QueryError;
use crate::registry::{Entry, VIEWS};
use crate::view::{Kind, Value, ViewSpec};

/// Changed rows that are collected before they are written. There are so many that what one order
/// changes in its life, and the stock of a product over many sales, is written once. They and the
/// rows that are being written determine the memory that a rebuild takes.
const ROWS_PER_FLUSH: usize = 40_000;
/// While the shop is busy, a rebuild pauses after each page for this many times as long as the page
/// took, because its rows and indexes are written by the thread that writes the live ones.
const RESTS: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The shop is busy from this many new events during a page on.
const BUSY: u64 = 100;
/// Decoded pages that wait to be folded.
const PAGES_AHEAD: usize = 2;
/// Differences that are reported one by one.
const EXAMPLES: i64 = 10;

/// How views are rebuilt.
#[derive(Clone, Debug, Default)]
pub struct RebuildOptions {
    /// Compare with the live rows before the swap and report the differences.
    pub verify: bool,
    /// Compare and report, and leave the live tables alone.
    pub verify_only: bool,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Cancels the rebuild; the live tables stay as they are.
    pub cancel: CancellationToken,
}

/// The stage that a rebuild is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildStage {
    /// Folding the log into shadow tables.
    Building,
    /// Making the shadows' indexes.
    Indexing,
    /// Folding events that were recorded meanwhile.
    CatchingUp,
    /// Comparing with the live rows.
    Verifying,
    /// Replacing the live tables.
    Swapping,
}

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The current stage.
    pub stage: RebuildStage,
    /// The position up to which the log is folded.
    pub position: Position,
    /// The log's last position as far as is known.
    pub head: Position,
    /// Events folded in a second, on average since the start.
    pub events_per_second: u64,
}

/// A row that differs between the rebuild and the live table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The aggregate whose row it is.
    pub id: Uuid,
    /// `missing` in the live table, `surplus` in it, or `different`.
    pub what: String,
}

/// The result of rebuilding a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltView {
    /// The view.
    pub name: &'static str,
    /// Rows of the shadow; of the live table in a dry run.
    pub rows: u64,
    /// Streams that could not be folded, and are parked.
    pub parked_streams: u64,
    /// How many rows differ from the live ones, if they were compared.
    pub differences: Option<u64>,
    /// The first of the rows that differ.
    pub examples: Vec<Difference>,
    /// Whether it replaced the live table.
    pub swapped: bool,
}

/// The result of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// The result for each view.
    pub views: Vec<RebuiltView>,
    /// The position up to which everything is folded in.
    pub position: Position,
    /// How many events were read.
    pub events: u64,
    /// How long it took.
    pub elapsed: Duration,
}

type Progress = Box<dyn FnMut(RebuildProgress) + Send>;

/// Runs a rebuild in a task of its own, so that it is cancelled properly if the caller is dropped.
pub(super) async fn run(
    inner: &Inner,
    names: &[String],
    options: RebuildOptions,
    progress: Progress,
) -> Result<RebuildReport, ProjectorError> {
    let entries = chosen(names)?;
    let Ok(only_one) = Arc::clone(&inner.rebuilding).try_lock_owned() else { return Err(ProjectorError::Busy) };
    let cancel = options.cancel.child_token();
    let _cancelled_with_caller = cancel.clone().drop_guard();
    let mut owned = inner.epoch.clone();
    let epoch = tokio::select! {
        biased;
        () = inner.stop.cancelled() => return Err(ProjectorError::Stopped),
        () = cancel.cancelled() => return Err(ProjectorError::Cancelled),
        epoch = owned.wait_for(|epoch| *epoch > 0) => *epoch.map_err(|_| ProjectorError::Stopped)?,
    };
    let rebuild = Rebuild {
        log: Arc::clone(&inner.log),
        engine: inner.models.engine.clone(),
        models: inner.models.clone(),
        clock: Arc::clone(&inner.clock),
        controls: inner.controls.clone(),
        epoch,
        entries,
        options,
        cancel,
        progress: Mutex::new(progress),
        started: Instant::now(),
        events: 0,
    };
    let report = on_a_thread_that_yields("views-rebuild", async move {
        let report = rebuild.carry_out().await;
        drop(only_one);
        report
    })?;
    report.await.map_err(|_| ProjectorError::Stopped)?
}

fn chosen(names: &[String]) -> Result<Vec<&'static Entry>, ProjectorError> {
    if let Some(unknown) = names.iter().find(|name| !VIEWS.iter().any(|view| view.spec.name == name.as_str())) {
        return Err(ProjectorError::UnknownView(unknown.clone()));
    }
    Ok(VIEWS.iter().filter(|view| names.is_empty() || names.iter().any(|name| name == view.spec.name)).collect())
}

struct Rebuild {
    log: Arc<dyn EventLog>,
    engine: Engine,
    models: ReadModels,
    clock: Arc<dyn jangbu_kernel::ports::Clock>,
    controls: mpsc::Sender<Control>,
    epoch: i64,
    entries: Vec<&'static Entry>,
    options: RebuildOptions,
    cancel: CancellationToken,
    progress: Mutex<Progress>,
    started: Instant,
    events: u64,
}

impl Rebuild {
    async fn carry_out(mut self) -> Result<RebuildReport, ProjectorError> {
        if self.options.dry_run {
            return self.dry_run().await;
        }
        let from_scratch = !self.options.verify && !self.options.verify_only;
        let outcome = match self.engine.health().damage() {
            Some(damage) => Err(damaged(damage)),
            None => self.build_and_swap().await,
        };
        if from_scratch && matches!(&outcome, Err(error) if error.is_damage()) {
            return self.begin_anew().await;
        }
        let swapped = matches!(&outcome, Ok(report) if report.views.iter().all(|view| view.swapped));
        if !swapped {
            for entry in &self.entries {
                if let Err(error) = self.engine.drop_shadow(self.epoch, entry.spec).await {
                    // The next rebuild drops it.
                    tracing::warn!(%error, view = entry.spec.name, "a shadow table stays behind: {error}");
                }
            }
        }
        outcome
    }

    /// Builds all views from the log's beginning, because nothing that is stored can be relied on.
    async fn begin_anew(&mut self) -> Result<RebuildReport, ProjectorError> {
        let head = self.log.head().await.map_err(ProjectorError::Log)?;
        let (reply, answer) = oneshot::channel();
        self.controls.send(Control::BeginAnew { reply }).await.map_err(|_| ProjectorError::Stopped)?;
        answer.await.map_err(|_| ProjectorError::Stopped)??;
        let mut published = self.models.published.subscribe();
        let cancel = self.cancel.clone();
        loop {
            let position = published.borrow_and_update().unwrap_or(Position::ZERO);
            self.events = position.get();
            self.tell(RebuildStage::Building, position, head);
            if position >= head {
                break;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ProjectorError::Cancelled),
                damage = self.engine.health().until_damaged() => return Err(damaged(damage)),
                changed = published.changed() => changed.map_err(|_| ProjectorError::Stopped)?,
            }
        }
        let parked = self.engine.parked().await?;
        let mut views = Vec::new();
        for entry in &self.entries {
            let mut view = rebuilt(entry.spec, self.count(entry.spec.name).await?);
            view.parked_streams = count_of(parked.iter().filter(|parked| parked.view == view.name).count());
            view.swapped = true;
            views.push(view);
        }
        Ok(RebuildReport {
            views,
            position: Position::new(self.events),
            events: self.events,
            elapsed: self.started.elapsed(),
        })
    }

    async fn dry_run(&mut self) -> Result<RebuildReport, ProjectorError> {
        let position = self.log.head().await.map_err(ProjectorError::Log)?;
        let mut views = Vec::new();
        for entry in &self.entries {
            let rows = self.count(entry.spec.name).await?;
            views.push(rebuilt(entry.spec, rows));
        }
        Ok(RebuildReport { views, position, events: position.get(), elapsed: self.started.elapsed() })
    }

    async fn build_and_swap(&mut self) -> Result<RebuildReport, ProjectorError> {
        for entry in &self.entries {
            self.engine.make_shadow(self.epoch, entry.spec).await?;
        }
        let mut set =
            ShadowSet::new(self.entries.iter().map(|entry| (entry.open)(shadow_of(entry.spec.name))).collect());
        self.follow(&mut set, RebuildStage::Building).await?;
        self.tell(RebuildStage::Indexing, set.position, set.position);
        for entry in &self.entries {
            self.check_cancelled()?;
            self.engine.index_shadow(self.epoch, entry.spec).await?;
        }
        set.indexed = true;
        self.follow(&mut set, RebuildStage::CatchingUp).await?;
        let mut views: Vec<RebuiltView> = self.entries.iter().map(|entry| rebuilt(entry.spec, 0)).collect();
        if self.options.verify || self.options.verify_only {
            self.tell(RebuildStage::Verifying, set.position, set.position);
            let (met, frozen) = self.meet(set, Purpose::Compare).await?;
            set = met;
            if let Met::Frozen(mut frozen) = frozen {
                for view in &mut views {
                    self.check_cancelled()?;
                    self.compare(&mut frozen, view).await?;
                }
            }
        }
        for view in &mut views {
            view.rows = self.count(&shadow_of(view.name)).await?;
        }
        if !self.options.verify_only {
            self.follow(&mut set, RebuildStage::CatchingUp).await?;
            self.check_cancelled()?;
            self.tell(RebuildStage::Swapping, set.position, set.position);
            (set, _) = self.meet(set, Purpose::Swap).await?;
        }
        for view in &mut views {
            view.parked_streams = count_of(set.parked.iter().filter(|parked| parked.view == view.name).count());
            view.swapped = !self.options.verify_only;
        }
        Ok(RebuildReport { views, position: set.position, events: self.events, elapsed: self.started.elapsed() })
    }

    fn check_cancelled(&self) -> Result<(), ProjectorError> {
        if self.cancel.is_cancelled() { Err(ProjectorError::Cancelled) } else { Ok(()) }
    }

    /// Folds the log up to its current end. What is recorded meanwhile is left to the next round,
    /// or to the border, so that a busy shop cannot keep a rebuild from ending.
    async fn follow(&mut self, set: &mut ShadowSet, stage: RebuildStage) -> Result<(), ProjectorError> {
        let followed = self.follow_pages(set, stage).await;
        if followed.is_ok() {
            set.flush(&self.engine, self.epoch).await?;
        } else if let Err(error) = set.written().await {
            // The shadow is dropped next, so nothing may write to it any more.
            tracing::debug!(%error, "the last rows of a rebuild that ended early were not written: {error}");
        }
        followed
    }

    /// Folds pages; reading and decoding, folding, and writing run at the same time.
    async fn follow_pages(&mut self, set: &mut ShadowSet, stage: RebuildStage) -> Result<(), ProjectorError> {
        let head = self.log.head().await.map_err(ProjectorError::Log)?;
        let (pages, mut ready) = mpsc::channel::<Result<Page, ProjectorError>>(PAGES_AHEAD);
        let (log, mut from) = (Arc::clone(&self.log), set.position);
        // Only the first stage pauses: the later ones have to catch up.
        let rests = if stage == RebuildStage::Building { RESTS } else { 0 };
        let reader = on_a_thread_that_yields("views-rebuild-reader", async move {
            let mut newest = head;
            loop {
                let begun = Instant::now();
                let page = Page::read(log.as_ref(), from, PAGE).await;
                let last = page.as_ref().map_or(true, |page| page.events < PAGE || page.end >= head);
                from = page.as_ref().map_or(from, |page| page.end);
                // The folding side is gone, or this was the end.
                if pages.send(page).await.is_err() || last {
                    return;
                }
                let seen = log.head().await.unwrap_or(newest);
                if newest.behind(seen) >= BUSY {
                    tokio::time::sleep(begun.elapsed().saturating_mul(rests).min(LONGEST_REST)).await;
                }
                newest = seen;
            }
        })?;
        while let Some(page) = ready.recv().await {
            let page = page?;
            self.check_cancelled()?;
            self.events = self.events.saturating_add(count_of(page.events));
            set.take(&self.engine, &page, self.now(), self.epoch, ROWS_PER_FLUSH).await?;
            self.tell(stage, set.position, head.max(set.position));
        }
        reader.await.map_err(|_| ProjectorError::Stopped)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn tell(&mut self, stage: RebuildStage, position: Position, head: Position) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let events_per_second = self.events.saturating_mul(1_000) / millis;
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        progress(RebuildProgress { stage, position, head, events_per_second });
    }

    async fn meet(&mut self, set: ShadowSet, purpose: Purpose) -> Result<(ShadowSet, Met), ProjectorError> {
        let (reply, answer) = oneshot::channel();
        self.controls.send(Control::Meet { set, purpose, reply }).await.map_err(|_| ProjectorError::Stopped)?;
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| ProjectorError::Stopped)?,
            // A projector that cannot read its rows never reaches the next border.
            damage = self.engine.health().until_damaged() => Err(damaged(damage)),
        }
    }

    async fn count(&self, table: &str) -> Result<u64, ProjectorError> {
        let statement = sql(format!("select count(*) from {}", self.engine.table(table)), vec![]);
        let rows = self.engine.select(statement, &[Kind::Int]).await?;
        Ok(number(rows.first().and_then(|row| row.first())))
    }

    async fn compare(&self, frozen: &mut Frozen, view: &mut RebuiltView) -> Result<(), ProjectorError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.spec.name == view.name) else { return Ok(()) };
        let (count, list) = differences(&self.engine, entry.spec);
        let rows = frozen.select(count, &[Kind::Int]).await?;
        let found = number(rows.first().and_then(|row| row.first()));
        view.differences = Some(found);
        if found == 0 {
            return Ok(());
        }
        for row in frozen.select(list, &[Kind::Uuid, Kind::Text]).await? {
            if let [Value::Uuid(Some(id)), Value::Text(Some(what))] = row.as_slice() {
                view.examples.push(Difference { id: *id, what: what.clone() });
            }
        }
        Ok(())
    }
}

fn damaged(damage: String) -> ProjectorError {
    ProjectorError::Models(QueryError::Corrupt(damage))
}

fn rebuilt(spec: &ViewSpec, rows: u64) -> RebuiltView {
    RebuiltView { name: spec.name, rows, parked_streams: 0, differences: None, examples: Vec::new(), swapped: false }
}

fn count_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn number(value: Option<&Value>) -> u64 {
    if let Some(Value::Int(Some(number))) = value { u64::try_from(*number).unwrap_or(0) } else { 0 }
}

/// Finds the rows that are not the same in both tables, byte for byte: how many, and the first.
fn differences(engine: &Engine, spec: &ViewSpec) -> (Statement, Statement) {
    let mut unequal = vec!["l.doc is distinct from s.doc".to_owned()];
    unequal.extend(spec.columns.iter().map(|column| format!("l.{0} is distinct from s.{0}", column.name)));
    let joined: Vec<String> = spec.key.iter().map(|column| format!("l.{0} = s.{0}", column.name)).collect();
    let from = format!(
        "from {} l full outer join {} s on {} where {}",
        engine.table(spec.name),
        engine.table(&shadow_of(spec.name)),
        joined.join(" and "),
        unequal.join(" or ")
    );
    let id = spec.key.first().map_or("id", |column| column.name);
    let list = format!(
        "select coalesce(l.{id}, s.{id}), case when l.{id} is null then 'missing' when s.{id} is null then 'surplus' else 'different' end {from} limit {EXAMPLES}"
    );
    (sql(format!("select count(*) {from}"), vec![]), sql(list, vec![]))
}
