//! Backups and their keys: those of newer backups, and those of earlier versions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jangbu_app::backup::{back_up, restore};
use jangbu_app::config::{Flags, Settings, Sources};
use jangbu_app::engine;
use jangbu_app::node::{Node, NodeOptions};
use jangbu_kernel::{Position, UserId};
use jangbu_store::{Store, verify_log};
use rusqlite::Connection;
use serde_json::Value;
use sqlx::Connection as _;
use tempfile::TempDir;
use uuid::Uuid;

/// The master key of the shops of these tests, in hexadecimal.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn private_folder() -> TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

fn settings(folder: &Path, database: Option<&str>) -> Settings {
    let mut environment = vec![
        ("JANGBU_LISTEN", "127.0.0.1:0"),
        ("JANGBU_ADMIN_PASSWORD", "correct horse battery"),
        ("JANGBU_MASTER_KEY", KEY),
    ];
    environment.extend(database.map(|url| ("JANGBU_DATABASE_URL", url)));
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let flags = Flags { data_dir: Some(folder.join("data")), ..Flags::default() };
    Settings::resolve(&Sources { flags, environment }).unwrap()
}

/// A shop that was served once, with one person.
struct Shop {
    folder: TempDir,
    settings: Settings,
    person: UserId,
}

/// A person's wrapped key; no test opens it.
const WRAPPED: [u8; 60] = [0xA7; 60];

impl Shop {
    async fn open() -> Self {
        let folder = private_folder();
        let settings = settings(folder.path(), None);
        Node::start(settings.clone(), NodeOptions::default()).await.unwrap().stop().await;
        let person = UserId::new(Uuid::now_v7());
        let shop = Self { folder, settings, person };
        let store = shop.store().await;
        store.put_user_key(person, WRAPPED.to_vec()).await.unwrap();
        store.close().await;
        shop
    }

    async fn store(&self) -> Arc<dyn Store> {
        engine::open_existing(&self.settings).await.unwrap()
    }

    async fn forget(&self) {
        let store = self.store().await;
        store.destroy_user_key(self.person).await.unwrap();
        store.close().await;
    }

    async fn backup(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        back_up(&self.settings, &folder, false, &mut |_, _, _| {}).await.unwrap();
        folder
    }
}

/// What a restore brought for a person.
async fn restored(settings: &Settings, backup: &Path, keys: Option<&Path>, person: UserId) -> Option<Option<Vec<u8>>> {
    restore(settings, backup, keys, &mut |_, _, _| {}).await.unwrap();
    let store = engine::open_existing(settings).await.unwrap();
    store.migrate().await.unwrap();
    let found = store.user_key(person).await.unwrap();
    let events = store.head().await.unwrap();
    assert!(events > Position::ZERO && verify_log(&*store, |_| {}).await.unwrap().flaws.is_empty());
    store.close().await;
    // The shop's own secrets were restored: it starts, and creates no new admin.
    let node = Node::start(settings.clone(), NodeOptions::default()).await.unwrap();
    assert_eq!(node.first_admin(), None);
    node.stop().await;
    found
}

async fn refused(backup: &Path, keys: Option<&Path>, why: &str) {
    let place = private_folder();
    let settings = settings(place.path(), None);
    let error = restore(&settings, backup, keys, &mut |_, _, _| {}).await.unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains(why), "{said}");
    assert!(!settings.data_file("log.db").exists() && !settings.data_file("keys.db").exists());
}

