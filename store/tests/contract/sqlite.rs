//! What SQLite guarantees beyond the contract.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, StreamWrite};
use jangbu_kernel::ports::Checkpoints as _;
use jangbu_kernel::{Position, Version};
use jangbu_store::{SqliteStore, Store as _, StoreError, seal_to_head, sqlite};
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
    assert_eq!((head.current(), whole_log(&reader).await.len()), (Position::new(3), 3));
    fill(&store, order(), 0, 2).await;
    while head.current() < Position::new(5) {
        assert!(tokio::time::timeout(crate::fixture::LIMIT, head.changed()).await.unwrap());
    }
    let refused = reader.append(vec![append([write(order(), 0, 1)])]).await;
    assert!(matches!(refused, Err(LogError::ReadOnly(_))), "{refused:?}");
    assert!(matches!(reader.advance("a", Position::FIRST).await, Err(LogError::ReadOnly(_))));
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
    let large = |version| StreamWrite {
        stream,
        expected_version: version,
        events: vec![event("x".repeat(20_000))],
        meta: None,
    };
    let mut version = 0;
    let error = loop {
        match store.append(vec![append([large(Version::new(version))])]).await {
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
    assert!(matches!(append_one(&freed, append([large(Version::new(version))])).await, AppendResult::Appended { .. }));
    freed.close().await;
}

/// Three times in a row a child process is killed in the middle of its appends. Everything that was
/// acknowledged is in the log, which is intact.
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

/// Runs the child until it has reported this many acknowledgements, and kills it.
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
    // The kill may cut the last line short; a complete id was acknowledged.
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
            // One write for all of them, bypassing the test harness and its buffer.
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
    eventually("a dropped handle does not close the store", async || {
        store_again.head().await.unwrap() == Position::new(30)
    })
    .await;
    store.close().await;
}

/// A commit that the database refuses at its very end, because of a foreign key that is checked
/// only then: no follower sees its events, and its positions go to the next append.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_is_followed_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 1).await;
    let database = raw(folder.path());
    database
        .execute_batch(
            "create table none (id integer primary key); \
             create table refused (id integer references none (id) deferrable initially deferred); \
             create trigger refuse after insert on events begin insert into refused values (1); end;",
        )
        .unwrap();
    let failed = store.append(vec![append([write(order(), 0, 2)])]).await;
    assert!(matches!(failed, Err(LogError::Unavailable(..))), "it surely is not there: {failed:?}");
    assert!(!store.has_failed(), "the next may well succeed");
    database.execute_batch("drop trigger refuse").unwrap();
    let stream = order();
    let appended = append_one(&store, append([write(stream, 0, 3)])).await;
    assert_eq!(crate::fixture::positions(&appended), [2, 3, 4]);
    // The head moves a moment after the answer.
    eventually("what followed is followed", async || {
        let (followed, _) = store.follow(Position::FIRST, 10, &Default::default()).await.unwrap();
        followed.len() == 3 && followed.iter().all(|event| event.stream == stream)
    })
    .await;
    store.close().await;
}

const LIMITED_FOLDER: &str = "JANGBU_TEST_LIMITED_FOLDER";

/// The system refuses to write the end of a commit. It is then unknown what is stored, and that is
/// what the caller is told; nothing more is accepted.
#[tokio::test]
async fn a_commit_that_could_not_be_written_is_told_as_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, order(), 0, 1).await;
    store.close().await;
    // In blocks of 512 bytes. Without the trap the signal would end the process.
    let script =
        "trap '' XFSZ; ulimit -f 1024; exec \"$0\" --exact sqlite::child_whose_files_are_limited --ignored --nocapture";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED_FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged: usize = said.lines().find_map(|line| line.strip_prefix("ACKNOWLEDGED ")?.parse().ok()).unwrap();
    let store = open(folder.path()).await;
    let found = whole_log(&store).await.len();
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} found, {acknowledged} acknowledged");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the test above runs it in a process of its own under a limit"]
async fn child_whose_files_are_limited() {
    let folder = std::env::var(LIMITED_FOLDER).expect("run by the test of limited files only");
    let store = open(folder.as_ref()).await;
    let stream = stock();
    let mut acknowledged = 1;
    let error = loop {
        let large = StreamWrite {
            stream,
            expected_version: Version::new(acknowledged - 1),
            events: vec![event(format!("\"{}\"", "x".repeat(20_000)))],
            meta: None,
        };
        match store.append(vec![append([large])]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 200, "the limit was never met");
    };
    assert!(matches!(error, LogError::OutcomeUnknown(_)), "told as {error:?}");
    assert!(store.has_failed());
    let next = store.append(vec![append([write(order(), 0, 1)])]).await;
    assert!(matches!(next, Err(LogError::Unavailable(..))), "{next:?}");
    std::io::stdout().lock().write_all(format!("ACKNOWLEDGED {acknowledged}\n").as_bytes()).unwrap();
}
