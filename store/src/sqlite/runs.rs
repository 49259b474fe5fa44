//! An index that is entered in sorted runs.
//!
//! If practically random keys were entered with every append, every row would write another page.
//! So the newest entries are kept only in memory. When a run of them is full, it is entered in the
//! order of the index, a few entries with each append. At the next start, the entries that the
//! index lacks are found by the numbers of their rows, which only grow.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::{Bound, RangeInclusive};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, TransactionBehavior};

/// How many entries of the full run are entered for each entry that is written, so that the run is
/// in the index well before the next one is full.
const ENTERED_EACH: usize = 2;
/// The number of runs that may be missing in the index at a start. If there are more, they are
/// entered before the start continues.
const RUNS_AT_START: usize = 4;
/// Entries that are sorted at once when a start enters them: 4 to 20 MiB.
const ENTERED_AT_ONCE: usize = 262_144;

/// A key of the index and the number of the row that it points to.
pub(super) type Entry<K> = (K, i64);

/// An index and the rows that it covers.
pub(super) trait Index {
    /// The name of what it indexes, in the plural, for the log of a long start.
    const OF: &'static str;
    /// The key that it is sorted by.
    type Key: Clone + Ord + Debug + Send + Sync + 'static;

    /// Adds entries. One that exists already stays as it is.
    fn enter<'a>(connection: &Connection, entries: impl Iterator<Item = &'a Entry<Self::Key>>) -> rusqlite::Result<()>
    where
        Self::Key: 'a;

    /// The number up to which every row is in the index.
    fn entered_to(connection: &Connection) -> rusqlite::Result<i64>;

    /// Records that every row up to a number is in the index.
    fn set_entered_to(connection: &Connection, number: i64) -> rusqlite::Result<()>;

    /// The entries after that number, in the order of their numbers, at most `limit`.
    fn lacking(connection: &Connection, limit: usize) -> rusqlite::Result<BTreeSet<Entry<Self::Key>>>;
}

/// Entries that are not yet in the index, or only partly.
#[derive(Debug)]
pub(super) struct Runs<K> {
    /// The newest entries.
    pub filling: BTreeSet<Entry<K>>,
    /// A full run that is being entered. It is dropped after the commit of its last entries.
    pub entering: BTreeSet<Entry<K>>,
    /// The number of the last row whose entry has ever been here.
    pub known_to: i64,
    /// For a handle beside the writing process: entries up to this number have been dropped.
    pub left_to: i64,
}

impl<K: Clone + Ord> Runs<K> {
    /// The entries of a range, first those of the older run.
    pub(super) fn within(&self, range: RangeInclusive<Entry<K>>) -> impl Iterator<Item = &Entry<K>> {
        self.entering.range(range.clone()).chain(self.filling.range(range))
    }

    /// The last entry of a range.
    pub(super) fn last_within(&self, range: RangeInclusive<Entry<K>>) -> Option<&Entry<K>> {
        let newest = self.filling.range(range.clone()).next_back();
        newest.or_else(|| self.entering.range(range).next_back())
    }
}

/// What readers have to search in addition to the index.
#[derive(Debug)]
pub(super) struct Unentered<K>(RwLock<Runs<K>>);

impl<K> Default for Unentered<K> {
    fn default() -> Self {
        Self(RwLock::new(Runs { filling: BTreeSet::new(), entering: BTreeSet::new(), known_to: 0, left_to: 0 }))
    }
}

impl<K> Unentered<K> {
    /// Reads the entries. A reader that calls this before its snapshot of the database is taken
    /// finds every entry up to [`Runs::known_to`] either here or in the index.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Runs<K>) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the entries. Only one owner may do this.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Runs<K>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The writer's side. What it stages belongs to the running transaction.
pub(super) struct Entering<I: Index> {
    unentered: Arc<Unentered<I::Key>>,
    /// The number of entries of a run.
    run: usize,
    /// Whether the entries that the index lacked at the opening are loaded.
    loaded: bool,
    /// The last entry of the current run whose entering is committed.
    entered: Option<Entry<I::Key>>,
    staged: Staged<I::Key>,
}

struct Staged<K> {
    written: BTreeSet<Entry<K>>,
    /// The number of the row that was written last.
    newest: Option<i64>,
    entered: Option<Entry<K>>,
    run_is_done: bool,
}

impl<K> Default for Staged<K> {
    fn default() -> Self {
        Self { written: BTreeSet::new(), newest: None, entered: None, run_is_done: false }
    }
}

impl<I: Index> Entering<I> {
    /// Without entries; see [`Self::load`].
    pub(super) fn new(unentered: Arc<Unentered<I::Key>>, run: usize) -> Self {
        Self { unentered, run: run.max(1), loaded: false, entered: None, staged: Staged::default() }
    }

