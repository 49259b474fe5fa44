//! Receipts on SQLite: first kept in memory only, then entered into the index in runs.

use std::collections::HashMap;
use std::path::Path;

use jangbu_kernel::Position;
use jangbu_kernel::log::{Append, AppendResult, EventLog as _, LogError, Receipt, ReceiptKey};
use jangbu_store::{SqliteStore, Store as _, sqlite};
use rusqlite::Connection;

use crate::fixture::{SCOPE, append, append_one, order, receipt, whole_log, write};

const RUN: usize = 4;

async fn open(folder: &Path) -> SqliteStore {
    let options = sqlite::Options { receipt_run: RUN, ..Default::default() };
    let store = SqliteStore::open(folder, options).unwrap();
    store.migrate().await.unwrap();
    store
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("log.db")).unwrap()
}

/// One event on a new stream, with a key.
fn under(key: &str) -> Append {
    let stream = order();
    let mut append = append([write(stream, 0, 1)]);
    append.receipt = Some(receipt(key, stream, 1));
    append
}

fn key(name: &str) -> ReceiptKey {
    receipt(name, order(), 1).key
}

async fn write_new(store: &SqliteStore, names: impl IntoIterator<Item = String>) {
    for result in store.append(names.into_iter().map(|name| under(&name)).collect()).await.unwrap() {
        assert!(matches!(result, AppendResult::Appended { .. }), "{result:?}");
    }
}

async fn first_answer(store: &SqliteStore, name: &str) -> Receipt {
    match append_one(store, under(name)).await {
        AppendResult::Duplicate { receipt } => receipt,
        other => panic!("{name} was taken twice: {other:?}"),
    }
}

fn indexed(folder: &Path) -> (i64, i64) {
    let database = raw(folder);
    let entries = database.query_row("select count(*) from receipts_by_digest", [], |row| row.get(0)).unwrap();
    let up_to = database.query_row("select number from receipts_indexed", [], |row| row.get(0)).unwrap();
    (entries, up_to)
}

/// Whatever is in memory, partly entered or in the index, and wherever the process ended: a key
/// acts once, and all readers find its receipt.
#[tokio::test]
async fn a_key_acts_once_however_far_its_run_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    let mut answers: HashMap<String, Receipt> = HashMap::new();
    let mut written = 0;
    for step in 0..40 {
        let names: Vec<String> = (written..written + 1 + step % 3).map(|n| format!("key {n}")).collect();
        written += names.len();
        write_new(&store, names.clone()).await;
        for name in names {
            answers.insert(name.clone(), first_answer(&store, &name).await);
        }
        if step % 5 == 4 {
            store.close().await;
            store = open(folder.path()).await;
        }
        let reader = SqliteStore::open_read_only(folder.path(), sqlite::Options::default()).unwrap();
        let keys: Vec<ReceiptKey> = answers.keys().map(|name| key(name)).chain([key("none")]).collect();
        let expected: Vec<Option<Receipt>> = answers.values().cloned().map(Some).chain([None]).collect();
        assert_eq!(store.receipts(keys.clone()).await.unwrap(), expected, "after step {step}");
        assert_eq!(reader.receipts(keys).await.unwrap(), expected, "beside it, after step {step}");
        reader.close().await;
    }
    for (name, answer) in &answers {
        assert_eq!(first_answer(&store, name).await, *answer);
    }
    assert_eq!(whole_log(&store).await.len(), written);
    store.close().await;
    let (entries, up_to) = indexed(folder.path());
    assert!(up_to > 0 && entries >= up_to && entries < written as i64, "{entries} of {written}, up to {up_to}");
}

/// Appends of several callers share a transaction: the earlier ones count, too.
#[tokio::test]
async fn a_key_acts_once_within_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let held = raw(folder.path());
    held.execute_batch("begin immediate").unwrap();
    // The first waits for the lock, the others queue behind it.
    let waiting: Vec<_> = ["first", "twice", "twice", "twice", "other"]
        .map(|name| {
            let store = store.clone();
            tokio::spawn(async move { append_one(&store, under(name)).await })
        })
        .into();
    tokio::task::yield_now().await;
    held.execute_batch("rollback").unwrap();
    let mut taken = 0;
    for append in waiting {
        taken += usize::from(matches!(append.await.unwrap(), AppendResult::Appended { .. }));
    }
    assert_eq!((taken, whole_log(&store).await.len()), (3, 3));
    store.close().await;
}

