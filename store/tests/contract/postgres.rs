//! What Postgres guarantees beyond the contract: lost answers, terminated backends, other nodes.

mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jangbu_kernel::log::{AppendResult, EventLog as _, LogError, StreamWrite};
use jangbu_kernel::ports::{Checkpoints as _, Leases as _};
use jangbu_kernel::{Position, Version};
use jangbu_store::postgres::Options;
use jangbu_store::{PostgresStore, Store as _, StoreError, seal_to_head};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::fixture::{
    SCOPE, Still, append, append_one, connect, event, fill, new_id, order, positions, receipt, whole_log,
    with_database, write,
};
use proxy::{Cut, Proxy};

async fn raw(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(|_| ())
}

/// The answer to an append is lost in each possible way. Each time the append is found or repeated,
/// is stored once, and is answered as appended.
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
                expected_version: Version::FIRST,
                events: vec![event(format!(r#"{{"marker":"{marker}"}}"#)), event("{}")],
                meta: None,
            }]);
            one.receipt = Some(receipt(&marker, stream, 3));
            proxy.cut_at(&marker, cut);
            let results = store.append(vec![one, append([write(stream, 3, 1)])]).await.unwrap();
            assert!(proxy.has_cut(), "the connection was never cut");
            assert_eq!(positions(&results[0]), [before.plus(1), before.plus(2)].map(Position::get), "{cut:?}");
            assert_eq!(positions(&results[1]), [before.plus(3).get()], "{cut:?}");
            assert_eq!(direct.versions(vec![stream]).await.unwrap(), [4].map(Version::new), "doubled or lost: {cut:?}");
        }
        whole_log(&direct).await;
        store.close().await;
        direct.close().await;
    })
    .await;
}

/// A store of a version whose receipts had their keys in the clear.
#[tokio::test]
async fn receipts_of_an_older_store_are_found_by_their_hashes() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let mut database = raw(&url).await;
        let former = "drop table receipts; create table receipts (scope text collate \"C\" not null, \
             key text collate \"C\" not null, fingerprint bytea not null, stream_kind text not null, \
             stream_id uuid not null, version bigint not null, position bigint not null, \
             recorded_at bigint not null, primary key (scope, key)); \
             delete from store_migrations where version >= 5;";
        run(&mut database, former).await.unwrap();
        let names = ["plain key", "김민준 010-1234-5678", ""];
        for (name, position) in names.into_iter().zip(1_i64..) {
            let insert = "insert into receipts values ($1, $2, $3, 'order', $4, 0, $5, 0)";
            let (fingerprint, stream) = (vec![7_u8; 32], order());
            let insert = sqlx::query(insert).bind(SCOPE).bind(name).bind(fingerprint).bind(stream.id).bind(position);
            insert.execute(&mut database).await.unwrap();
        }
        store.migrate().await.unwrap();
        for (name, position) in names.into_iter().zip(1_u64..) {
            let mut again = append([write(order(), 0, 1)]);
            again.receipt = Some(receipt(name, order(), 1));
            match append_one(&store, again).await {
                AppendResult::Duplicate { receipt } => assert_eq!(receipt.position, Position::new(position), "{name}"),
                other => panic!("{name:?} was taken twice: {other:?}"),
            }
        }
        let clear: i64 = sqlx::query_scalar("select count(*) from receipts where length(key_hash) <> 32")
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert_eq!(clear, 0);
        store.close().await;
    })
    .await;
}

/// A batch with a conflict is written under the lock, in a transaction; here the answer to its
/// commit is lost. The resolved answer includes the conflict.
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
        assert_eq!(results[1], AppendResult::Conflict { stream: two, actual_version: Version::new(2) });
        assert_eq!(whole_log(&store).await.len(), 3);
        store.close().await;
    })
    .await;
}

/// The append is in the log, but the database cannot be asked about it: that is not a failure.
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
        assert_eq!(direct.versions(vec![stream]).await.unwrap(), [2].map(Version::new));
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
        assert_eq!(store.head().await.unwrap(), Position::FIRST);
        assert_eq!(positions(&append_one(&store, append([write(order(), 0, 1)])).await), [2]);
        store.close().await;
    })
    .await;
}

/// Backends are terminated while many callers append. What was acknowledged is stored once; what
/// failed is not stored.
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
            assert_eq!(store.versions(vec![stream]).await.unwrap(), [version].map(Version::new));
        }
        whole_log(&*store).await;
        store.close().await;
    })
    .await;
}

/// Terminates the store's backends again and again; returns how many.
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
async fn a_lease_is_not_held_for_ever_when_the_servers_clock_is_put_back() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let (gone, next) = (new_id(), new_id());
        let length = Duration::from_secs(60);
        assert!(store.hold("work", gone, length).await.unwrap());
        assert!(!store.hold("work", next, length).await.unwrap());
        // As after the clock was set back by an hour: the lease ends in an hour, and nobody renews
        // it.
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

/// Options of a store whose statements wait for as long as a test needs.
fn patient() -> Options {
    let long = crate::fixture::LIMIT;
    Options { statement_timeout: long, lock_timeout: long, ..Options::default() }
}

