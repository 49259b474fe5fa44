//! Compares read models with the log without write access: nothing is written to them, no lease is
//! taken, and a projector that is at work goes on.
//!
//! The log is folded once more into temporary tables of this process, up to the position that each
//! view shows in one snapshot, and both are read side by side in the order of their keys.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

use jangbu_kernel::Position;
use jangbu_kernel::log::EventLog;
use jangbu_kernel::ports::Clock;

use super::border::ShadowSet;
use super::page::{PAGE, Page};
use super::{Difference, ProjectorError};
use crate::engine::meta::{Record, shadow_of};
use crate::engine::{Engine, Frozen, SqliteEngine, sql};
use crate::models::ReadModels;
use crate::registry::{Entry, VIEWS};
use crate::view::{Kind, Value, ViewSpec};

/// Rows of one view that are read at a time, from each side.
const ROWS_AT_ONCE: usize = 2_000;
/// Changed rows that are collected before they are written.
const ROWS_PER_FLUSH: usize = 20_000;
/// Differences that are reported one by one.
const EXAMPLES: usize = 10;

/// The result of comparing one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedView {
    /// The view.
    pub name: &'static str,
    /// The position up to which it says that it shows the log.
    pub position: Position,
    /// Rows that the fold of the log has.
    pub rows: u64,
    /// What was found.
    pub outcome: Compared,
}

/// What the comparison of a view found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It was compared with the fold of the log.
    Rows {
        /// Rows that are not the same.
        differences: u64,
        /// The first of them.
        examples: Vec<Difference>,
    },
    /// It shows more than the log has.
    Ahead,
    /// Another version of this program folded it; the next start builds it anew.
    OtherVersion,
    /// It has no checkpoint, because it was not created yet.
    Missing,
}

impl ReadModels {
    /// Compares every view with the fold of the log at its checkpoint. `progress` is called with
    /// the position up to which the log is folded, and the position of its end.
    ///
    /// # Errors
    /// When the log or the read models cannot be read.
    pub async fn compare(
        &self,
        log: Arc<dyn EventLog>,
        clock: &dyn Clock,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Vec<ComparedView>, ProjectorError> {
        // Most of the work is done before the snapshot is taken: nothing of the live read models is
        // held meanwhile.
        let reached = places(&self.engine.records().await?);
        let head = log.head().await.map_err(ProjectorError::Log)?;
        let mut own = Own::new(log, clock).await?;
        if let Some(first) = reached.values().flatten().copied().filter(|position| *position <= head).min() {
            own.fold_to(first, head, &mut progress).await?;
        }
        let mut frozen = self.engine.freeze().await?;
        let then = places(&self.engine.records_of(&mut frozen).await?);
        let head = own.log.head().await.map_err(ProjectorError::Log)?;
        let mut compared = Vec::with_capacity(VIEWS.len());
        let mut by_position: BTreeMap<Position, Vec<&'static Entry>> = BTreeMap::new();
        for entry in &VIEWS {
            let name = entry.spec.name;
            let mut without_rows = |position, outcome| compared.push(ComparedView { name, position, rows: 0, outcome });
            match then.get(name) {
                None => without_rows(Position::ZERO, Compared::Missing),
                Some(None) => without_rows(Position::ZERO, Compared::OtherVersion),
                Some(Some(position)) if *position > head => without_rows(*position, Compared::Ahead),
                Some(Some(position)) => by_position.entry(*position).or_default().push(entry),
            }
        }
        for (position, entries) in by_position {
            own.fold_to(position, head, &mut progress).await?;
            for entry in entries {
                compared.push(own.compare(&self.engine, &mut frozen, entry.spec, position).await?);
            }
        }
        Ok(compared)
    }
}

/// The position of each view; none for a view that another version of the program folded.
fn places(records: &[Record]) -> BTreeMap<&'static str, Option<Position>> {
    let place = |entry: &Entry| {
        let record = records.iter().find(|record| record.name == entry.spec.name)?;
        let same = record.version == i64::from(entry.spec.version);
        Some((entry.spec.name, same.then_some(record.position)))
    };
    VIEWS.iter().filter_map(place).collect()
}

/// The fold of the log in tables of this process's own.
struct Own<'a> {
    log: Arc<dyn EventLog>,
    clock: &'a dyn Clock,
    engine: Engine,
    epoch: i64,
    set: ShadowSet,
}

impl<'a> Own<'a> {
    async fn new(log: Arc<dyn EventLog>, clock: &'a dyn Clock) -> Result<Self, ProjectorError> {
        let engine = Engine::Sqlite(SqliteEngine::scratch()?);
        engine.prepare().await?;
        let epoch = engine.acquire().await?;
        for entry in &VIEWS {
            engine.make_shadow(epoch, entry.spec).await?;
        }
        let views = VIEWS.iter().map(|entry| (entry.open)(shadow_of(entry.spec.name))).collect();
        Ok(Self { log, clock, engine, epoch, set: ShadowSet::new(views) })
    }

