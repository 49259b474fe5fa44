//! The embedded store's keys in their own file: a destroyed key is in no file, and keys that
//! earlier versions stored in the log are moved without loss.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use jangbu_kernel::log::EventLog as _;
use jangbu_kernel::ports::KeyStore as _;
use jangbu_kernel::{Position, UserId};
use jangbu_store::{SqliteStore, Store as _, StoreError, sqlite, verify_log};
use rusqlite::{Connection, params};

use crate::fixture::{append, append_one, new_id, order, write};

/// Enough people for pages to be split and joined.
const PERSONS: usize = 300;

type Wrapped = BTreeMap<UserId, Option<Vec<u8>>>;

/// The length is that of a wrapped key.
fn random_bytes() -> Vec<u8> {
    let mut bytes = vec![0; 60];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// Ids of the shop sort in the order of registration; these have a random order.
fn person() -> UserId {
    let random: [u8; 16] = random_bytes()[..16].try_into().unwrap();
    UserId::new(uuid::Builder::from_random_bytes(random).into_uuid())
}

fn persons() -> Wrapped {
    (0..PERSONS).map(|_| (person(), Some(random_bytes()))).collect()
}

fn open(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder, sqlite::Options::default())
}

async fn ready(folder: &Path) -> SqliteStore {
    let store = open(folder).unwrap();
    store.migrate().await.unwrap();
    store
}

/// How many of these keys each file of a folder contains; files with none are left out.
fn files_with<'a>(folder: &Path, keys: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<(String, usize)> {
    // Eight random bytes do not occur by chance.
    let wanted: HashSet<&[u8]> = keys.into_iter().map(|key| &key[20..28]).collect();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let bytes = fs::read(entry.path()).unwrap();
        let found: HashSet<&[u8]> = bytes.windows(8).filter(|part| wanted.contains(part)).collect();
        if !found.is_empty() {
            files.push((entry.file_name().into_string().unwrap(), found.len()));
        }
    }
    files
}

/// Checks that all of these keys are in their file, and none is anywhere else.
fn are_where_they_belong(folder: &Path, keys: &Wrapped) {
    let living: Vec<&Vec<u8>> = keys.values().flatten().collect();
    assert_eq!(files_with(folder, living.iter().copied()), [("keys.db".to_owned(), living.len())]);
}

async fn holds(store: &SqliteStore, expected: &Wrapped) {
    for (owner, wrapped) in expected {
        assert_eq!(store.user_key(*owner).await.unwrap().as_ref(), Some(wrapped));
    }
}

/// Searches for the bytes while the store is open, and in the files of a closed store.
#[tokio::test]
async fn a_destroyed_key_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = ready(folder.path()).await;
    let mut keys = persons();
    for (owner, wrapped) in &keys {
        store.put_user_key(*owner, wrapped.clone().unwrap()).await.unwrap();
    }
    let gone: Vec<(UserId, Vec<u8>)> =
        keys.iter().step_by(3).map(|(owner, wrapped)| (*owner, wrapped.clone().unwrap())).collect();
    are_where_they_belong(folder.path(), &keys);
    for group in gone.chunks(20) {
        for (owner, _) in group {
            store.destroy_user_key(*owner).await.unwrap();
            keys.insert(*owner, None);
        }
        assert_eq!(files_with(folder.path(), group.iter().map(|(_, wrapped)| wrapped)), []);
    }
    holds(&store, &keys).await;
    store.close().await;
    assert_eq!(files_with(folder.path(), gone.iter().map(|(_, wrapped)| wrapped)), []);
    are_where_they_belong(folder.path(), &keys);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_of_keys_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = ready(folder.path()).await;
    store.put_user_key(person(), random_bytes()).await.unwrap();
    for file in ["keys.db", "keys.db-journal"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(fs::metadata(folder.path().join("keys.db-journal")).unwrap().len(), 0, "it is empty after each commit");
    store.close().await;
}

/// A folder of a version that stored the keys in the log, with an event, keys and a secret.
fn former(folder: &Path, keys: &Wrapped) {
    let log = Connection::open(folder.join("log.db")).unwrap();
    log.query_row("pragma journal_mode = wal", [], |_| Ok(())).unwrap();
    for script in [
        include_str!("../../../migrations/sqlite/0001_log.sql"),
        include_str!("../../../migrations/sqlite/0002_receipts.sql"),
        include_str!("../../../migrations/sqlite/0003_log_identity.sql"),
        include_str!("../../../migrations/sqlite/0004_parked_processes.sql"),
    ] {
        log.execute_batch(script).unwrap();
    }
    log.pragma_update(None, "user_version", 4).unwrap();
    for (owner, wrapped) in keys {
        let insert = "insert into user_keys (owner, wrapped) values (?1, ?2)";
        log.execute(insert, params![owner.uuid().as_bytes(), wrapped]).unwrap();
    }
    log.execute("insert into secrets (name, wrapped) values ('signing', x'0102')", []).unwrap();
}

