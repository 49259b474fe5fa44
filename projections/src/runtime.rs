//! A running view: the rows in memory, which of them have changed, and which streams are parked.

use std::collections::{HashMap, HashSet};

use jangbu_kernel::{StreamId, Version};
use lru::LruCache;

use crate::engine::{EngineError, RowWrite, TableWrite};
use crate::view::{Fact, FoldError, Key, Shows, View, ViewSpec};

/// A view without its row type.
pub(crate) trait AnyView: Send {
    fn spec(&self) -> &'static ViewSpec;
    fn shows(&self) -> Shows;
    /// The table it writes to.
    fn table(&self) -> &str;
    /// The keys whose rows must be loaded before these events can be folded.
    fn wanted(&mut self, facts: &[Fact]) -> Vec<Key>;
    /// Receives the rows that were asked for.
    fn loaded(&mut self, keys: Vec<Key>, docs: Vec<Option<String>>);
    /// Folds an event in. An error leaves every row as it was.
    fn fold(&mut self, fact: &Fact) -> Result<(), FoldError>;
    /// How many rows changed since the last write.
    fn changed(&self) -> usize;
    /// The changed rows, for a table with or without its secondary indexes. They count as changed
    /// until [`AnyView::written`].
    fn writes(&self, indexed: bool) -> Result<TableWrite, EngineError>;
    /// Marks the changed rows as written: they are in the table, or on their way.
    fn written(&mut self);
    /// Drops the least recently used rows, and keeps `times` as many as the view's hot rows. Rows
    /// that are not changed have to be in the table by now.
    fn trim(&mut self, times: usize);
    /// Forgets every row, because the table may have others now.
    fn forget(&mut self);
    /// The parked streams.
    fn parked(&mut self) -> &mut HashSet<StreamId>;
}

struct Slot<Row> {
    row: Result<Option<Row>, String>,
    /// Whether the table has, or may have, a row at the key.
    stored: bool,
    changed: bool,
}

impl<Row> Slot<Row> {
    const fn empty(stored: bool) -> Self {
        Self { row: Ok(None), stored, changed: false }
    }
}

/// A view over a table.
pub(crate) struct ViewRuntime<V: View> {
    table: String,
    rows: LruCache<Key, Slot<V::Row>>,
    changed: Vec<Key>,
    parked: HashSet<StreamId>,
}

impl<V: View> ViewRuntime<V> {
    pub fn new(table: String) -> Self {
        Self { table, rows: LruCache::unbounded(), changed: Vec::new(), parked: HashSet::new() }
    }

    fn shows_fact(&self, fact: &Fact) -> bool {
        V::SHOWS.handles(fact.stream.kind, fact.event.event_type()) && !self.parked.contains(&fact.stream)
    }

    /// The row that a new entry starts from, in a list whose entries build on each other.
    fn basis_row(&mut self, basis: Option<Key>) -> Result<Option<V::Row>, FoldError> {
        let Some(basis) = basis else { return Ok(None) };
        match self.rows.get(&basis).map(|slot| &slot.row) {
            Some(Ok(row)) => Ok(row.clone()),
            Some(Err(reason)) => Err(FoldError::BadRow(reason.clone())),
            None => Ok(None),
        }
    }
}

