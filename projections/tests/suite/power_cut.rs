//! The file of the embedded read models is not synced while it is in use: it is kept after a kill
//! of the process, and thrown away after a power cut.

use std::path::Path;
use std::sync::Arc;

use jangbu_kernel::Position;
use jangbu_projections::{Boot, Options, PageRequest, Projector, ReadModels};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::fitting::{Shop, Still};

const ORDERS: usize = 20;
const FILES: [&str; 2] = ["views.db", "views.db-wal"];

fn today() -> Boot {
    Boot::named("today")
}

async fn owned(folder: &Path, boot: Boot) -> ReadModels {
    ReadModels::own_sqlite_on(folder, Options { connections: 2 }, boot).await.unwrap()
}

/// A copy of the files at this moment, which is what a kill of the process would leave.
fn left_by_a_kill(folder: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for name in FILES.into_iter().filter(|name| folder.join(name).exists()) {
        std::fs::copy(folder.join(name), left.path().join(name)).unwrap();
    }
    left
}

/// Read models that show a shop, and the folder they are in.
async fn shown(shop: &Shop) -> (TempDir, ReadModels) {
    let folder = tempfile::tempdir().unwrap();
    let models = owned(folder.path(), today()).await;
    shop.shown_in(&models).await.stop().await;
    assert_eq!(orders(&models).await, ORDERS);
    (folder, models)
}

async fn orders(models: &ReadModels) -> usize {
    models.queries().orders(&Default::default(), &PageRequest::default()).await.unwrap().items.len()
}

/// How many orders a start finds in a folder, before anything is built.
async fn found(folder: &Path, boot: Boot) -> usize {
    let models = owned(folder, boot).await;
    let found = orders(&models).await;
    models.close().await;
    found
}

fn set_mark(folder: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(folder.join("views.db")).unwrap();
    connection.execute_batch(statement).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_leaves_is_kept() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    let left = left_by_a_kill(folder.path());
    assert_eq!(found(left.path(), today()).await, ORDERS);
    models.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_cut_leaves_is_built_anew() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    let left = left_by_a_kill(folder.path());
    let anew = owned(left.path(), Boot::named("tomorrow")).await;
    assert_eq!(orders(&anew).await, 0);
    shop.shown_in(&anew).await.stop().await;
    assert_eq!(orders(&anew).await, ORDERS);
    // The new file belongs to the new boot: a kill of this process is an ordinary kill again.
    let left = left_by_a_kill(left.path());
    assert_eq!(found(left.path(), Boot::named("tomorrow")).await, ORDERS);
    anew.close().await;
    models.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_closed_is_kept_on_any_day() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    models.close().await;
    // The file alone: closing has moved everything into it.
    let left = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("views.db"), left.path().join("views.db")).unwrap();
    assert_eq!(found(left.path(), Boot::named("tomorrow")).await, ORDERS);
    assert_eq!(found(left.path(), Boot::named("the day after")).await, ORDERS);
    // Opened again, it is in use again.
    let models = owned(left.path(), today()).await;
    let left = left_by_a_kill(left.path());
    assert_eq!(found(left.path(), Boot::named("tomorrow")).await, 0);
    models.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_once_it_is_closed() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    models.close().await;
    models.close().await;
    assert!(models.queries().problem().await.is_some(), "it can be read no more");
    let projector = Projector::spawn(shop.log(), models.clone(), Arc::new(Still));
    assert!(!projector.wait_for(Position::FIRST, Instant::now()).await);
    projector.stop().await;
    assert_eq!(found(folder.path(), Boot::named("tomorrow")).await, ORDERS, "still closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_a_name_trusts_only_what_was_closed() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let folder = tempfile::tempdir().unwrap();
    let models = owned(folder.path(), Boot::named("")).await;
    shop.shown_in(&models).await.stop().await;
    let left = left_by_a_kill(folder.path());
    assert_eq!(found(left.path(), Boot::named("")).await, 0);
    models.close().await;
    assert_eq!(found(folder.path(), Boot::named("")).await, ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_cannot_be_read_is_no_mark_of_good_order() {
    let shop = Shop::new(0..ORDERS as u128).await;
    for unreadable in [
        "delete from in_use",
        "update in_use set state = 'x', boot = 'today'",
        "drop table in_use; create table in_use (id integer primary key)",
    ] {
        let (folder, models) = shown(&shop).await;
        models.close().await;
        set_mark(folder.path(), unreadable);
        assert_eq!(found(folder.path(), today()).await, 0, "{unreadable}");
    }
}

/// A file of a version that synced what it wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_a_mark_is_kept() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    models.close().await;
    set_mark(folder.path(), "drop table in_use");
    assert_eq!(found(folder.path(), today()).await, ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_cut_left_is_not_read_either() {
    let shop = Shop::new(0..ORDERS as u128).await;
    let (folder, models) = shown(&shop).await;
    let left = left_by_a_kill(folder.path());
    assert!(ReadModels::open_sqlite_to_read(left.path()).unwrap().is_none(), "the machine is called otherwise");
    models.close().await;
    assert!(ReadModels::open_sqlite_to_read(folder.path()).unwrap().is_some());
}