/// Whether a backend of the store waits for a lock in a statement like this.
async fn waits_in(database: &mut PgConnection, like: &str) -> bool {
    let waiting: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() \
         and application_name = 'jangbu-store' and wait_event_type = 'Lock' and query like $1",
    )
    .bind(like)
    .fetch_one(&mut *database)
    .await
    .unwrap();
    waiting > 0
}

async fn until_it_waits_in(database: &mut PgConnection, like: &str) {
    let wait = async {
        while !waits_in(database, like).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::fixture::LIMIT, wait).await.unwrap_or_else(|_| panic!("nobody waits in {like}"));
}

/// At the end of a transaction that inserted events, before it is committed, this waits for an
/// advisory lock. The message to the client flushes every row of the answer that the server has
/// written so far, so code that mistakes rows for the commit fails here.
const COMMIT_WAITS: &str = "
create function wait_at_commit() returns trigger language plpgsql as $$
begin
    raise info 'about to commit';
    perform pg_advisory_xact_lock_shared(8);
    if exists (select from pg_class where relname = 'commits_fail') then
        raise exception 'the commit fails';
    end if;
    return null;
end $$;
create constraint trigger wait_at_commit after insert on events deferrable initially deferred
    for each row execute function wait_at_commit();";

/// No caller is answered, and no follower sees anything, before the server has confirmed the
/// commit: on the fast path and under the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_answered_after_its_commit() {
    with_database(async |url: String| {
        let store = PostgresStore::connect(&url, patient()).await.unwrap();
        store.migrate().await.unwrap();
        let (mut holder, mut watcher) = (raw(&url).await, raw(&url).await);
        run(&mut watcher, COMMIT_WAITS).await.unwrap();
        let old = order();
        fill(&store, old, 0, 1).await;
        for (way, conflicting) in [("fast", false), ("under the lock", true)] {
            let before = store.head().await.unwrap();
            run(&mut holder, "select pg_advisory_lock(8)").await.unwrap();
            let mut batch = vec![append([write(order(), 0, 2)])];
            batch.extend(conflicting.then(|| append([write(old, 0, 1)])));
            let appending = tokio::spawn({
                let store = store.clone();
                async move { store.append(batch).await }
            });
            until_it_waits_in(&mut watcher, if conflicting { "commit" } else { "%insert into events%" }).await;
            for _ in 0..20 {
                // Each check asks the server something, so an early answer has time to arrive.
                assert!(waits_in(&mut watcher, "%").await, "{way}: the commit does not wait");
                assert!(!appending.is_finished(), "{way}: answered before the commit");
                let (followed, _) = store.follow(before, 10, &Default::default()).await.unwrap();
                assert!(followed.is_empty(), "{way}: followed before the commit: {followed:?}");
            }
            run(&mut holder, "select pg_advisory_unlock(8)").await.unwrap();
            let results = appending.await.unwrap().unwrap();
            assert_eq!(positions(&results[0]), [before.plus(1), before.plus(2)].map(Position::get), "{way}");
        }
        store.close().await;
    })
    .await;
}

/// A failed append leaves nothing for followers: its positions go to the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_is_followed_by_nobody() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let mut database = raw(&url).await;
        run(&mut database, COMMIT_WAITS).await.unwrap();
        fill(&store, order(), 0, 1).await;
        run(&mut database, "create table commits_fail ()").await.unwrap();
        let failed = store.append(vec![append([write(order(), 0, 2)])]).await;
        assert!(matches!(failed, Err(LogError::Unavailable(..))), "the server said that it failed: {failed:?}");
        run(&mut database, "drop table commits_fail").await.unwrap();
        let stream = order();
        assert_eq!(positions(&append_one(&store, append([write(stream, 0, 3)])).await), [2, 3, 4]);
        let (followed, _) = store.follow(Position::FIRST, 10, &Default::default()).await.unwrap();
        assert!(followed.len() == 3 && followed.iter().all(|event| event.stream == stream), "{followed:?}");
        store.close().await;
    })
    .await;
}

/// Judging a batch locks the counter row, so the commit that another node is making counts. Here
/// the batch only checks a version that the other node changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_judged_after_the_commit_that_is_under_way() {
    with_database(async |url: String| {
        let store = PostgresStore::connect(&url, patient()).await.unwrap();
        store.migrate().await.unwrap();
        let stream = order();
        fill(&store, stream, 0, 2).await;
        let (mut other, mut watcher) = (raw(&url).await, raw(&url).await);
        run(
            &mut other,
            "begin; update log_head set position = 3; \
             insert into events select 3, stream_kind, stream_id, 3, gen_random_uuid(), event_type, schema_version, \
             payload, correlation_id, causation_id, command_id, actor, trace, recorded_at, hash \
             from events where position = 2",
        )
        .await
        .unwrap();
        let judged = tokio::spawn({
            let store = store.clone();
            async move { append_one(&store, append([write(stream, 2, 0)])).await }
        });
        until_it_waits_in(&mut watcher, "select position,%from log_head%").await;
        assert!(!judged.is_finished(), "judged on what is no longer so in a moment");
        run(&mut other, "commit").await.unwrap();
        assert_eq!(judged.await.unwrap(), AppendResult::Conflict { stream, actual_version: Version::new(3) });
        store.close().await;
    })
    .await;
}