impl<V: View> AnyView for ViewRuntime<V> {
    fn spec(&self) -> &'static ViewSpec {
        &V::SPEC
    }

    fn shows(&self) -> Shows {
        V::SHOWS
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn wanted(&mut self, facts: &[Fact]) -> Vec<Key> {
        let mut wanted = Vec::new();
        // In a list, a row that an event of this page creates is available to the events after it.
        let mut coming: HashSet<Key> = HashSet::new();
        for fact in facts {
            if !self.shows_fact(fact) {
                continue;
            }
            let key = V::key(fact);
            if let Some(basis) = V::basis(fact) {
                if !self.rows.contains(&basis) && coming.insert(basis) {
                    wanted.push(basis);
                }
                coming.insert(key);
            } else if !self.rows.contains(&key) && !coming.contains(&key) {
                // The slot is created here, so that the page asks for each row at most once.
                let builds_on_row = V::builds_on_row(fact);
                self.rows.put(key, Slot::empty(fact.version > Version::FIRST));
                if builds_on_row {
                    wanted.push(key);
                }
            }
        }
        wanted
    }

    fn loaded(&mut self, keys: Vec<Key>, docs: Vec<Option<String>>) {
        for (key, doc) in keys.into_iter().zip(docs) {
            let stored = doc.is_some();
            let row = doc.map(|doc| serde_json::from_str(&doc)).transpose().map_err(|error| error.to_string());
            self.rows.put(key, Slot { row, stored, changed: false });
        }
    }

    fn fold(&mut self, fact: &Fact) -> Result<(), FoldError> {
        if !self.shows_fact(fact) {
            return Ok(());
        }
        let key = V::key(fact);
        let basis = V::basis(fact);
        if basis.is_some() && !self.rows.contains(&key) {
            let row = self.basis_row(basis)?;
            self.rows.put(key, Slot { row: Ok(row), stored: false, changed: false });
        }
        let Some(slot) = self.rows.get_mut(&key) else { return Err(FoldError::BadRow("not loaded".to_owned())) };
        let outcome = match &mut slot.row {
            Ok(row) => V::fold(row, fact),
            Err(reason) => Err(FoldError::BadRow(reason.clone())),
        };
        if outcome.is_err() && !slot.stored && !slot.changed {
            // The fold failed, so the slot that was created for this event is removed.
            self.rows.pop(&key);
        } else if outcome.is_ok() && !slot.changed {
            slot.changed = true;
            self.changed.push(key);
        }
        outcome
    }

    fn changed(&self) -> usize {
        self.changed.len()
    }

    fn writes(&self, indexed: bool) -> Result<TableWrite, EngineError> {
        let mut keys = self.changed.clone();
        // In the order of the primary key: neighbours share pages, and two writers that lock rows
        // cannot deadlock.
        keys.sort_unstable();
        let (mut upserts, mut deletes) = (Vec::with_capacity(keys.len()), Vec::new());
        // One buffer for all rows: a new one for each row would grow from nothing every time.
        let mut written = Vec::new();
        for key in keys {
            let Some(slot) = self.rows.peek(&key) else { continue };
            match &slot.row {
                Ok(Some(row)) => {
                    written.clear();
                    serde_json::to_writer(&mut written, row)
                        .map_err(|error| EngineError::Corrupt(error.to_string()))?;
                    let doc =
                        String::from_utf8(written.clone()).map_err(|error| EngineError::Corrupt(error.to_string()))?;
                    let mut values = key.values();
                    values.extend(V::columns(row));
                    upserts.push(RowWrite { values, doc, stored: slot.stored });
                }
                Ok(None) if slot.stored => deletes.push(key),
                Ok(None) | Err(_) => {}
            }
        }
        Ok(TableWrite { table: self.table.clone(), spec: &V::SPEC, upserts, deletes, indexed })
    }

    fn written(&mut self) {
        for key in self.changed.drain(..) {
            if let Some(slot) = self.rows.peek_mut(&key) {
                slot.changed = false;
                slot.stored = matches!(slot.row, Ok(Some(_)));
            }
        }
    }

    fn trim(&mut self, times: usize) {
        let kept = V::HOT_ROWS.saturating_mul(times).saturating_add(self.changed.len());
        while self.rows.len() > kept && self.rows.peek_lru().is_some_and(|(_, slot)| !slot.changed) {
            self.rows.pop_lru();
        }
    }

    fn forget(&mut self) {
        self.rows.clear();
        self.changed.clear();
    }

    fn parked(&mut self) -> &mut HashSet<StreamId> {
        &mut self.parked
    }
}

/// Folds a stream's events from the first on: the rows that the projector would have made.
pub(crate) fn fold_stream<V: View>(facts: impl IntoIterator<Item = Fact>) -> Result<Vec<V::Row>, FoldError> {
    let mut rows: HashMap<Key, Option<V::Row>> = HashMap::new();
    let mut order = Vec::new();
    for fact in facts {
        if !V::SHOWS.handles(fact.stream.kind, fact.event.event_type()) {
            continue;
        }
        let key = V::key(&fact);
        if !rows.contains_key(&key) {
            let basis = V::basis(&fact).and_then(|basis| rows.get(&basis).cloned().flatten());
            rows.insert(key, basis);
            order.push(key);
        }
        if let Some(row) = rows.get_mut(&key) {
            V::fold(row, &fact)?;
        }
    }
    Ok(order.into_iter().filter_map(|key| rows.remove(&key).flatten()).collect())
}