    /// Loads the entries that the index lacks, once. True if this call has done so. If there are
    /// many, as after a migration, they are entered first.
    pub(super) fn load(&mut self, connection: &mut Connection) -> rusqlite::Result<bool> {
        if self.loaded {
            return Ok(false);
        }
        let bearable = self.run.saturating_mul(RUNS_AT_START);
        // One more than is bearable, so that a full page is never mistaken for all entries.
        let at_once = ENTERED_AT_ONCE.max(bearable.saturating_add(1));
        let mut found = I::lacking(connection, at_once)?;
        while found.len() > bearable {
            enter_all::<I>(connection, &found)?;
            found = I::lacking(connection, at_once)?;
        }
        let known_to = newest(&found).map_or_else(|| I::entered_to(connection), Ok)?;
        self.unentered.change(|runs| (runs.filling, runs.known_to) = (found, known_to));
        self.loaded = true;
        Ok(true)
    }

    /// Notes a row that was written. Numbers only grow.
    pub(super) fn write(&mut self, key: I::Key, number: i64) {
        self.staged.newest = Some(number);
        self.staged.written.insert((key, number));
    }

    /// The number of the last known row, including those of the running transaction.
    pub(super) fn known_to(&self) -> i64 {
        self.staged.newest.unwrap_or_else(|| self.unentered.read(|runs| runs.known_to))
    }

    /// Reads what the running transaction has written, and what was committed before.
    pub(super) fn read<T>(&self, read: impl FnOnce(&BTreeSet<Entry<I::Key>>, &Runs<I::Key>) -> T) -> T {
        self.unentered.read(|runs| read(&self.staged.written, runs))
    }

    /// Enters a part of the full run. Called inside the transaction, at its end.
    pub(super) fn enter_some(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (staged, before) = (&mut self.staged, &self.entered);
        self.unentered.read(|runs| {
            if staged.written.is_empty() || runs.entering.is_empty() {
                return Ok(());
            }
            let after = before.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let many = ENTERED_EACH * staged.written.len();
            let some: Vec<_> = runs.entering.range((after, Bound::Unbounded)).take(many).collect();
            I::enter(connection, some.iter().copied())?;
            staged.entered = some.last().copied().cloned();
            if staged.entered.as_ref().or(before.as_ref()) == runs.entering.last() {
                I::set_entered_to(connection, newest(&runs.entering).unwrap_or_default())?;
                staged.run_is_done = true;
            }
            Ok(())
        })
    }

    /// Called after the transaction is committed. True if another run has begun to be entered.
    pub(super) fn committed(&mut self) -> bool {
        let Staged { written, newest, entered, run_is_done } = std::mem::take(&mut self.staged);
        let Some(newest) = newest else { return false };
        let before = &mut self.entered;
        let (done, begun) = self.unentered.change(|runs| {
            runs.filling.extend(written);
            runs.known_to = newest;
            let done = run_is_done.then(|| std::mem::take(&mut runs.entering));
            *before = if run_is_done { None } else { entered.or(before.take()) };
            let begins = runs.entering.is_empty() && runs.filling.len() >= self.run;
            if begins {
                runs.entering = std::mem::take(&mut runs.filling);
            }
            (done, begins)
        });
        // Freeing a run takes a while, in which readers need not wait.
        drop(done);
        begun
    }

    /// Called after the transaction is rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.staged = Staged::default();
    }
}

fn newest<K>(entries: &BTreeSet<Entry<K>>) -> Option<i64> {
    entries.iter().map(|(_, number)| *number).max()
}

/// Enters all of them in a separate transaction.
fn enter_all<I: Index>(connection: &mut Connection, entries: &BTreeSet<Entry<I::Key>>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    I::enter(&transaction, entries.iter())?;
    let up_to = newest(entries).unwrap_or_default();
    I::set_entered_to(&transaction, up_to)?;
    transaction.commit()?;
    tracing::info!(up_to, "the index of {} is entered up to number {up_to}", I::OF);
    Ok(())
}
