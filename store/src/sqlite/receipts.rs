//! Receipts: rows in the order in which they are written, and an index by key that is entered in
//! sorted runs (`runs.rs`), because keys are practically random.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use jangbu_kernel::log::{NewReceipt, Receipt, ReceiptKey};
use jangbu_kernel::{Position, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::read;
use super::runs::{Entering, Entry, Index, Runs, Unentered};
use crate::row::{limit_i64, to_i64};

const INSERT: &str = "insert into receipts (scope, key_hash, fingerprint, stream_kind, stream_id, version, position, \
     recorded_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const ENTER: &str = "insert or ignore into receipts_by_digest (digest, number) values (?1, ?2)";
const SET_INDEXED: &str = "update receipts_indexed set number = ?1";
const INDEXED: &str = "select number from receipts_indexed";
const NOT_INDEXED: &str = "select key_hash, number from receipts \
     where number > (select number from receipts_indexed) order by number limit ?1";
const BY_NUMBER: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at from receipts \
     where number = ?1 and scope = ?2 and key_hash = ?3";
const BY_DIGEST: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at \
     from receipts_by_digest i join receipts r on r.number = i.number \
     where i.digest = ?1 and r.scope = ?2 and r.key_hash = ?3";
const BY_SCAN: &str = "select fingerprint, stream_kind, stream_id, version, position, recorded_at from receipts \
     where number > (select number from receipts_indexed) and scope = ?1 and key_hash = ?2";

/// The index by a digest of the key. Two keys may share a digest; the row has the full key.
#[derive(Debug)]
pub(super) struct ByDigest;

impl Index for ByDigest {
    const OF: &'static str = "receipts";
    type Key = i64;

    fn enter<'a>(connection: &Connection, entries: impl Iterator<Item = &'a Entry<i64>>) -> rusqlite::Result<()> {
        let mut enter = connection.prepare_cached(ENTER)?;
        for (digest, number) in entries {
            enter.execute(params![digest, number])?;
        }
        Ok(())
    }

    fn entered_to(connection: &Connection) -> rusqlite::Result<i64> {
        connection.prepare_cached(INDEXED)?.query_row([], |row| row.get(0))
    }

    fn set_entered_to(connection: &Connection, number: i64) -> rusqlite::Result<()> {
        connection.execute(SET_INDEXED, [number]).map(|_| ())
    }

    fn lacking(connection: &Connection, limit: usize) -> rusqlite::Result<BTreeSet<Entry<i64>>> {
        let mut statement = connection.prepare(NOT_INDEXED)?;
        let found = statement.query_map([limit_i64(limit)], |row| {
            let hash: [u8; 32] = row.get(0)?;
            Ok((digest(&hash), row.get(1)?))
        })?;
        found.collect()
    }
}

/// The writer's side of the index.
pub(super) type Receipts = Entering<ByDigest>;
/// What readers have to search in addition to the index.
pub(super) type Unindexed = Unentered<i64>;

impl Receipts {
    /// Writes the receipt of an append that ends at `position`.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        new: &NewReceipt,
        position: Position,
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
        self.write(digest(&new.key.hash), number);
        Ok(())
    }

    /// The receipt of a key, even if the running transaction wrote it.
    pub(super) fn find(&self, connection: &Connection, key: &ReceiptKey) -> rusqlite::Result<Option<Receipt>> {
        let range = all_of(digest(&key.hash));
        let likely: Vec<i64> =
            self.read(|staged, runs| staged.range(range.clone()).chain(runs.within(range)).map(number).collect());
        find(connection, key, &likely)
    }
}

impl Unindexed {
    /// Numbers under which the receipt of a key may be stored. A reader that calls this before its
    /// snapshot of the database is taken finds a receipt either here or in the index.
    pub(super) fn numbers(&self, key: &ReceiptKey) -> Vec<i64> {
        self.read(|runs: &Runs<i64>| runs.within(all_of(digest(&key.hash))).map(number).collect())
    }
}

const fn all_of(digest: i64) -> std::ops::RangeInclusive<Entry<i64>> {
    (digest, i64::MIN)..=(digest, i64::MAX)
}

const fn number((_, number): &Entry<i64>) -> i64 {
    *number
}

/// A receipt by its key: under one of the likely numbers, otherwise through the index.
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

/// The same for a handle in another process than the writer, whose memory is not available.
pub(super) fn find_beside(connection: &Connection, key: &ReceiptKey) -> rusqlite::Result<Option<Receipt>> {
    match find(connection, key, &[])? {
        None => connection.prepare_cached(BY_SCAN)?.query_row(params![key.scope, key.hash], read::receipt).optional(),
        found => Ok(found),
    }
}

/// Eight bytes of the key's SHA-256. As it is a hash, keys with equal digests cannot easily be
/// made.
fn digest(hash: &[u8; 32]) -> i64 {
    hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// Fills the table of hashed keys from the table with the keys in the clear, and replaces that one.
/// Part of migration 0005, inside its transaction.
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
