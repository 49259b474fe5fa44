//! Receipts: rows in the order in which they are written, and an index by key that is
//! entered in sorted runs.
//!
//! Keys are as good as random, and an index that is entered with every append writes one
//! page for every receipt. So the newest receipts are known by memory alone; whenever a run
//! of them is full, it is entered in the order of the index, a few with each append. What
//! is not in the index yet is found at the next start by its numbers.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use jangbu_kernel::Timestamp;
use jangbu_kernel::log::{NewReceipt, Receipt, ReceiptKey};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::read;
use crate::row::{limit_i64, to_i64};

/// Entries of a run that are entered for each receipt that is written: a run is in the
/// index well before the next one is full.
const ENTERED_EACH: usize = 2;
/// Runs that may be found unentered at a start: more, and they are entered before it.
const RUNS_AT_START: usize = 4;
/// Entries that are sorted at once when a start enters them: 4 MiB.
const ENTERED_AT_ONCE: usize = 262_144;

const INSERT: &str = "insert into receipts (scope, key_hash, fingerprint, stream_kind, stream_id, version, position, \
     recorded_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const ENTER: &str = "insert or ignore into receipts_by_digest (digest, number) values (?1, ?2)";
const SET_INDEXED: &str = "update receipts_indexed set number = ?1";
const NOT_INDEXED: &str = "select key_hash, number from receipts \
     where number > (select number from receipts_indexed) order by number limit ?1";
const BY_NUMBER: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at from receipts \
     where number = ?1 and scope = ?2 and key_hash = ?3";
const BY_DIGEST: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at \
     from receipts_by_digest i join receipts r on r.number = i.number \
     where i.digest = ?1 and r.scope = ?2 and r.key_hash = ?3";
const BY_SCAN: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at from receipts \
     where number > (select number from receipts_indexed) and scope = ?1 and key_hash = ?2";

/// Digest of a key and number of its receipt, in the order of the index.
type Entry = (i64, i64);

/// Receipts that the index does not have yet: what readers have to ask besides.
#[derive(Debug, Default)]
pub(super) struct Unindexed(RwLock<Runs>);

#[derive(Debug, Default)]
struct Runs {
    /// Written last.
    filling: BTreeSet<Entry>,
    /// Full before; being entered. It leaves when the commit of its last entries is done.
    entering: BTreeSet<Entry>,
}

impl Unindexed {
    /// Numbers under which a key's receipt may lie. Whoever asks before his snapshot of
    /// the database is taken finds a receipt either here or in the index.
    pub(super) fn numbers(&self, key: &ReceiptKey) -> Vec<i64> {
        let runs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let digest = digest(&key.hash);
        numbers(&runs.filling, digest).chain(numbers(&runs.entering, digest)).collect()
    }
}

/// The writer's side. What it stages belongs to the transaction under way.
pub(super) struct Receipts {
    unindexed: Arc<Unindexed>,
    /// Entries that make a run.
    run: usize,
    /// What the index lacked at the opening is known.
    loaded: bool,
    /// Last entry of the run under way that a commit has brought into the index.
    entered: Option<Entry>,
    staged: Staged,
}

#[derive(Default)]
struct Staged {
    written: BTreeSet<Entry>,
    entered: Option<Entry>,
    run_is_done: bool,
}

impl Receipts {
    /// None known; see [`Self::load`].
    pub(super) fn new(unindexed: Arc<Unindexed>, run: usize) -> Self {
        Self { unindexed, run: run.max(1), loaded: false, entered: None, staged: Staged::default() }
    }

    /// Finds what is not in the index yet, once. Enters it first where it is much, as after
    /// a migration.
    pub(super) fn load(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        if self.loaded {
            return Ok(());
        }
        let bearable = self.run.saturating_mul(RUNS_AT_START);
        let mut found = not_indexed(connection, ENTERED_AT_ONCE.max(bearable))?;
        while found.len() > bearable {
            enter_all(connection, &found)?;
            found = not_indexed(connection, ENTERED_AT_ONCE)?;
        }
        self.unindexed.0.write().unwrap_or_else(PoisonError::into_inner).filling = found;
        self.loaded = true;
        Ok(())
    }

