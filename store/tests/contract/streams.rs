//! The index of streams on SQLite: first kept in memory only, then entered in runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, Snapshot, StreamWrite};
use jangbu_kernel::{AggregateKind, Position, StreamId, Version};
use jangbu_store::{Flaw, SqliteStore, Store as _, sqlite, verify_log};
use rusqlite::Connection;
use uuid::Uuid;

use crate::fixture::{append, append_one, fill, new_id, order, stock, whole_log, write};

const RUN: usize = 6;
const LOG: [&str; 3] = ["log.db", "log.db-wal", "keys.db"];

fn options() -> sqlite::Options {
    sqlite::Options { event_run: RUN, ..Default::default() }
}

async fn open(folder: &Path) -> SqliteStore {
    let store = SqliteStore::open(folder, options()).unwrap();
    store.migrate().await.unwrap();
    store
}

fn beside(folder: &Path) -> SqliteStore {
    SqliteStore::open_read_only(folder, options()).unwrap()
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("log.db")).unwrap()
}

/// The number of entries in the index, and the position up to which it is complete.
fn indexed(folder: &Path) -> (u64, u64) {
    let database = raw(folder);
    let number = |text: &str| database.query_row(text, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    (number("select count(*) from events_in_streams"), number("select position from events_indexed"))
}

/// The expected streams: versions by stream.
type Shop = HashMap<StreamId, u64>;

/// An id with a random place among all others, as those of e-mail addresses have.
fn anywhere() -> StreamId {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    StreamId::new(AggregateKind::Email, Uuid::from_bytes(random))
}

/// Writes some existing streams and begins some new ones, in one append.
async fn step(store: &SqliteStore, shop: &mut Shop, number: usize) {
    let mut known: Vec<StreamId> = shop.keys().copied().collect();
    known.sort();
    let old = known.iter().step_by(3 + number % 3).take(2).copied();
    let streams: Vec<StreamId> = old.chain([order(), anywhere()]).collect();
    let writes: Vec<StreamWrite> =
        streams.iter().map(|stream| write(*stream, shop.get(stream).copied().unwrap_or(0), 1 + number % 2)).collect();
    for write in &writes {
        shop.insert(write.stream, write.expected_version.plus(write.events.len() as u64).get());
    }
    assert!(matches!(append_one(store, append(writes)).await, AppendResult::Appended { .. }), "step {number}");
}

/// Checks that every stream is read completely.
async fn is_whole(store: &SqliteStore, shop: &Shop, when: &str) {
    let streams: Vec<StreamId> = shop.keys().copied().collect();
    let versions: Vec<Version> = shop.values().copied().map(Version::new).collect();
    assert_eq!(store.versions(streams.clone()).await.unwrap(), versions, "{when}");
    let loaded = store.load(streams.iter().map(|stream| (*stream, 1)).collect()).await.unwrap();
    for ((stream, version), loaded) in shop.iter().zip(loaded) {
        let found: Vec<u64> = loaded.events.iter().map(|event| event.version.get()).collect();
        assert_eq!(found, (1..=*version).collect::<Vec<_>>(), "{stream} {when}");
        assert!(loaded.events.iter().all(|event| event.stream == *stream));
        let part =
            store.read_stream(*stream, Version::new(2), Version::new(version.saturating_sub(1)), 2).await.unwrap();
        let expected: Vec<Version> = (2..*version).take(2).map(Version::new).collect();
        assert_eq!(part.iter().map(|event| event.version).collect::<Vec<_>>(), expected, "{stream} {when}");
    }
}

/// Checks that no version can be used twice or skipped.
async fn versions_are_judged(store: &SqliteStore, shop: &Shop, when: &str) {
    for (stream, version) in shop {
        for wrong in [0, version - 1, version + 1].into_iter().filter(|wrong| wrong != version) {
            let result = append_one(store, append([write(*stream, wrong, 1)])).await;
            let AppendResult::Conflict { actual_version, .. } = result else { panic!("{stream} {when}: {result:?}") };
            assert_eq!(actual_version, Version::new(*version), "{stream} {when}");
        }
    }
}

/// Wherever an entry is (staged, in memory, partly entered or in the index), and however often the
/// process was started: streams are complete, also for a handle beside the writer.
#[tokio::test]
async fn a_stream_is_whole_however_far_its_run_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    let reader = beside(folder.path());
    let mut shop = Shop::new();
    for number in 0..40 {
        step(&store, &mut shop, number).await;
        is_whole(&store, &shop, &format!("after step {number}")).await;
        is_whole(&reader, &shop, &format!("beside it, after step {number}")).await;
        let fresh = beside(folder.path());
        is_whole(&fresh, &shop, &format!("seen for the first time, after step {number}")).await;
        whole_log(&fresh).await;
        fresh.close().await;
        if number % 7 == 6 {
            versions_are_judged(&store, &shop, &format!("after step {number}")).await;
            store.close().await;
            store = open(folder.path()).await;
            versions_are_judged(&store, &shop, &format!("opened after step {number}")).await;
        }
    }
    let events = whole_log(&store).await.len() as u64;
    whole_log(&reader).await;
    assert_eq!(events, shop.values().sum::<u64>());
    reader.close().await;
    store.close().await;
    let (entries, up_to) = indexed(folder.path());
    assert!(up_to > 0 && entries >= up_to && entries < events, "{entries} of {events}, up to {up_to}");
}