    /// Folds the log up to a position that it has.
    async fn fold_to(
        &mut self,
        position: Position,
        head: Position,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<(), ProjectorError> {
        while self.set.position < position {
            let limit = usize::try_from(self.set.position.behind(position)).unwrap_or(PAGE).min(PAGE);
            let page = Page::read(&*self.log, self.set.position, limit).await?;
            if page.events == 0 || page.end > position {
                let gap = format!("position {} is missing", self.set.position.next());
                return Err(ProjectorError::Log(jangbu_kernel::log::LogError::Damaged(gap)));
            }
            self.set.take(&self.engine, &page, self.clock.now(), self.epoch, ROWS_PER_FLUSH).await?;
            progress(self.set.position.get(), head.get());
        }
        Ok(self.set.flush(&self.engine, self.epoch).await?)
    }

    async fn compare(
        &self,
        live: &Engine,
        frozen: &mut Frozen,
        spec: &'static ViewSpec,
        position: Position,
    ) -> Result<ComparedView, ProjectorError> {
        let mut made = Side::new(spec, self.engine.table(&shadow_of(spec.name)), Source::Own(&self.engine));
        let mut shown = Side::new(spec, live.table(spec.name), Source::Live(frozen));
        let (mut rows, mut differences, mut examples) = (0_u64, 0_u64, Vec::new());
        loop {
            made.fill().await?;
            shown.fill().await?;
            let (id, what) = match (made.page.front(), shown.page.front()) {
                (None, None) => break,
                (Some(ours), None) => (id(ours), "missing"),
                (None, Some(theirs)) => (id(theirs), "surplus"),
                (Some(ours), Some(theirs)) => match order(spec, ours, theirs) {
                    Ordering::Less => (id(ours), "missing"),
                    Ordering::Greater => (id(theirs), "surplus"),
                    Ordering::Equal if ours == theirs => (None, ""),
                    Ordering::Equal => (id(ours), "different"),
                },
            };
            if what != "surplus" {
                made.page.pop_front();
                rows += 1;
            }
            if what != "missing" {
                shown.page.pop_front();
            }
            if what.is_empty() {
                continue;
            }
            differences += 1;
            if let Some(id) = id.filter(|_| examples.len() < EXAMPLES) {
                examples.push(Difference { id, what: what.to_owned() });
            }
        }
        Ok(ComparedView { name: spec.name, position, rows, outcome: Compared::Rows { differences, examples } })
    }
}

fn id(row: &[Value]) -> Option<uuid::Uuid> {
    if let Some(Value::Uuid(id)) = row.first() { *id } else { None }
}

/// Compares two keys in the order in which both engines sort them.
fn order(spec: &ViewSpec, one: &[Value], other: &[Value]) -> Ordering {
    let keys = one.iter().zip(other).take(spec.key.len());
    keys.map(|pair| match pair {
        (Value::Uuid(one), Value::Uuid(other)) => one.cmp(other),
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        _ => Ordering::Equal,
    })
    .find(|order| order.is_ne())
    .unwrap_or(Ordering::Equal)
}

/// The columns of each view as they are read here: key, other columns, document.
static KINDS: LazyLock<BTreeMap<&'static str, Vec<Kind>>> = LazyLock::new(|| {
    let kinds = |spec: &ViewSpec| spec.all_columns().map(|column| column.kind).chain([Kind::Text]).collect();
    VIEWS.iter().map(|entry| (entry.spec.name, kinds(entry.spec))).collect()
});

enum Source<'a> {
    Live(&'a mut Frozen),
    Own(&'a Engine),
}

/// The rows of a table in the order of their keys, page by page.
struct Side<'a> {
    spec: &'static ViewSpec,
    table: String,
    source: Source<'a>,
    page: VecDeque<Vec<Value>>,
    after: Vec<Value>,
    ended: bool,
}

impl<'a> Side<'a> {
    const fn new(spec: &'static ViewSpec, table: String, source: Source<'a>) -> Self {
        Self { spec, table, source, page: VecDeque::new(), after: Vec::new(), ended: false }
    }

    /// Makes sure that the next row is in memory, if there is one.
    async fn fill(&mut self) -> Result<(), ProjectorError> {
        if self.ended || !self.page.is_empty() {
            return Ok(());
        }
        let key: Vec<&str> = self.spec.key.iter().map(|column| column.name).collect();
        let key = key.join(", ");
        let behind = if self.after.is_empty() {
            String::new()
        } else {
            let marks: Vec<String> = (1..=self.after.len()).map(|place| format!("${place}")).collect();
            format!(" where ({key}) > ({})", marks.join(", "))
        };
        let columns: Vec<&str> = self.spec.all_columns().map(|column| column.name).chain(["doc"]).collect();
        let text =
            format!("select {} from {}{behind} order by {key} limit {ROWS_AT_ONCE}", columns.join(", "), self.table);
        let kinds = KINDS.get(self.spec.name).map(Vec::as_slice).unwrap_or_default();
        let statement = sql(text, self.after.clone());
        let rows = match &mut self.source {
            Source::Live(frozen) => frozen.select(statement, kinds).await?,
            Source::Own(engine) => engine.select(statement, kinds).await?,
        };
        self.ended = rows.len() < ROWS_AT_ONCE;
        if let Some(last) = rows.last() {
            self.after = last.iter().take(self.spec.key.len()).cloned().collect();
        }
        self.page = rows.into();
        Ok(())
    }
}
