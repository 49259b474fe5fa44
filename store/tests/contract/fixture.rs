//! Stores to test on, and shorthands for making events.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use jangbu_kernel::log::{Append, AppendResult, NewReceipt, ReceiptKey, StreamWrite};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::{Actor, AggregateKind, EventMeta, NewEvent, Position, RecordedEvent, StreamId, Timestamp, Version};
use jangbu_store::{MemoryStore, PostgresStore, SqliteStore, Store, postgres, sqlite};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// The scope of the receipts.
pub const SCOPE: &str = "user:anna";
/// No wait in these tests takes longer unless something is broken.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Two handles on one store. On Postgres they are two nodes.
#[derive(Clone)]
pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub other: Arc<dyn Store>,
}

pub async fn on_memory<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    let store = Arc::new(MemoryStore::new());
    case(Fixture { store: store.clone(), other: store }).await;
}

/// The store of the simulation, without any faults here: like the engines, it has to meet the
/// contract.
pub async fn on_simulation<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    let store = jangbu_simulation::simulated_store();
    case(Fixture { store: store.clone(), other: store }).await;
}

pub async fn on_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    on_sqlite_opened(sqlite::Options::default(), case).await;
}

/// A store whose indexes are entered all the time. No test would fill a run of the usual length.
pub async fn on_sqlite_in_short_runs<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    on_sqlite_opened(sqlite::Options { receipt_run: 3, event_run: 5, ..Default::default() }, case).await;
}

async fn on_sqlite_opened<F: Future<Output = ()>>(options: sqlite::Options, case: impl FnOnce(Fixture) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), options).unwrap());
    store.migrate().await.unwrap();
    case(Fixture { store: store.clone(), other: store.clone() }).await;
    store.close().await;
}

pub async fn on_postgres<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Fixture) -> F + Send + 'static) {
    with_database(async move |url: String| {
        let store = Arc::new(connect(&url).await);
        store.migrate().await.unwrap();
        let other = Arc::new(connect(&url).await);
        case(Fixture { store: store.clone(), other: other.clone() }).await;
        store.close().await;
        other.close().await;
    })
    .await;
}

pub async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(url, postgres::Options::default()).await.unwrap()
}

/// The database server of the tests.
pub fn server_url() -> String {
    std::env::var("JANGBU_TEST_DATABASE_URL")
        .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a database server and sets it")
}

/// The server's URL with another database name.
pub fn database_url(name: &str) -> String {
    let server = server_url();
    let (address, parameters) = server.split_once('?').map_or((server.as_str(), None), |(a, p)| (a, Some(p)));
    let (scheme, rest) = address.split_once("://").expect("a URL has a scheme");
    let authority = rest.split('/').next().unwrap();
    let parameters = parameters.map(|text| format!("?{text}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{parameters}")
}

/// Makes a database, passes its URL on, and drops it however the test ends.
pub async fn with_database<F>(case: impl FnOnce(String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let name = format!("jangbu_test_{}", new_id().simple());
    let mut server = PgConnection::connect(&server_url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
    let outcome = tokio::spawn(case(database_url(&name))).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop database {name} with (force)")))
        .execute(&mut server)
        .await
        .unwrap();
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Waits for something to become true.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// A clock that stands still.
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        moment()
    }
}

/// A UUID v7.
pub fn new_id() -> Uuid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut random = [0; 10];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    uuid::Builder::from_unix_timestamp_millis(since.as_millis() as u64, &random).into_uuid()
}

pub fn moment() -> Timestamp {
    DateTime::from_timestamp_millis(1_795_223_220_123).unwrap()
}

pub fn order() -> StreamId {
    StreamId::new(AggregateKind::Order, new_id())
}

pub fn stock() -> StreamId {
    StreamId::new(AggregateKind::Stock, new_id())
}

pub fn event(payload: impl Into<String>) -> NewEvent {
    NewEvent { event_id: new_id().into(), event_type: "order.placed", schema_version: 1, payload: payload.into() }
}

pub fn meta() -> EventMeta {
    EventMeta {
        correlation_id: new_id().into(),
        causation_id: new_id(),
        command_id: new_id().into(),
        actor: Actor::User(new_id().into()),
        trace: None,
        recorded_at: moment(),
    }
}

pub fn write(stream: StreamId, expected_version: u64, count: usize) -> StreamWrite {
    let events = (0..count).map(|n| event(format!(r#"{{"n":{n}}}"#))).collect();
    StreamWrite { stream, expected_version: Version::new(expected_version), events, meta: None }
}

pub fn append(writes: impl Into<Vec<StreamWrite>>) -> Append {
    Append { writes: writes.into(), meta: meta(), receipt: None }
}

pub fn receipt(key: &str, stream: StreamId, version: u64) -> NewReceipt {
    NewReceipt {
        key: ReceiptKey::new(SCOPE.into(), key, sha256),
        fingerprint: [7; 32],
        stream,
        version: Version::new(version),
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

pub async fn append_one(store: &dyn Store, one: Append) -> AppendResult {
    let mut results = store.append(vec![one]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// Appends `count` events to a stream, in batches of 1,000.
pub async fn fill(store: &dyn Store, stream: StreamId, from_version: u64, count: u64) {
    let mut done = 0;
    while done < count {
        let step = (count - done).min(1_000);
        let result = append_one(store, append([write(stream, from_version + done, step as usize)])).await;
        assert!(matches!(result, AppendResult::Appended { .. }), "{result:?}");
        done += step;
    }
}

pub fn positions(result: &AppendResult) -> Vec<u64> {
    match result {
        AppendResult::Appended { events } => events.iter().map(|event| event.position.get()).collect(),
        other => panic!("not appended: {other:?}"),
    }
}

/// The whole log, checked to verify and to have no gaps in positions and versions. It may grow in
/// the meantime.
pub async fn whole_log(store: &dyn Store) -> Vec<RecordedEvent> {
    let before = store.head().await.unwrap();
    let verification = jangbu_store::verify_log(store, |_| {}).await.unwrap();
    assert_eq!(verification.flaws, []);
    let mut events = Vec::new();
    loop {
        let (page, read_to) =
            store.read_all(Position::new(events.len() as u64), 5_000, &Default::default()).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page);
        assert_eq!(read_to, Position::new(events.len() as u64));
    }
    assert!(store.head().await.unwrap() >= Position::new(events.len() as u64));
    assert!((before..=Position::new(events.len() as u64)).contains(&verification.end()));
    events
}