async fn is_moved(folder: &Path, keys: &Wrapped) {
    let store = ready(folder).await;
    holds(&store, keys).await;
    assert_eq!(store.secret("signing").await.unwrap(), Some(vec![1, 2]));
    append_one(&store, append([write(order(), 0, 1)])).await;
    are_where_they_belong(folder, keys);
    store.close().await;
    are_where_they_belong(folder, keys);
    let log = Connection::open(folder.join("log.db")).unwrap();
    let left = "select count(*) from sqlite_schema where name in ('user_keys', 'secrets')";
    assert_eq!(log.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    let due = "select scrub_keys + scrub_log from upkeep";
    let kept = Connection::open(folder.join("keys.db")).unwrap();
    assert_eq!(kept.query_row(due, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "nothing is left to be done");
}

#[tokio::test]
async fn the_keys_of_a_former_store_are_moved_out_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = persons();
    keys.insert(person(), None);
    former(folder.path(), &keys);
    is_moved(folder.path(), &keys).await;
    is_moved(folder.path(), &keys).await;
}

/// The states that an interrupted move leaves: no tables yet; tables without rows; everything
/// copied and nothing removed from the log; everything done except the overwriting.
#[tokio::test]
async fn a_move_that_was_broken_off_is_done_again() {
    let (folder, done) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut keys = persons();
    former(done.path(), &keys);
    let former_log = fs::read(done.path().join("log.db")).unwrap();
    is_moved(done.path(), &keys).await;
    let copied = fs::read(done.path().join("keys.db")).unwrap();
    let tables = {
        let scratch = tempfile::tempdir().unwrap();
        let database = Connection::open(scratch.path().join("keys.db")).unwrap();
        database.execute_batch(include_str!("../../../migrations/keys/0001_keys.sql")).unwrap();
        database.pragma_update(None, "user_version", 1).unwrap();
        drop(database);
        fs::read(scratch.path().join("keys.db")).unwrap()
    };
    for broken_off in [Vec::new(), tables, copied] {
        fs::write(folder.path().join("log.db"), &former_log).unwrap();
        fs::write(folder.path().join("keys.db"), broken_off).unwrap();
        sqlite::accept_log(folder.path()).unwrap();
        is_moved(folder.path(), &keys).await;
    }
    let kept = Connection::open(folder.path().join("keys.db")).unwrap();
    kept.execute_batch("update upkeep set scrub_keys = 1, scrub_log = 1").unwrap();
    drop(kept);
    is_moved(folder.path(), &keys).await;

    // An older log is put back: people whose keys were destroyed since then stay destroyed, and
    // people who are in only one of the two are kept.
    let store = ready(folder.path()).await;
    let (forgotten, newcomer) = (*keys.keys().next().unwrap(), person());
    store.destroy_user_key(forgotten).await.unwrap();
    let newest = random_bytes();
    store.put_user_key(newcomer, newest.clone()).await.unwrap();
    store.close().await;
    fs::write(folder.path().join("log.db"), &former_log).unwrap();
    sqlite::accept_log(folder.path()).unwrap();
    keys.insert(forgotten, None);
    keys.insert(newcomer, Some(newest));
    is_moved(folder.path(), &keys).await;
}

#[tokio::test]
async fn keys_of_another_shop_are_not_mixed_with_those_of_the_log() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = persons();
    former(one.path(), &keys);
    let store = ready(two.path()).await;
    store.put_secret("signing", vec![9]).await.unwrap();
    store.close().await;
    fs::copy(two.path().join("keys.db"), one.path().join("keys.db")).unwrap();
    let store = open(one.path()).unwrap();
    let refused = store.migrate().await.unwrap_err().to_string();
    assert!(refused.contains("another secret \"signing\"") && refused.contains("keys.db"), "{refused}");
    holds(&store, &keys).await;
    store.close().await;
    fs::remove_file(one.path().join("keys.db")).unwrap();
    is_moved(one.path(), &keys).await;
}

/// A log of this version without its keys: no others are made for it.
#[tokio::test]
async fn keys_that_are_gone_are_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = ready(folder.path()).await;
    append_one(&store, append([write(order(), 0, 3)])).await;
    store.close().await;
    let (keys, kept) = (folder.path().join("keys.db"), folder.path().join("kept"));
    fs::rename(&keys, &kept).unwrap();
    for empty in [false, true] {
        if empty {
            fs::write(&keys, "").unwrap();
        }
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(refused, StoreError::KeysMissing { .. }), "{refused}");
        // Whatever needs no keys goes on.
        let reader = SqliteStore::open_read_only(folder.path(), sqlite::Options::default()).unwrap();
        assert_eq!(verify_log(&reader, |_| {}).await.unwrap().flaws, []);
        assert!(reader.user_key(UserId::new(new_id())).await.is_err());
        reader.close().await;
    }
    fs::rename(&kept, &keys).unwrap();
    let store = ready(folder.path()).await;
    assert_eq!(store.head().await.unwrap(), Position::new(3));
    store.close().await;
}

#[tokio::test]
async fn whoever_only_reads_finds_the_keys_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let keys = persons();
    former(folder.path(), &keys);
    for _ in 0..2 {
        let reader = SqliteStore::open_read_only(folder.path(), sqlite::Options::default()).unwrap();
        holds(&reader, &keys).await;
        assert!(reader.any_user_key().await.unwrap().is_some());
        assert!(reader.destroy_user_key(*keys.keys().next().unwrap()).await.is_err());
        reader.close().await;
        ready(folder.path()).await.close().await;
    }
}