#[tokio::test]
async fn an_older_backup_with_newer_keys_does_not_bring_the_forgotten_back() {
    let shop = Shop::open().await;
    let older = shop.backup("older").await;
    shop.forget().await;
    let newer = shop.backup("newer").await;
    let place = private_folder();
    let with_its_own = restored(&settings(place.path(), None), &older, None, shop.person).await;
    assert_eq!(with_its_own, Some(Some(WRAPPED.to_vec())), "the older backup alone still has the key");
    let place = private_folder();
    let with_newer = restored(&settings(place.path(), None), &older, Some(&newer), shop.person).await;
    assert_eq!(with_newer, Some(None));

    std::fs::remove_file(older.join("keys.db")).unwrap();
    refused(&older, None, "--keys").await;
    refused(&newer, Some(&older), "were deleted").await;
    let place = private_folder();
    assert_eq!(restored(&settings(place.path(), None), &older, Some(&newer), shop.person).await, Some(None));

    let another = Shop::open().await;
    let of_another = another.backup("one").await;
    refused(&older, Some(&of_another), "of another shop").await;
}

#[tokio::test]
async fn keys_of_an_older_backup_are_refused() {
    let shop = Shop::open().await;
    let older = shop.backup("older").await;
    let newer = shop.backup("newer").await;
    refused(&newer, Some(&older), "is older than").await;
}

/// Turns a backup into one of an earlier version: keys in the log, receipts with keys in the clear,
/// SQLite's own index of streams, and no further files.
fn make_former(backup: &Path) {
    let log = Connection::open(backup.join("log.db")).unwrap();
    log.execute("attach ?1 as keys", [backup.join("keys.db").to_str()]).unwrap();
    log.execute_batch(
        "create table main.user_keys (owner blob primary key, wrapped blob) strict, without rowid;
         create table main.secrets (name text primary key, wrapped blob not null) strict, without rowid;
         insert into main.user_keys select owner, wrapped from keys.user_keys;
         insert into main.secrets select name, wrapped from keys.secrets;
         alter table receipts rename column key_hash to key;
         create table former (number integer primary key, scope text not null, key text not null,
             fingerprint blob not null, stream_kind text not null, stream_id blob not null,
             version integer not null, position integer not null, recorded_at integer not null) strict;
         insert into former select number, scope, hex(key), fingerprint, stream_kind, stream_id, version,
             position, recorded_at from receipts;
         drop table receipts;
         alter table former rename to receipts;
         drop table events_in_streams;
         drop table events_indexed;
         create unique index main.events_by_stream on events (stream_id, stream_kind, version);
         pragma user_version = 4;
         detach keys;",
    )
    .unwrap();
    log.close().unwrap();
    std::fs::remove_file(backup.join("keys.db")).unwrap();
    let path = backup.join("manifest.json");
    let mut manifest: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let files = manifest["files"].as_array_mut().unwrap();
    files.retain(|file| file["name"] != "keys.db");
    let bytes = std::fs::read(backup.join("log.db")).unwrap();
    let entry = files.iter_mut().find(|file| file["name"] == "log.db").unwrap();
    entry["bytes"] = bytes.len().into();
    let hash = digest(&SHA256, &bytes);
    entry["sha256"] = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    std::fs::write(&path, manifest.to_string()).unwrap();
}

/// A database of its own on the server that `JANGBU_TEST_DATABASE_URL` names.
async fn database() -> String {
    let url = std::env::var("JANGBU_TEST_DATABASE_URL").expect("JANGBU_TEST_DATABASE_URL: run ./test, which sets it");
    let name = format!("jangbu_backup_{}", Uuid::new_v4().simple());
    let mut server = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_restored_on_either_engine() {
    let shop = Shop::open().await;
    let former = shop.backup("former").await;
    shop.forget().await;
    let newer = shop.backup("newer").await;
    make_former(&former);
    refused(&former, Some(&former), "by an earlier version").await;
    for keys in [None, Some(newer.as_path())] {
        for url in [None, Some(database().await)] {
            let place = private_folder();
            let settings = settings(place.path(), url.as_deref());
            let found = restored(&settings, &former, keys, shop.person).await;
            assert_eq!(found, Some(keys.is_none().then(|| WRAPPED.to_vec())), "{url:?}");
            assert!(!settings.data_file("log.restoring").exists(), "nothing is left lying about");
        }
    }
}