/// A rollback undoes what the transaction staged: its numbers are used again, and the entries that
/// it entered into the index are entered by another transaction.
#[tokio::test]
async fn a_rolled_back_receipt_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    write_new(&store, (0..3 * RUN).map(|n| format!("before {n}"))).await;
    // Two payloads that make a transaction fail: at once, and at its commit.
    raw(folder.path())
        .execute_batch(
            "create table ids (id integer primary key);
             create table spoilt_ids (id integer references ids (id) deferrable initially deferred);
             create trigger spoilt before insert on events when new.payload = '\"now\"'
             begin select raise(abort, 'spoilt'); end;
             create trigger spoilt_later before insert on events when new.payload = '\"later\"'
             begin insert into spoilt_ids (id) values (1); end;",
        )
        .unwrap();
    for (attempt, how) in ["now", "later", "later", "now", "later"].into_iter().enumerate() {
        let mut spoilt = append([write(order(), 0, 1)]);
        spoilt.writes[0].events[0].payload = format!("\"{how}\"");
        let failed = store.append(vec![under("lost"), spoilt]).await;
        assert!(matches!(failed, Err(LogError::Unavailable(..))), "{failed:?}");
        assert_eq!(store.receipts(vec![key("lost")]).await.unwrap(), [None]);
        write_new(&store, [format!("after {attempt}")]).await;
    }
    write_new(&store, ["lost".to_owned()]).await;
    write_new(&store, (0..8 * RUN).map(|n| format!("more {n}"))).await;
    write_new(&store, (8 * RUN..16 * RUN).map(|n| format!("more {n}"))).await;
    let names = (0..3 * RUN).map(|n| format!("before {n}")).chain((0..5).map(|n| format!("after {n}")));
    for name in names.chain(["lost".to_owned()]) {
        first_answer(&store, &name).await;
    }
    assert_eq!(whole_log(&store).await.len(), 19 * RUN + 6);
    store.close().await;
}

/// Two keys may share a digest: the row has the full key.
#[tokio::test]
async fn keys_that_meet_in_the_index_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    write_new(&store, (0..3 * RUN).map(|n| format!("key {n}"))).await;
    write_new(&store, (3 * RUN..6 * RUN).map(|n| format!("key {n}"))).await;
    let database = raw(folder.path());
    database
        .execute_batch(
            "insert or ignore into receipts_by_digest (digest, number) \
             select a.digest, b.number from receipts_by_digest a, receipts b",
        )
        .unwrap();
    for n in 0..6 * RUN {
        let answer = first_answer(&store, &format!("key {n}")).await;
        assert_eq!(answer.position, Position::new(n as u64 + 1));
    }
    store.close().await;
}

/// A store of a version whose receipts were stored in the order of their keys.
#[tokio::test]
async fn receipts_of_an_older_store_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let database = raw(folder.path());
    database.execute_batch(include_str!("../../../migrations/sqlite/0001_log.sql")).unwrap();
    for n in 0..5 * RUN {
        let stream = order();
        database
            .execute(
                "insert into receipts (scope, key, fingerprint, stream_kind, stream_id, version, position, recorded_at) \
                 values (?1, ?2, zeroblob(32), 'order', ?3, 1, ?4, 0)",
                rusqlite::params![SCOPE, format!("key {n}"), stream.id.as_bytes(), n as i64 + 1],
            )
            .unwrap();
    }
    database.pragma_update(None, "user_version", 1).unwrap();
    drop(database);
    let store = open(folder.path()).await;
    for n in 0..5 * RUN {
        assert_eq!(first_answer(&store, &format!("key {n}")).await.position, Position::new(n as u64 + 1));
    }
    write_new(&store, ["new".to_owned()]).await;
    first_answer(&store, "new").await;
    store.close().await;
    assert_eq!(indexed(folder.path()), (5 * RUN as i64, 5 * RUN as i64), "all at once, before anything is taken");
    for file in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        // The definitions of the tables contain the word "key", too, but never with a number.
        let in_the_clear = bytes.windows(5).any(|part| part.starts_with(b"key ") && part[4].is_ascii_digit());
        assert!(!in_the_clear, "a key in the clear in {}", file.display());
    }
}