/// The files after each commit are what a kill leaves. Whatever part of a run is in the index then,
/// a start finds the rest.
#[tokio::test]
async fn a_start_after_a_kill_at_any_commit_finds_every_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    let mut states = std::collections::BTreeSet::new();
    for number in 0..30 {
        step(&store, &mut shop, number).await;
        let after = tempfile::tempdir().unwrap();
        for file in LOG {
            std::fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
        }
        let (entries, up_to) = indexed(after.path());
        let head = shop.values().sum::<u64>();
        // In the middle of a run, and between two.
        states.insert(entries > up_to);
        assert!(up_to < head, "the newest are not in the index");
        let when = format!("killed after step {number}");
        let read = beside(after.path());
        is_whole(&read, &shop, &when).await;
        read.close().await;
        let again = open(after.path()).await;
        versions_are_judged(&again, &shop, &when).await;
        let mut later = shop.clone();
        for more in 0..4 {
            step(&again, &mut later, number + more).await;
        }
        is_whole(&again, &later, &when).await;
        assert_eq!(whole_log(&again).await.len() as u64, later.values().sum::<u64>());
        again.close().await;
    }
    assert_eq!(states.len(), 2, "a kill was tried in the middle of a run and between two");
    store.close().await;
}

/// A rollback undoes what the transaction staged, and the entries that it entered are entered by
/// another transaction.
#[tokio::test]
async fn a_rolled_back_append_leaves_nothing_in_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    for number in 0..4 {
        step(&store, &mut shop, number).await;
    }
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
    let stream = order();
    for (attempt, how) in ["now", "later", "later", "now", "later", "later"].into_iter().enumerate() {
        let mut spoilt = append([write(stream, 0, 2)]);
        spoilt.writes[0].events[1].payload = format!("\"{how}\"");
        let failed = store.append(vec![append([write(order(), 0, 3)]), spoilt]).await;
        assert!(matches!(failed, Err(LogError::Unavailable(..))), "{failed:?}");
        assert_eq!(store.versions(vec![stream]).await.unwrap(), [0].map(Version::new));
        step(&store, &mut shop, attempt).await;
        is_whole(&store, &shop, &format!("after attempt {attempt}")).await;
    }
    fill(&store, stream, 0, 2).await;
    shop.insert(stream, 2);
    versions_are_judged(&store, &shop, "at the end").await;
    assert_eq!(whole_log(&store).await.len() as u64, shop.values().sum::<u64>());
    store.close().await;
}

/// Appends of several callers share a transaction: the earlier ones count, too.
#[tokio::test]
async fn a_stream_begins_once_within_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for stream in [anywhere(), order()] {
        let held = raw(folder.path());
        held.execute_batch("begin immediate").unwrap();
        // The first waits for the lock, the others queue behind it.
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { append_one(&store, append([write(stream, 0, 1)])).await })
            })
            .collect();
        tokio::task::yield_now().await;
        held.execute_batch("rollback").unwrap();
        let mut begun = 0;
        for append in waiting {
            begun += usize::from(matches!(append.await.unwrap(), AppendResult::Appended { .. }));
        }
        assert_eq!((begun, store.versions(vec![stream]).await.unwrap()), (1, vec![Version::FIRST]));
    }
    assert_eq!(whole_log(&store).await.len(), 2);
    store.close().await;
}