    /// Writes a receipt of an append that ends at `position`.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        new: &NewReceipt,
        position: u64,
        recorded_at: Timestamp,
    ) -> rusqlite::Result<()> {
        let number = connection.prepare_cached(INSERT)?.insert(params![
            new.key.scope,
            new.key.hash,
            new.fingerprint,
            new.stream.kind.name(),
            new.stream.id.as_bytes(),
            to_i64(new.version),
            to_i64(position),
            recorded_at.timestamp_millis(),
        ])?;
        self.staged.written.insert((digest(&new.key.hash), number));
        Ok(())
    }

    /// The receipt of a key, also one of the transaction under way.
    pub(super) fn find(&self, connection: &Connection, key: &ReceiptKey) -> rusqlite::Result<Option<Receipt>> {
        let staged = numbers(&self.staged.written, digest(&key.hash));
        let likely: Vec<i64> = staged.chain(self.unindexed.numbers(key)).collect();
        find(connection, key, &likely)
    }

    /// Enters a part of the run that is full. Called inside the transaction, at its end.
    pub(super) fn enter_some(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let runs = self.unindexed.0.read().unwrap_or_else(PoisonError::into_inner);
        if self.staged.written.is_empty() || runs.entering.is_empty() {
            return Ok(());
        }
        let after = self.entered.map_or(Bound::Unbounded, Bound::Excluded);
        let mut enter = connection.prepare_cached(ENTER)?;
        let many = ENTERED_EACH * self.staged.written.len();
        for (digest, number) in runs.entering.range((after, Bound::Unbounded)).take(many) {
            enter.execute(params![digest, number])?;
            self.staged.entered = Some((*digest, *number));
        }
        if self.staged.entered.or(self.entered) == runs.entering.last().copied() {
            let newest = runs.entering.iter().map(|(_, number)| number).max();
            connection.execute(SET_INDEXED, [newest])?;
            self.staged.run_is_done = true;
        }
        Ok(())
    }

    /// The transaction is committed.
    pub(super) fn committed(&mut self) {
        let Staged { written, entered, run_is_done } = std::mem::take(&mut self.staged);
        if written.is_empty() {
            return;
        }
        let mut runs = self.unindexed.0.write().unwrap_or_else(PoisonError::into_inner);
        runs.filling.extend(written);
        if run_is_done {
            runs.entering.clear();
            self.entered = None;
        } else {
            self.entered = entered.or(self.entered);
        }
        if runs.entering.is_empty() && runs.filling.len() >= self.run {
            runs.entering = std::mem::take(&mut runs.filling);
        }
    }

    /// The transaction is rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.staged = Staged::default();
    }
}

/// A receipt by its key: under one of the numbers where it probably lies, else by the index.
pub(super) fn find(connection: &Connection, key: &ReceiptKey, likely: &[i64]) -> rusqlite::Result<Option<Receipt>> {
    let mut by_number = connection.prepare_cached(BY_NUMBER)?;
    for number in likely {
        let found = by_number.query_row(params![number, key.scope, key.hash], read::receipt).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let mut by_digest = connection.prepare_cached(BY_DIGEST)?;
    by_digest.query_row(params![digest(&key.hash), key.scope, key.hash], read::receipt).optional()
}

/// The same beside another process, whose memory is not at hand.
pub(super) fn find_beside(connection: &Connection, key: &ReceiptKey) -> rusqlite::Result<Option<Receipt>> {
    match find(connection, key, &[])? {
        None => connection.prepare_cached(BY_SCAN)?.query_row(params![key.scope, key.hash], read::receipt).optional(),
        found => Ok(found),
    }
}

fn numbers(run: &BTreeSet<Entry>, digest: i64) -> impl Iterator<Item = i64> {
    run.range((digest, i64::MIN)..=(digest, i64::MAX)).map(|(_, number)| *number)
}

/// Eight bytes of the key's SHA-256: nobody makes keys that meet in the index at will.
fn digest(hash: &[u8; 32]) -> i64 {
    hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// Fills the table of hashed keys from the one whose keys are in the clear, and puts it in its
/// place. Part of the migration 0005, inside its transaction.
pub(super) fn hash_keys(connection: &Connection) -> rusqlite::Result<()> {
    let mut known = connection.prepare("select number, scope, key from receipts order by number")?;
    let mut copy = connection.prepare(
        "insert into receipts_hashed (number, scope, key_hash, fingerprint, stream_kind, stream_id, version, \
         position, recorded_at) select number, scope, ?2, fingerprint, stream_kind, stream_id, version, position, \
         recorded_at from receipts where number = ?1",
    )?;
    let rows = known.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (number, scope, key): (i64, String, String) = row?;
        copy.execute(params![number, ReceiptKey::new(scope, &key, sha256).hash])?;
    }
    drop((copy, known));
    connection.execute_batch("drop table receipts; alter table receipts_hashed rename to receipts")
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn not_indexed(connection: &Connection, limit: usize) -> rusqlite::Result<BTreeSet<Entry>> {
    let mut statement = connection.prepare(NOT_INDEXED)?;
    let found = statement.query_map([limit_i64(limit)], |row| {
        let hash: [u8; 32] = row.get(0)?;
        Ok((digest(&hash), row.get(1)?))
    })?;
    found.collect()
}

/// Enters all of them in a transaction of its own.
fn enter_all(connection: &mut Connection, entries: &BTreeSet<Entry>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut enter = transaction.prepare_cached(ENTER)?;
    for (digest, number) in entries {
        enter.execute(params![digest, number])?;
    }
    drop(enter);
    transaction.execute(SET_INDEXED, [entries.iter().map(|(_, number)| number).max()])?;
    transaction.commit()
}