/// The answer is lost while the statement still waits at the server: finding out its outcome waits
/// until it has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_resolved_after_its_statement_has_ended() {
    with_database(async |url: String| {
        let proxy = Proxy::start(&url).await;
        let direct = connect(&url).await;
        direct.migrate().await.unwrap();
        let options = Options { resolve_timeout: crate::fixture::LIMIT, ..patient() };
        let store = PostgresStore::connect(&proxy.url, options).await.unwrap();
        let (mut other, mut watcher) = (raw(&url).await, raw(&url).await);
        run(&mut other, "begin; select position from log_head for update").await.unwrap();
        proxy.cut_at("order.placed", Cut::AtOnceAfterSending);
        let stream = order();
        let lost = tokio::spawn({
            let store = store.clone();
            async move { append_one(&store, append([write(stream, 0, 2)])).await }
        });
        until_it_waits_in(&mut watcher, "select position,%from log_head%").await;
        assert!(proxy.has_cut() && !lost.is_finished());
        run(&mut other, "commit").await.unwrap();
        assert_eq!(positions(&lost.await.unwrap()), [1, 2]);
        assert_eq!(direct.versions(vec![stream]).await.unwrap(), [2].map(Version::new));
        store.close().await;
        direct.close().await;
    })
    .await;
}

/// The store's own transactions are as durable as the server makes them, whatever durability the
/// read models do without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_committed_synchronously() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let mut database = raw(&url).await;
        let asked: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&mut database).await.unwrap();
        run(
            &mut database,
            "create table seen (setting text); \
             create function see() returns trigger language plpgsql as $$ begin \
             insert into seen values (current_setting('synchronous_commit')); return null; end $$; \
             create trigger see after insert on events for each statement execute function see()",
        )
        .await
        .unwrap();
        let old = order();
        fill(&store, old, 0, 1).await;
        // The second batch is written under the lock.
        store.append(vec![append([write(order(), 0, 1)]), append([write(old, 0, 1)])]).await.unwrap();
        let seen: Vec<String> = sqlx::query_scalar("select setting from seen").fetch_all(&mut database).await.unwrap();
        assert_eq!(seen, [asked.clone(), asked]);
        store.close().await;
    })
    .await;
}

/// Reads for decisions do not wait for the pool's connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decides_waits_behind_nobody_who_reads() {
    with_database(async |url: String| {
        let options = Options { connections: 2, lock_timeout: Duration::from_secs(60), ..Options::default() };
        let options = Options { statement_timeout: Duration::from_secs(60), ..options };
        let store = PostgresStore::connect(&url, options).await.unwrap();
        store.migrate().await.unwrap();
        let stream = order();
        let mut one = append([write(stream, 0, 3)]);
        one.receipt = Some(receipt("a key", stream, 3));
        append_one(&store, one).await;
        let mut database = raw(&url).await;
        run(&mut database, "begin; lock table checkpoints in access exclusive mode").await.unwrap();
        let mut readers = JoinSet::new();
        for _ in 0..2 {
            let store = store.clone();
            readers.spawn(async move { store.checkpoint("somebody").await.unwrap() });
        }
        let waiting = async |database: &mut PgConnection| -> i64 {
            let asked = "select count(*) from pg_locks where not granted and relation = 'checkpoints'::regclass";
            sqlx::query_scalar(asked).fetch_one(database).await.unwrap()
        };
        while waiting(&mut database).await < 2 {
            tokio::task::yield_now().await;
        }
        let deciding = store.for_deciding().unwrap();
        let loaded = deciding.load(vec![(stream, 1), (order(), 1)]).await.unwrap();
        assert_eq!(loaded.iter().map(|loaded| loaded.events.len()).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(deciding.versions(vec![order(), stream]).await.unwrap(), [0, 3].map(Version::new));
        let keys = ["a key", "another"].map(|key| receipt(key, stream, 3).key);
        let found = deciding.receipts(keys.to_vec()).await.unwrap();
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        assert_eq!(deciding.head().await.unwrap(), Position::new(3));
        assert_eq!(deciding.read_stream(stream, Version::new(2), Version::new(9), 9).await.unwrap().len(), 2);
        assert_eq!(waiting(&mut database).await, 2, "and those wait on");
        // A lane whose connection was terminated while it was idle fails no read.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and state = 'idle'";
        run(&mut database, end).await.unwrap();
        assert_eq!(deciding.head().await.unwrap(), Position::new(3));
        run(&mut database, "rollback").await.unwrap();
        while let Some(read) = readers.join_next().await {
            assert_eq!(read.unwrap(), Position::ZERO);
        }
        store.close().await;
        assert!(deciding.head().await.is_err(), "it is closed with the store");
    })
    .await;
}