/// Entries move from memory to the index while readers search both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_finds_what_was_answered() {
    const EVENTS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), sqlite::Options { event_run: 2, ..options() }).unwrap();
    store.migrate().await.unwrap();
    let (stream, answered) = (stock(), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = [store.clone(), store.clone(), beside(folder.path())]
        .map(|reader| {
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut reads = 0;
                while answered.load(Ordering::Acquire) < EVENTS {
                    let least = answered.load(Ordering::Acquire);
                    let loaded = reader.load(vec![(stream, 1)]).await.unwrap().remove(0);
                    let versions: Vec<u64> = loaded.events.iter().map(|event| event.version.get()).collect();
                    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
                    assert!(versions.len() as u64 >= least, "{} of {least}", versions.len());
                    reads += 1;
                }
                reads
            })
        })
        .into();
    for version in 0..EVENTS {
        fill(&store, stream, version, 1).await;
        answered.store(version + 1, Ordering::Release);
        fill(&store, anywhere(), 0, 1 + version % 3).await;
    }
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    store.close().await;
}

/// Ids do not prove age: those of one kind may come in any order.
#[tokio::test]
async fn a_stream_with_a_small_id_begins_and_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    let ids: Vec<Uuid> = (0..60).map(|_| new_id()).collect();
    for skipped in [0, 1] {
        for id in ids.iter().rev().skip(skipped).step_by(2) {
            let stream = StreamId::new(AggregateKind::Order, *id);
            fill(&store, stream, 0, 1).await;
            shop.insert(stream, 1);
        }
        versions_are_judged(&store, &shop, "half of them").await;
    }
    is_whole(&store, &shop, "all").await;
    store.close().await;
    assert!(indexed(folder.path()).1 > 30);
}

async fn flaws(folder: &Path) -> Vec<Flaw> {
    let reader = beside(folder);
    let flaws = verify_log(&reader, |_| {}).await.unwrap().flaws;
    reader.close().await;
    flaws
}

/// An alterable log with one stream of 40 events, most of them in the index.
async fn indexed_stream(folder: &Path) -> StreamId {
    let stream = stock();
    let store = open(folder).await;
    for version in 0..40 {
        fill(&store, stream, version, 1).await;
    }
    store.close().await;
    raw(folder).execute_batch("drop trigger events_are_not_updated; drop trigger events_are_not_deleted;").unwrap();
    assert_eq!(flaws(folder).await, []);
    let up_to = indexed(folder).1;
    assert!((20..40).contains(&up_to), "up to {up_to}");
    stream
}

/// An event that takes a version of another one, as if judging had failed: no start writes after
/// it, the stream is not read as if nothing were wrong, and the verification reports it.
#[tokio::test]
async fn a_doubled_version_is_found() {
    // Of two versions that are not yet in the index, and of one that is.
    for (position, version) in [(40, 39), (40, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let stream = indexed_stream(folder.path()).await;
        let change = format!("update events set version = {version} where position = {position}");
        raw(folder.path()).execute_batch(&change).unwrap();
        let found = flaws(folder.path()).await;
        assert!(
            found.contains(&Flaw::Version {
                position: Position::new(position),
                expected: Version::new(position),
                found: Version::new(version)
            }),
            "{found:?}"
        );
        let reader = beside(folder.path());
        let read = reader.read_stream(stream, Version::FIRST, Version::new(40), 100).await;
        assert!(matches!(read, Err(LogError::Damaged(_))), "{read:?}");
        reader.close().await;
        let refused = SqliteStore::open(folder.path(), options()).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(&format!("version {version} of {stream} is there twice")), "{cause}");
    }
}

/// Entries that point beyond the end show that events are lost, whatever the folder knew of them.
#[tokio::test]
async fn a_log_that_ends_before_its_index_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    indexed_stream(folder.path()).await;
    raw(folder.path()).execute_batch("delete from events where position > 12").unwrap();
    sqlite::accept_log(folder.path()).unwrap();
    let refused = SqliteStore::open(folder.path(), options()).unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("the log ends at position 12"), "{cause}");
}

