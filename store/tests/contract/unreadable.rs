//! Rows that this program cannot read, because they are newer or damaged. They stop only their own
//! streams.

use jangbu_kernel::log::{EventLog, ReadFilter, Snapshot};
use jangbu_kernel::{Actor, Position, StreamId, Version};
use jangbu_store::{SqliteStore, Store, sqlite};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fixture::{append, append_one, connect, fill, order, stock, with_database, write};

/// Of six events, the third has a kind of stream and the fourth an actor that only a newer program
/// knows, and the fifth is damaged.
async fn follows_around_them(store: &dyn Store) {
    let everything = ReadFilter::default();
    let (mut events, mut after) = (Vec::new(), 0);
    while after < 6 {
        // A follower may get fewer events than there are, and continues from there.
        let (page, read_to) = store.follow(Position::new(after), 100, &everything).await.unwrap();
        assert!(read_to > Position::new(after), "it stands still at {after}");
        events.extend(page);
        after = read_to.get();
    }
    let found: Vec<_> = events.iter().map(|event| event.position).collect();
    assert_eq!(
        (found, after),
        (vec![Position::FIRST, Position::new(2), Position::new(4), Position::new(5), Position::new(6)], 6)
    );
    assert_eq!(events[2].meta.actor, Actor::Unknown("parrot:polly".to_owned()));
    assert_eq!(events[2].meta.actor.to_string(), "parrot:polly");
    assert_eq!((events[3].payload.as_str(), events[3].version), ("", Version::new(5)), "nobody decodes it");
    assert_eq!(
        store.read_all(Position::new(2), 1, &everything).await.unwrap(),
        (vec![], Position::new(3)),
        "a page of nothing known goes on"
    );
    let typed = ReadFilter { event_types: vec!["order.placed".to_owned()], correlation_id: None };
    let (events, read_to) = store.read_all(Position::ZERO, 3, &typed).await.unwrap();
    assert_eq!((events.len(), read_to), (2, Position::new(3)), "a full page ends where it ends");
    assert_eq!(store.rows(Position::ZERO, 100).await.unwrap().len(), 6, "as they are stored they are all there");
    assert!(store.hash_at(Position::new(3)).await.unwrap().is_some());
}

const NEWER: &str = "update events set stream_kind = 'parrot' where position = 3; \
     update events set actor = 'parrot:polly' where position = 4;";

async fn six_events(store: &dyn Store) -> StreamId {
    let stream = order();
    fill(store, stream, 0, 6).await;
    stream
}

#[tokio::test]
async fn what_cannot_be_read_stops_nobody_else_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap();
    store.migrate().await.unwrap();
    let stream = six_events(&store).await;
    store.close().await;
    let database = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
    database.execute_batch("drop trigger events_are_not_updated;").unwrap();
    database.execute_batch(NEWER).unwrap();
    // One byte makes it invalid text.
    database.execute_batch("update events set payload = cast(x'7bff7d' as text) where position = 5;").unwrap();
    let store = SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap();
    follows_around_them(&store).await;
    assert!(
        store.read_stream(stream, Version::new(5), Version::new(5), 1).await.is_err(),
        "who asks for the stream itself is told"
    );
    assert!(matches!(
        append_one(&store, append([write(order(), 0, 1)])).await,
        jangbu_kernel::log::AppendResult::Appended { .. }
    ));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_stops_nobody_else_on_postgres() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let stream = six_events(&store).await;
        store.close().await;
        let mut database = PgConnection::connect(&url).await.unwrap();
        let damage =
            "alter table events disable trigger events_are_kept; update events set hash = 'x' where position = 5;";
        sqlx::raw_sql(AssertSqlSafe(format!("{damage}{NEWER}"))).execute(&mut database).await.unwrap();
        let store = connect(&url).await;
        follows_around_them(&store).await;
        assert!(
            store.read_stream(stream, Version::new(5), Version::new(5), 1).await.is_err(),
            "who asks for the stream itself is told"
        );
        store.close().await;
    })
    .await;
}

fn snapshot(stream: StreamId, version: u64) -> Snapshot {
    Snapshot { stream, version: Version::new(version), state_version: 1, state: "{}".to_owned() }
}

/// Snapshots that are ahead of their stream, or end with another event than it has, as after a
/// restore of only the log's own tables.
async fn are_ignored_and_replaced(store: &dyn Store, ahead: StreamId, other: StreamId) {
    for (stream, name) in [(ahead, "ahead"), (other, "of another history")] {
        let loaded = store.load(vec![(stream, 1)]).await.unwrap().remove(0);
        assert_eq!((loaded.snapshot, loaded.events.len()), (None, 6), "{name}");
        store.save_snapshots(vec![snapshot(stream, 3)]).await.unwrap();
        let loaded = store.load(vec![(stream, 1)]).await.unwrap().remove(0);
        assert_eq!((loaded.snapshot, loaded.events.len()), (Some(snapshot(stream, 3)), 3), "{name}");
    }
}

async fn two_streams(store: &dyn Store) -> (StreamId, StreamId) {
    let (ahead, other) = (stock(), stock());
    for stream in [ahead, other] {
        fill(store, stream, 0, 6).await;
        store.save_snapshots(vec![snapshot(stream, 5)]).await.unwrap();
    }
    (ahead, other)
}

#[tokio::test]
async fn snapshots_that_do_not_fit_are_ignored_and_replaced_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap();
    store.migrate().await.unwrap();
    let (ahead, other) = two_streams(&store).await;
    let database = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
    database.execute("update snapshots set version = 9 where stream_id = ?1", [ahead.id.as_bytes()]).unwrap();
    database.execute("update snapshots set hash = zeroblob(32) where stream_id = ?1", [other.id.as_bytes()]).unwrap();
    are_ignored_and_replaced(&store, ahead, other).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_that_do_not_fit_are_ignored_and_replaced_on_postgres() {
    with_database(async |url: String| {
        let store = connect(&url).await;
        store.migrate().await.unwrap();
        let (ahead, other) = two_streams(&store).await;
        let mut database = PgConnection::connect(&url).await.unwrap();
        let spoil = format!(
            "update snapshots set version = 9 where stream_id = '{}'; update snapshots set hash = 'x' where stream_id = '{}';",
            ahead.id, other.id
        );
        sqlx::raw_sql(AssertSqlSafe(spoil)).execute(&mut database).await.unwrap();
        are_ignored_and_replaced(&store, ahead, other).await;
        store.close().await;
    })
    .await;
}
