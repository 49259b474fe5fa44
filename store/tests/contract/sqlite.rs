//! What SQLite promises beyond the contract.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, StreamWrite};
use jangbu_kernel::ports::Checkpoints as _;
use jangbu_store::{Flaw, SqliteStore, Store as _, StoreError, seal_to_head, sqlite, verify_log};
use rusqlite::Connection;

use crate::fixture::{Still, append, append_one, event, eventually, fill, order, stock, whole_log, write};

const CHILD_FOLDER: &str = "JANGBU_TEST_KILL_FOLDER";

async fn open(folder: &Path) -> SqliteStore {
    let store = SqliteStore::open(folder, sqlite::Options::default()).unwrap();
    store.migrate().await.unwrap();
    store
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("log.db")).unwrap()
}

#[tokio::test]
async fn a_second_writing_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let second = SqliteStore::open(folder.path(), sqlite::Options::default());
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    store.close().await;
    open(folder.path()).await.close().await;
}

#[tokio::test]
async fn a_reader_beside_the_server_reads_and_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let none = SqliteStore::open_read_only(folder.path(), sqlite::Options::default());
    assert!(matches!(none, Err(StoreError::Open(_))), "{none:?}");

    let store = open(folder.path()).await;
    fill(&store, order(), 0, 3).await;
    let reader = SqliteStore::open_read_only(folder.path(), sqlite::Options::default()).unwrap();
    let mut head = reader.watch_head();
    assert_eq!((head.current(), whole_log(&reader).await.len()), (3, 3));
    fill(&store, order(), 0, 2).await;
    while head.current() < 5 {
        assert!(tokio::time::timeout(crate::fixture::LIMIT, head.changed()).await.unwrap());
    }
    let refused = reader.append(vec![append([write(order(), 0, 1)])]).await;
    assert!(matches!(refused, Err(LogError::ReadOnly(_))), "{refused:?}");
    assert!(matches!(reader.advance("a", 1).await, Err(LogError::ReadOnly(_))));
    assert!(matches!(reader.migrate().await, Err(StoreError::ReadOnly)));
    store.close().await;
    assert_eq!(whole_log(&reader).await.len(), 5, "also when the server has gone");
    reader.close().await;
    let later = SqliteStore::open_read_only(folder.path(), sqlite::Options::default()).unwrap();
    assert_eq!(whole_log(&later).await.len(), 5, "also when it was never there");
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let known = store.known_schema_version();
    store.close().await;
    raw(folder.path()).pragma_update(None, "user_version", known + 1).unwrap();
    for opened in [
        SqliteStore::open(folder.path(), sqlite::Options::default()),
        SqliteStore::open_read_only(folder.path(), sqlite::Options::default()),
    ] {
        assert!(matches!(opened, Err(StoreError::Newer { found, .. }) if found == known + 1), "{opened:?}");
    }
}

#[tokio::test]
async fn events_and_roots_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 3).await;
    seal_to_head(&store, &Still).await.unwrap();
    let database = raw(folder.path());
    for change in [
        "update events set payload = '{}' where position = 2",
        "delete from events where position = 3",
        "update sealed_roots set size = 9",
        "delete from sealed_roots",
    ] {
        let error = database.execute(change, []).unwrap_err();
        assert!(error.to_string().contains("never changed"), "{change}: {error}");
    }
    store.close().await;
}

#[tokio::test]
async fn tampering_is_found() {
    let drop_guards = "drop trigger events_are_not_updated; drop trigger events_are_not_deleted;";
    for (tampering, expected) in [
        ("update events set payload = replace(payload, '1', '7') where position = 2", Flaw::Hash { position: 2 }),
        ("update events set actor = 'anonymous' where position = 4", Flaw::Hash { position: 4 }),
        ("delete from events where position = 3", Flaw::Position { expected: 3, found: 4 }),
        ("delete from events where position > 3", Flaw::Truncated { sealed: 5, head: 3 }),
        ("update events set version = 9 where position = 5", Flaw::Hash { position: 5 }),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        fill(&store, order(), 0, 5).await;
        seal_to_head(&store, &Still).await.unwrap();
        assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, None);
        raw(folder.path()).execute_batch(&format!("{drop_guards} {tampering};")).unwrap();
        assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, Some(expected), "after {tampering}");
        store.close().await;
    }
}