/// The doubled version appears while the program runs: entering it stops all writing, with an error
/// that says why.
#[tokio::test]
async fn a_doubled_version_ends_the_writing() {
    let folder = tempfile::tempdir().unwrap();
    let stream = indexed_stream(folder.path()).await;
    let store = open(folder.path()).await;
    raw(folder.path())
        .execute_batch(
            "insert into events select position + 1, stream_kind, stream_id, 3, event_id, event_type, schema_version, \
             payload, correlation_id, causation_id, command_id, actor, trace, recorded_at, hash from events \
             where position = 40",
        )
        .unwrap();
    let error = loop {
        match store.append(vec![append([write(order(), 0, 1)])]).await {
            Ok(_) => assert!(store.head().await.unwrap() < Position::new(100), "nobody finds it"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Damaged(text) if text.contains(&format!("version 3 of {stream}"))), "{error:?}");
    assert!(store.has_failed());
    store.close().await;
}

/// Events that something else appends without the writer are seen by the writer and by all readers.
#[tokio::test]
async fn an_event_that_was_put_behind_the_writer_counts() {
    let folder = tempfile::tempdir().unwrap();
    let stream = indexed_stream(folder.path()).await;
    let store = open(folder.path()).await;
    let mut reader = beside(folder.path());
    for version in 41..=60 {
        raw(folder.path())
            .execute_batch(&format!(
                "insert into events select {}, stream_kind, stream_id, {version}, randomblob(16), \
                 event_type, schema_version, payload, correlation_id, causation_id, command_id, actor, trace, \
                 recorded_at, hash from events where position = 40",
                2 * version - 41
            ))
            .unwrap();
        for store in [&store, &reader] {
            assert_eq!(store.versions(vec![stream]).await.unwrap(), [version].map(Version::new));
            assert_eq!(
                store.read_stream(stream, Version::new(version - 1), Version::new(version), 9).await.unwrap().len(),
                2
            );
        }
        let conflict = append_one(&store, append([write(stream, version - 1, 1)])).await;
        assert_eq!(conflict, AppendResult::Conflict { stream, actual_version: Version::new(version) });
        fill(&store, order(), 0, 1).await;
        if version == 50 {
            reader.close().await;
            reader = beside(folder.path());
        }
    }
    reader.close().await;
    store.close().await;
    assert!(indexed(folder.path()).1 > 60, "they are in the index like others");
}

/// Entries that are missing, wrong or superfluous in the index are reported.
#[tokio::test]
async fn an_index_that_does_not_say_what_the_log_says_is_found() {
    type IsTold = fn(&[Flaw]) -> bool;
    const IS_NOT_LED_TO_7: IsTold = |flaws| matches!(flaws, [Flaw::Index { position, what }] if *position == Position::new(7) && what.contains("does not lead to"));
    let cases: [(&str, IsTold); 7] = [
        ("delete from events_in_streams where version = 7", IS_NOT_LED_TO_7),
        ("update events_in_streams set position = 8 where version = 7", IS_NOT_LED_TO_7),
        ("update events_in_streams set version = 700 where version = 7", IS_NOT_LED_TO_7),
        (
            "insert into events_in_streams select 'order', stream_id, version, position from events where position = 9",
            |flaws| matches!(flaws, [Flaw::Index { position, what }] if *position == Position::new(9) && what.contains("leads from version 9 of order-")),
        ),
        (
            "insert into events_in_streams select 'order', stream_id, version, 39 from events where position = 9",
            |flaws| matches!(flaws, [Flaw::Index { position, .. }] if *position == Position::new(39)),
        ),
        (
            "insert into events_in_streams select 'order', stream_id, version, 4711 from events where position = 9",
            |flaws| matches!(flaws, [Flaw::Lost { head, witness }] if *head == Position::new(40) && witness.contains("4711")),
        ),
        ("delete from events where position > 12", |flaws| {
            flaws.iter().all(|flaw| matches!(flaw, Flaw::Lost { head, .. } if *head == Position::new(12)))
                && !flaws.is_empty()
        }),
    ];
    for (change, is_told) in cases {
        let folder = tempfile::tempdir().unwrap();
        indexed_stream(folder.path()).await;
        raw(folder.path()).execute_batch(change).unwrap();
        let flaws = flaws(folder.path()).await;
        assert!(is_told(&flaws), "{change}: {flaws:?}");
    }
}

/// A stream with wrong index entries is not read as if it were shorter, or another one.
#[tokio::test]
async fn a_stream_that_is_led_astray_is_not_read() {
    for change in [
        "delete from events_in_streams where version = 7",
        "update events_in_streams set position = 8 where version = 7",
        "update events_in_streams set position = 4711 where version = 7",
        "delete from events where position = 7",
        "delete from events where position = 39",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let stream = indexed_stream(folder.path()).await;
        let store = open(folder.path()).await;
        raw(folder.path()).execute_batch(change).unwrap();
        let read = store.load(vec![(stream, 1)]).await;
        assert!(matches!(read, Err(LogError::Damaged(_))), "{change}: {read:?}");
        store.close().await;
    }
}

/// Changes the file back to the form of the previous version.
fn make_former(folder: &Path) {
    raw(folder)
        .execute_batch(
            "drop table events_in_streams; drop table events_indexed; \
             create unique index events_by_stream on events (stream_id, stream_kind, version); \
             pragma user_version = 6;",
        )
        .unwrap();
}

#[tokio::test]
async fn the_index_of_an_older_store_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    for number in 0..20 {
        step(&store, &mut shop, number).await;
    }
    let before = whole_log(&store).await;
    store.close().await;
    make_former(folder.path());
    let store = open(folder.path()).await;
    let events = before.len() as u64;
    assert_eq!(indexed(folder.path()), (events, events), "all of it at once");
    is_whole(&store, &shop, "taken over").await;
    versions_are_judged(&store, &shop, "taken over").await;
    step(&store, &mut shop, 0).await;
    is_whole(&store, &shop, "gone on").await;
    assert_eq!(whole_log(&store).await[..before.len()], before);
    store.close().await;
    let left = "select count(*) from sqlite_schema where name = 'events_by_stream'";
    assert_eq!(raw(folder.path()).query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    store_is_refused_to_the_program_before(folder.path());
}

/// The previous program knows six versions, and refuses newer ones.
fn store_is_refused_to_the_program_before(folder: &Path) {
    let version: u32 = raw(folder).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 7);
}

