//! What Postgres promises beyond the contract: lost answers, ended backends,
//! other nodes.

mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, StreamWrite};
use jangbu_kernel::ports::Leases as _;
use jangbu_store::postgres::Options;
use jangbu_store::{Flaw, PostgresStore, Store as _, StoreError, seal_to_head, verify_log};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::fixture::{
    Still, append, append_one, connect, event, fill, new_id, order, positions, receipt, whole_log, with_database, write,
};
use proxy::{Cut, Proxy};

async fn raw(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(|_| ())
}

/// The answer to an append is lost in each way there is; each time the append is
/// found or made, once, and answered as appended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_resolved() {
    with_database(async |url: String| {
        let proxy = Proxy::start(&url).await;
        let direct = connect(&url).await;
        direct.migrate().await.unwrap();
        let store = connect(&proxy.url).await;
        for (n, cut) in [Cut::AfterTheAnswerCame, Cut::BeforeItIsSent, Cut::AtOnceAfterSending].into_iter().enumerate()
        {
            let (stream, marker) = (order(), format!("cut-{n}"));
            append_one(&store, append([write(stream, 0, 1)])).await;
            let before = direct.head().await.unwrap();
            let mut one = append([StreamWrite {
                stream,
                expected_version: 1,
                events: vec![event(format!(r#"{{"marker":"{marker}"}}"#)), event("{}")],
            }]);
            one.receipt = Some(receipt(&marker, stream, 3));
            proxy.cut_at(&marker, cut);
            let results = store.append(vec![one, append([write(stream, 3, 1)])]).await.unwrap();
            assert!(proxy.has_cut(), "the connection was never cut");
            assert_eq!(positions(&results[0]), [before + 1, before + 2], "{cut:?}");
            assert_eq!(positions(&results[1]), [before + 3], "{cut:?}");
            assert_eq!(direct.versions(vec![stream]).await.unwrap(), [4], "doubled or lost: {cut:?}");
        }
        whole_log(&direct).await;
        store.close().await;
        direct.close().await;
    })
    .await;
}

/// A batch with a conflict is written under the lock, in a transaction; here the
/// answer to its commit is lost. The resolved answer tells the conflict too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_a_mixed_batch_is_resolved() {
    with_database(async |url: String| {
        let proxy = Proxy::start(&url).await;
        let store = connect(&proxy.url).await;
        store.migrate().await.unwrap();
        let (one, two) = (order(), order());
        append_one(&store, append([write(two, 0, 2)])).await;
        proxy.cut_at("commit", Cut::AfterTheAnswerCame);
        let results = store.append(vec![append([write(one, 0, 1)]), append([write(two, 1, 1)])]).await.unwrap();
        assert!(proxy.has_cut(), "the connection was never cut");
        assert_eq!(positions(&results[0]), [3]);
        assert_eq!(results[1], AppendResult::Conflict { stream: two, actual_version: 2 });
        assert_eq!(whole_log(&store).await.len(), 3);
        store.close().await;
    })
    .await;
}

/// The append is in the log, but nobody can be asked about it: that is no failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_cannot_be_asked_for_is_unknown() {
    with_database(async |url: String| {
        let proxy = Proxy::start(&url).await;
        let direct = connect(&url).await;
        direct.migrate().await.unwrap();
        let options = Options { resolve_timeout: Duration::from_millis(100), ..Options::default() };
        let store = PostgresStore::connect(&proxy.url, options).await.unwrap();
        let stream = order();
        proxy.cut_at("order.placed", Cut::ForGoodAfterTheAnswerCame);
        let lost = store.append(vec![append([write(stream, 0, 2)])]).await;
        assert!(matches!(lost, Err(LogError::OutcomeUnknown(_))), "{lost:?}");
        assert_eq!(direct.versions(vec![stream]).await.unwrap(), [2]);
        store.close().await;
        direct.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_database_is_unavailable_and_comes_back() {
    with_database(async |url: String| {
        let proxy = Proxy::start(&url).await;
        let store = connect(&proxy.url).await;
        store.migrate().await.unwrap();
        append_one(&store, append([write(order(), 0, 1)])).await;
        proxy.refuse(true);
        let refused = store.head().await;
        assert!(matches!(refused, Err(LogError::Unavailable(..))), "{refused:?}");
        proxy.refuse(false);
        assert_eq!(store.head().await.unwrap(), 1);
        assert_eq!(positions(&append_one(&store, append([write(order(), 0, 1)])).await), [2]);
        store.close().await;
    })
    .await;
}

/// Backends are ended while many append. What was acknowledged is there once;
/// what failed is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_backends_lose_and_double_nothing() {
    with_database(async |url: String| {
        let store = Arc::new(connect(&url).await);
        store.migrate().await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let killer = tokio::spawn(end_backends(url.clone(), Arc::clone(&done)));
        let mut writers = JoinSet::new();
        for _ in 0..6 {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                let stream = order();
                let mut version = 0;
                for _ in 0..60 {
                    match store.append(vec![append([write(stream, version, 2)])]).await {
                        Ok(results) => {
                            positions(&results[0]);
                            version += 2;
                        }
                        Err(LogError::Unavailable(..)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (stream, version)
            });
        }
        let written = writers.join_all().await;
        done.store(true, Ordering::Release);
        assert!(killer.await.unwrap() > 0, "nothing was ended");
        for (stream, version) in written {
            assert!(version > 0, "nothing was appended");
            assert_eq!(store.versions(vec![stream]).await.unwrap(), [version]);
        }
        whole_log(&*store).await;
        store.close().await;
    })
    .await;
}

/// Ends the store's backends again and again; how many it ended.
async fn end_backends(url: String, done: Arc<AtomicBool>) -> i64 {
    let mut server = raw(&url).await;
    let mut ended = 0;
    while !done.load(Ordering::Acquire) {
        let count: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and application_name = 'jangbu-store' and query like '%log_head%'",
        )
        .fetch_one(&mut server)
        .await
        .unwrap();
        ended += count;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_roots_cannot_be_changed() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        fill(&store, order(), 0, 3).await;
        seal_to_head(&store, &Still).await.unwrap();
        let mut database = raw(&url).await;
        for change in [
            "update events set payload = '{}' where position = 2",
            "delete from events where position = 3",
            "truncate events",
            "update sealed_roots set size = 9",
            "delete from sealed_roots",
        ] {
            let error = run(&mut database, change).await.unwrap_err();
            assert!(error.to_string().contains("never changed"), "{change}: {error}");
        }
        let json: i64 = sqlx::query_scalar("select (payload->>'n')::bigint from events_readable where position = 3")
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert_eq!(json, 2, "people read the payload as JSON");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_is_found() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        fill(&store, order(), 0, 5).await;
        seal_to_head(&store, &Still).await.unwrap();
        let mut database = raw(&url).await;
        run(&mut database, "alter table events disable trigger events_are_kept").await.unwrap();
        run(&mut database, "update events set payload = replace(payload, '1', '7') where position = 2").await.unwrap();
        assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, Some(Flaw::Hash { position: 2 }));
        run(&mut database, "update events set payload = replace(payload, '7', '1') where position = 2").await.unwrap();
        assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, None);
        run(&mut database, "delete from events where position = 5").await.unwrap();
        assert_eq!(verify_log(&store, |_| {}).await.unwrap().flaw, Some(Flaw::Truncated { sealed: 5, head: 4 }));
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_not_held_for_ever_when_the_servers_clock_is_put_back() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let (gone, next) = (new_id(), new_id());
        let length = Duration::from_secs(60);
        assert!(store.hold("work", gone, length).await.unwrap());
        assert!(!store.hold("work", next, length).await.unwrap());
        // As after an hour back: its end is an hour away, and nobody renews it.
        let mut connection = raw(&url).await;
        run(&mut connection, "update leases set until_ms = until_ms + 3600000").await.unwrap();
        connection.close().await.unwrap();
        assert!(store.hold("work", next, length).await.unwrap());
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_store_is_refused() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        assert_eq!(store.schema_version().await.unwrap(), 0);
        store.migrate().await.unwrap();
        let known = store.known_schema_version();
        let mut database = raw(&url).await;
        let newer = format!(
            "insert into store_migrations (version, description, success, checksum, execution_time) \
             values ({}, 'later', true, '', 0)",
            known + 1
        );
        run(&mut database, &newer).await.unwrap();
        let migrated = store.migrate().await;
        assert!(matches!(migrated, Err(StoreError::Newer { .. })), "{migrated:?}");
        let opened = PostgresStore::connect(&url, Default::default()).await;
        assert!(matches!(opened, Err(StoreError::Newer { found, .. }) if found == known + 1), "{opened:?}");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_server_refuses_writes_and_still_reads() {
    with_database(async |url: String| {
        let writable = connect(&url).await;
        writable.migrate().await.unwrap();
        fill(&writable, order(), 0, 2).await;
        let mut database = raw(&url).await;
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut database).await.unwrap();
        run(&mut database, &format!("alter database {name} set default_transaction_read_only = on")).await.unwrap();
        let store = connect(&url).await;
        let refused = store.append(vec![append([write(order(), 0, 1)])]).await;
        assert!(matches!(refused, Err(LogError::ReadOnly(_))), "{refused:?}");
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
        writable.close().await;
    })
    .await;
}