/// A row rewritten together with its hash is consistent in itself; the sealed root tells.
#[tokio::test]
async fn a_forged_hash_is_found_by_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 5).await;
    seal_to_head(&store, &Still).await.unwrap();
    let mut row = jangbu_store::Ledger::rows(&store, 1, 1).await.unwrap().remove(0);
    row.payload = "{\"n\":700}".into();
    let database = raw(folder.path());
    database.execute_batch("drop trigger events_are_not_updated").unwrap();
    database
        .execute(
            "update events set payload = ?1, hash = ?2 where position = 2",
            rusqlite::params![row.payload, row.leaf_hash()],
        )
        .unwrap();
    assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, Some(Flaw::Root { size: 5 }));
    store.close().await;
}

#[tokio::test]
async fn a_frontier_that_does_not_give_its_root_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 3).await;
    seal_to_head(&store, &Still).await.unwrap();
    raw(folder.path()).execute("update sealed_frontier set peaks = zeroblob(64)", []).unwrap();
    let refused = seal_to_head(&store, &Still).await;
    assert!(matches!(refused, Err(LogError::Damaged(_))), "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(folder.path(), sqlite::Options { max_pages: Some(60), ..Default::default() }).unwrap();
    store.migrate().await.unwrap();
    let stream = stock();
    let large = |version| StreamWrite { stream, expected_version: version, events: vec![event("x".repeat(20_000))] };
    let mut version = 0;
    let error = loop {
        match store.append(vec![append([large(version)])]).await {
            Ok(_) => version += 1,
            Err(error) => break error,
        }
        assert!(version < 100, "the limit was never met");
    };
    assert!(matches!(error, LogError::ReadOnly(_)), "{error:?}");
    assert!(version > 0);
    let left = std::fs::metadata(folder.path().join("log.db-wal")).unwrap().len();
    assert_eq!(left, 0, "the disk has back what the write-ahead log took");
    assert_eq!(whole_log(&store).await.len() as u64, version, "what was acknowledged is there, the rest is not");
    store.close().await;
    let freed = open(folder.path()).await;
    assert!(matches!(append_one(&freed, append([large(version)])).await, AppendResult::Appended { .. }));
    freed.close().await;
}

/// Three times in a row a child process is killed in the middle of its appends;
/// whatever it had been told is in the log, which is whole.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..3_usize {
        let folder = folder.path().to_owned();
        let told = tokio::task::spawn_blocking(move || kill_after(&folder, 40 + round * 37)).await.unwrap();
        assert!(told.len() >= 40, "the child was not appending");
        acknowledged.extend(told);
    }
    let store = open(folder.path()).await;
    let log = whole_log(&store).await;
    for (position, id) in acknowledged {
        assert_eq!(log[position as usize - 1].event_id.to_string(), id, "an acknowledged event was lost");
    }
    fill(&store, order(), 0, 3).await;
    store.close().await;
}

/// Runs the child until it has told so many acknowledgements, and kills it.
fn kill_after(folder: &Path, lines: usize) -> Vec<(u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::child_that_appends_until_killed", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    let parse = |line: &str| {
        let (position, id) = line.strip_prefix("ACK ")?.split_once(' ')?;
        Some((position.parse().ok()?, id.to_owned()))
    };
    while told.len() < lines {
        let line = output.next().expect("the child ended by itself").unwrap();
        told.extend(parse(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The last line may be cut short by the kill; an id that is whole was acknowledged.
    told.extend(output.map_while(Result::ok).filter_map(|line| parse(&line)).filter(|(_, id)| id.len() == 36));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the test above runs it in a process of its own and kills it"]
async fn child_that_appends_until_killed() {
    let folder = std::env::var(CHILD_FOLDER).expect("run by the kill test only");
    let store = open(folder.as_ref()).await;
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(append_for_ever(store.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn append_for_ever(store: SqliteStore) {
    let (one, two) = (order(), stock());
    for n in 0.. {
        let batch = vec![append([write(one, n * 3, 3), write(two, n, 1)])];
        for result in store.append(batch).await.unwrap() {
            let AppendResult::Appended { events } = result else { panic!("{result:?}") };
            let lines: String =
                events.iter().map(|event| format!("ACK {} {}\n", event.position, event.event_id)).collect();
            // One write for all of them, past the test harness and its buffer.
            std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_reopens_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 30).await;
    let before = whole_log(&store).await;
    store.close().await;
    let wal = folder.path().join("log.db-wal");
    assert!(!wal.exists() || std::fs::metadata(wal).unwrap().len() == 0, "the write-ahead log was not folded in");
    let store = open(folder.path()).await;
    assert_eq!(whole_log(&store).await, before);
    let store_again = store.clone();
    eventually("a dropped handle does not close the store", async || store_again.head().await.unwrap() == 30).await;
    store.close().await;
}