/// A log whose index lacks more than a few runs, for example one that was assembled by hand: they
/// are entered before anything is written, and until then the log is readable.
#[tokio::test]
async fn an_index_that_lacks_much_is_entered_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    for number in 0..30 {
        step(&store, &mut shop, number).await;
    }
    store.close().await;
    raw(folder.path()).execute_batch("delete from events_in_streams; update events_indexed set position = 0").unwrap();
    let reader = beside(folder.path());
    is_whole(&reader, &shop, "without an index").await;
    whole_log(&reader).await;
    let store = open(folder.path()).await;
    let (entries, up_to) = indexed(folder.path());
    assert_eq!((entries, entries), (up_to, shop.values().sum::<u64>()));
    is_whole(&store, &shop, "entered").await;
    is_whole(&reader, &shop, "entered meanwhile").await;
    reader.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_copy_has_its_index() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path()).await;
    let mut shop = Shop::new();
    for number in 0..10 {
        step(&store, &mut shop, number).await;
    }
    // The copy's index is made from the events, whatever the state of the original index.
    raw(folder.path()).execute_batch("delete from events_in_streams where version = 2").unwrap();
    let head = store.copy_to(copy.path(), &mut |_, _| {}).await.unwrap();
    store.close().await;
    assert_eq!(indexed(copy.path()), (head.get(), head.get()));
    let reader = beside(copy.path());
    is_whole(&reader, &shop, "of the copy").await;
    whole_log(&reader).await;
    reader.close().await;
    let store = open(copy.path()).await;
    versions_are_judged(&store, &shop, "of the copy").await;
    step(&store, &mut shop, 0).await;
    is_whole(&store, &shop, "of the copy").await;
    store.close().await;
}

/// Snapshots end with an event, which is looked up like all others.
#[tokio::test]
async fn snapshots_are_kept_however_far_the_run_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let stream = stock();
    for version in 1..=30 {
        fill(&store, stream, version - 1, 1).await;
        fill(&store, order(), 0, version % 3).await;
        let snapshot =
            Snapshot { stream, version: Version::new(version), state_version: 1, state: version.to_string() };
        store.save_snapshots(vec![snapshot.clone()]).await.unwrap();
        let loaded = store.load(vec![(stream, 1)]).await.unwrap().remove(0);
        assert_eq!((loaded.snapshot, loaded.events.len()), (Some(snapshot), 0), "version {version}");
        whole_log(&store).await;
    }
    store.close().await;
}
