//! A database that goes back under a running node.

use jangbu_kernel::Position;
use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, ReadFilter};
use jangbu_kernel::ports::{Checkpoints as _, Leases as _};
use jangbu_store::{Ledger as _, PostgresStore, Sealer, Store as _, seal_to_head, verify_log};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{Still, append, append_one, connect, eventually, fill, new_id, order, with_database, write};

/// Sets the log back to a position, as restoring an earlier backup does.
async fn go_back(url: &str, position: u64) {
    let mut database = PgConnection::connect(url).await.unwrap();
    let text = format!(
        "begin; alter table events disable trigger user; alter table sealed_roots disable trigger user; \
         update log_head set position = {position}; delete from events where position > {position}; \
         delete from sealed_roots where size > {position}; delete from sealed_frontier where size > {position}; \
         alter table events enable trigger user; alter table sealed_roots enable trigger user; commit;"
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut database).await.unwrap();
}

fn has_gone_back<T: std::fmt::Debug>(outcome: Result<T, LogError>) {
    let Err(LogError::ReadOnly(text)) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("gone back") && text.contains("start this node again"), "{text}");
}

async fn writes_nothing(store: &PostgresStore) {
    has_gone_back(store.append(vec![append([write(order(), 0, 1)])]).await);
    has_gone_back(store.head().await);
    has_gone_back(store.follow(Position::ZERO, 10, &ReadFilter::default()).await);
    has_gone_back(store.advance("a reader", Position::new(7)).await);
    has_gone_back(store.save_snapshots(Vec::new()).await);
    has_gone_back(store.hold("work", new_id(), Duration::from_secs(1)).await);
    assert_eq!(store.read_all(Position::ZERO, 9, &ReadFilter::default()).await.unwrap().0.len(), 3, "reading goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_writes_nothing_over_a_log_that_has_gone_back() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        fill(&store, order(), 0, 8).await;
        go_back(&url, 3).await;
        // Whichever finds out first: an append, or the poll of the head.
        has_gone_back(store.append(vec![append([write(order(), 0, 1)])]).await);
        writes_nothing(&store).await;
        store.close().await;
        let again = connect(&url).await;
        assert_eq!(again.head().await.unwrap(), Position::new(3), "nothing was written over it");
        assert!(matches!(append_one(&again, append([write(order(), 0, 1)])).await, AppendResult::Appended { .. }));
        again.close().await;
    })
    .await;
}

/// A node that has not noticed it yet must not leave a checkpoint beyond the end of the log: the
/// next events would be skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_checkpoint_is_left_beyond_the_end_of_the_log() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        fill(&store, order(), 0, 8).await;
        go_back(&url, 3).await;
        // Whether or not the node has noticed by now.
        let _ = store.advance("a reader", Position::new(8)).await;
        store.close().await;
        let again = connect(&url).await;
        assert!(again.checkpoint("a reader").await.unwrap() <= Position::new(3));
        again.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_only_looks_finds_out_too() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let stream = order();
        fill(&store, stream, 0, 7).await;
        let other = connect(&url).await;
        // It connected before the head moved, so it has to poll to see the new head.
        fill(&store, stream, 7, 1).await;
        eventually("the other node knows the head", async || {
            let mut watch = other.watch_head();
            watch.current() == Position::new(8)
        })
        .await;
        go_back(&url, 3).await;
        eventually("the look at the head finds out", async || other.head().await.is_err()).await;
        writes_nothing(&other).await;
        store.close().await;
        other.close().await;
    })
    .await;
}

/// Another node has appended since the restore, so the head alone shows nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_history_of_the_same_length_is_found() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        fill(&store, order(), 0, 8).await;
        go_back(&url, 3).await;
        let fresh = connect(&url).await;
        fill(&fresh, order(), 0, 9).await;
        has_gone_back(store.append(vec![append([write(order(), 0, 1)])]).await);
        assert_eq!(fresh.head().await.unwrap(), Position::new(12));
        fresh.close().await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sealed_over_a_log_that_has_gone_back() {
    with_database(async |url: String| {
        let store = Arc::new(connect(&url).await);
        store.migrate().await.unwrap();
        fill(&*store, order(), 0, 8).await;
        let sealer = Sealer::spawn(store.clone(), Arc::new(Still));
        eventually("eight are sealed", async || store.sealed_frontier().await.unwrap().size() == Position::new(8))
            .await;
        let old = store.sealed_frontier().await.unwrap();
        go_back(&url, 3).await;
        let fresh = connect(&url).await;
        let root = jangbu_kernel::log::SealedRoot {
            size: Position::new(8),
            root: old.root(),
            sealed_at: crate::fixture::moment(),
        };
        assert!(store.keep_seal(root, &old).await.is_err(), "a seal beyond the head is not kept");
        fill(&fresh, order(), 0, 9).await;
        seal_to_head(&fresh, &Still).await.unwrap();
        sealer.stop().await;
        let verification = verify_log(&fresh, |_| {}).await.unwrap();
        assert!(verification.flaw().is_none());
        assert_eq!(verification.events, 12);
        fresh.close().await;
        store.close().await;
    })
    .await;
}
