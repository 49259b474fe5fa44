//! A log that lacks what its folder knew of it is not opened for writing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jangbu_kernel::Position;
use jangbu_kernel::log::EventLog as _;
use jangbu_store::{SqliteStore, Store as _, StoreError, sqlite};

use crate::fixture::{fill, order, whole_log};

fn open(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder, sqlite::Options::default())
}

/// A folder whose log has this many events and was closed properly.
async fn grown(folder: &Path, events: u64) {
    let store = open(folder).unwrap();
    store.migrate().await.unwrap();
    fill(&store, order(), 0, events).await;
    store.close().await;
}

/// Copies the log and the keys of a closed folder, without what the folder knew of them.
fn copy(from: &Path, to: &Path) {
    for name in ["log.db", "keys.db"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

async fn holds(folder: &Path, events: u64) {
    let store = open(folder).unwrap();
    store.migrate().await.unwrap();
    assert_eq!(whole_log(&store).await.len() as u64, events);
    store.close().await;
}

/// Waits until the mark names the position: it is left after the append was answered.
async fn is_marked(folder: &Path, position: u64) {
    let wanted = format!("\"position\":{position}");
    for _ in 0..1_000 {
        if fs::read_to_string(folder.join("log.mark")).is_ok_and(|mark| mark.contains(&wanted)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("log.mark does not say {position}");
}

fn is_refused(folder: &Path, words: &str) {
    let error = open(folder).unwrap_err().to_string();
    assert!(error.contains(words) && error.contains("backup"), "{error}");
}

#[tokio::test]
async fn a_log_that_is_missing_or_empty_is_refused_where_there_was_one() {
    for witness in ["log.mark", "views.db", "log.db-wal", "keys.db"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(witness), "something").unwrap();
        is_refused(folder.path(), "is not there");
        fs::write(folder.path().join("log.db"), "").unwrap();
        is_refused(folder.path(), "is empty");
        assert_eq!(fs::metadata(folder.path().join("log.db")).unwrap().len(), 0, "nothing is made in its place");
        fs::remove_file(folder.path().join(witness)).unwrap();
        grown(folder.path(), 1).await;
    }
    // A key may be put into a folder for a new shop, but not beside an empty log.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("master.key"), "key").unwrap();
    fs::write(folder.path().join("log.db"), "").unwrap();
    is_refused(folder.path(), "master.key");
    fs::remove_file(folder.path().join("log.db")).unwrap();
    grown(folder.path(), 1).await;
}

#[tokio::test]
async fn a_log_of_before_in_the_same_file_is_refused_until_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (log, kept) = (folder.path().join("log.db"), folder.path().join("kept"));
    grown(folder.path(), 5).await;
    fs::copy(&log, &kept).unwrap();
    grown(folder.path(), 3).await;
    // Written in place: the file is the same one, and its former content is lost.
    fs::write(&log, fs::read(&kept).unwrap()).unwrap();
    is_refused(folder.path(), "ends at position 5");
    is_refused(folder.path(), "log.mark");
    sqlite::accept_log(folder.path()).unwrap();
    holds(folder.path(), 5).await;
    sqlite::accept_log(folder.path()).unwrap();
    sqlite::accept_log(folder.path()).unwrap();
}

#[tokio::test]
async fn a_log_with_other_events_at_the_end_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    grown(one.path(), 5).await;
    copy(one.path(), two.path());
    grown(one.path(), 3).await;
    grown(two.path(), 4).await;
    fs::write(one.path().join("log.db"), fs::read(two.path().join("log.db")).unwrap()).unwrap();
    is_refused(one.path(), "another event at position 8");
}

#[tokio::test]
async fn another_shops_log_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    grown(one.path(), 5).await;
    grown(two.path(), 9).await;
    fs::remove_file(one.path().join("log.db")).unwrap();
    fs::copy(two.path().join("log.db"), one.path().join("log.db")).unwrap();
    is_refused(one.path(), "is another log");
}

#[tokio::test]
async fn a_copy_of_a_folder_is_taken_as_it_is() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    grown(one.path(), 5).await;
    copy(one.path(), two.path());
    grown(one.path(), 3).await;
    // As when the copy of a running shop copies the log first.
    fs::copy(one.path().join("log.mark"), two.path().join("log.mark")).unwrap();
    holds(two.path(), 5).await;
    holds(two.path(), 5).await;
}

/// The write-ahead log is lost while the process that wrote it still has it open: only what had
/// been moved into the file is left of the log.
#[tokio::test]
async fn a_lost_write_ahead_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    grown(folder.path(), 5).await;
    let store = open(folder.path()).unwrap();
    fill(&store, order(), 0, 3).await;
    assert_eq!(store.head().await.unwrap(), Position::new(8));
    is_marked(folder.path(), 8).await;
    // A process that is killed releases its lock; here the same files are linked into another
    // folder.
    let after = tempfile::tempdir().unwrap();
    for name in ["log.db", "keys.db", "log.mark"] {
        fs::hard_link(folder.path().join(name), after.path().join(name)).unwrap();
    }
    is_refused(after.path(), "position 8 was reached");
    store.close().await;
}
