//! A log in memory, read models in a database of their own, and a shop that records events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderLine, OrderPaid, OrderPlaced};
use jangbu_aggregates::payment::{CARD, Leg, POINTS, PaymentRequested};
use jangbu_aggregates::product::ProductCreated;
use jangbu_kernel::log::{Append, AppendResult, EventLog, StreamWrite};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, EventId, EventMeta, Money, NewEvent, OrderId, PaymentId, Position, ProductId,
    RecordedEvent, Sealed, StreamId, Timestamp, UserId, Version,
};
use jangbu_projections::{
    Compared, ComparedView, Options, Projector, ProjectorError, ProjectorHandle, ReadModels, RebuildOptions,
};
use jangbu_store::MemoryStore;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::Instant;
use uuid::Uuid;

/// 2026-11-21T00:00:00Z, milliseconds.
const START: i64 = 1_795_219_200_000;
const LIMIT: Duration = Duration::from_secs(60);

struct FixedClock;
impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(START + millis).unwrap()
}
pub fn deadline() -> Instant {
    Instant::now() + LIMIT
}
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}
pub fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}
pub fn sealed(text: &str) -> Sealed {
    Sealed::from_ciphertext(format!("v1.{text}"))
}
pub fn buyer() -> UserId {
    UserId::new(id(900_000))
}

pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { admin: String, url: String, name: String },
}

/// A lock on tables; it ends with its connection.
#[expect(dead_code, reason = "held, not used")]
pub enum Lock {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

pub struct Fixture {
    pub store: MemoryStore,
    pub models: ReadModels,
    pub place: Place,
    versions: Mutex<HashMap<StreamId, Version>>,
    minted: AtomicU64,
}

static DATABASES: AtomicU64 = AtomicU64::new(0);

impl Fixture {
    pub async fn sqlite() -> Self {
        Self::over(Place::Sqlite(tempfile::tempdir().unwrap())).await
    }

    pub async fn postgres() -> Self {
        let admin = std::env::var("JANGBU_TEST_DATABASE_URL")
            .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a Postgres of its own");
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("views_{}_{number}", std::process::id());
        let (head, query) = admin.split_once('?').map_or((admin.as_str(), None), |(head, query)| (head, Some(query)));
        let base = head.rsplit_once('/').unwrap().0;
        let url = format!("{base}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default());
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        for text in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
            sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        }
        Self::over(Place::Postgres { admin, url, name }).await
    }

    async fn over(place: Place) -> Self {
        let models = open(&place).await;
        Self { store: MemoryStore::new(), models, place, versions: Mutex::default(), minted: AtomicU64::new(1) }
    }

    /// Another handle on the same tables, like that of another process.
    pub async fn elsewhere(&self) -> ReadModels {
        open(&self.place).await
    }

    pub async fn end(self) {
        self.models.close().await;
        if let Place::Postgres { admin, name, .. } = &self.place {
            let mut connection = PgConnection::connect(admin).await.unwrap();
            let text = format!("drop database if exists {name} with (force)");
            sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        }
    }

    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.store.clone())
    }

    pub fn projector(&self) -> ProjectorHandle {
        self.projector_on(self.models.clone())
    }

    pub fn projector_on(&self, models: ReadModels) -> ProjectorHandle {
        Projector::spawn(self.log(), models, Arc::new(FixedClock))
    }

    /// Waits until the views show the whole log.
    pub async fn caught_up(&self, projector: &ProjectorHandle) {
        let head = self.store.head().await.unwrap();
        assert!(projector.wait_for(head, deadline()).await, "not at {head}: {:?}", projector.statuses().await);
    }

    /// Checks that the rows are what a rebuild from the log's beginning makes, byte for byte. A
    /// projector that was dropped just before may still own the views for a moment; the comparison
    /// is then repeated until this one has them back.
    pub async fn rows_are_the_log(&self, projector: &ProjectorHandle) {
        let deadline = deadline();
        let report = loop {
            let options = RebuildOptions { verify_only: true, ..RebuildOptions::default() };
            match projector.rebuild(&[], options, |_| {}).await {
                Err(ProjectorError::Stopped) if Instant::now() < deadline => tokio::task::yield_now().await,
                other => break other.unwrap(),
            }
        };
        for view in &report.views {
            assert_eq!(view.differences, Some(0), "{view:?}");
        }
        for view in self.compared().await {
            assert!(matches!(view.outcome, Compared::Rows { differences: 0, .. }), "{view:?}");
        }
    }

    /// The read models, opened only for reading.
    pub async fn to_read(&self) -> Option<ReadModels> {
        match &self.place {
            Place::Sqlite(dir) => ReadModels::open_sqlite_to_read(dir.path()).unwrap(),
            Place::Postgres { url, .. } => ReadModels::connect_postgres_to_read(url).await.unwrap(),
        }
    }

    /// The result of comparing them with the log.
    pub async fn compared(&self) -> Vec<ComparedView> {
        let models = self.to_read().await.unwrap();
        let compared = models.compare(self.log(), &FixedClock, |_, _| {}).await.unwrap();
        models.close().await;
        compared
    }

    /// Runs a statement behind the projector's back. `{}` stands for the schema.
    pub async fn tamper(&self, text: &str) {
        match &self.place {
            Place::Sqlite(dir) => {
                let connection = rusqlite::Connection::open(dir.path().join("views.db")).unwrap();
                connection.busy_timeout(LIMIT).unwrap();
                assert!(connection.execute(&text.replace("{}", ""), []).unwrap() > 0);
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let done =
                    sqlx::query(AssertSqlSafe(text.replace("{}", "views."))).execute(&mut connection).await.unwrap();
                assert!(done.rows_affected() > 0);
            }
        }
    }

    /// Runs a script behind the projector's back, written for each engine.
    pub async fn script(&self, sqlite: &str, postgres: &str) {
        match &self.place {
            Place::Sqlite(dir) => {
                let connection = rusqlite::Connection::open(dir.path().join("views.db")).unwrap();
                connection.busy_timeout(LIMIT).unwrap();
                connection.execute_batch(sqlite).unwrap();
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(postgres.to_owned())).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Locks the orders' tables until the returned value is dropped.
    pub async fn lock_orders(&self) -> Lock {
        match &self.place {
            Place::Sqlite(dir) => {
                let connection = rusqlite::Connection::open(dir.path().join("views.db")).unwrap();
                connection.busy_timeout(LIMIT).unwrap();
                connection.execute_batch("begin exclusive").unwrap();
                Lock::Sqlite(connection)
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let tables = "select format('lock table views.%I in access exclusive mode', tablename) \
                    from pg_tables where schemaname = 'views' and tablename like 'orders%'";
                let locks: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
                assert!(!locks.is_empty());
                let text = format!("begin; {}", locks.join("; "));
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
                Lock::Postgres(connection)
            }
        }
    }

    /// A number from the tables, read as any other program would.
    pub async fn number(&self, text: &str) -> i64 {
        match &self.place {
            Place::Sqlite(dir) => {
                let connection = rusqlite::Connection::open(dir.path().join("views.db")).unwrap();
                connection.query_row(&text.replace("{}", ""), [], |row| row.get(0)).unwrap()
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let row =
                    sqlx::query(AssertSqlSafe(text.replace("{}", "views."))).fetch_one(&mut connection).await.unwrap();
                row.get(0)
            }
        }
    }

    /// Waits until a number in the tables has a value.
    pub async fn until(&self, text: &str, wanted: i64) {
        let limit = deadline();
        while self.number(text).await != wanted {
            assert!(Instant::now() < limit, "{text} is not {wanted}");
            tokio::task::yield_now().await;
        }
    }

    pub async fn append(&self, stream: StreamId, millis: i64, events: Vec<DomainEvent>) -> Position {
        let new = events.into_iter().map(|event| (event.event_type(), event.payload_json())).collect();
        self.append_raw(stream, millis, new).await
    }

    pub async fn append_raw(&self, stream: StreamId, millis: i64, events: Vec<(&'static str, String)>) -> Position {
        let expected_version = {
            let mut versions = self.versions.lock().unwrap();
            let held = versions.entry(stream).or_default();
            let expected = *held;
            *held = held.plus(events.len() as u64);
            expected
        };
        let events = events
            .into_iter()
            .map(|(event_type, payload)| NewEvent {
                event_id: EventId::new(self.mint()),
                event_type,
                schema_version: 1,
                payload,
            })
            .collect();
        let meta = EventMeta {
            correlation_id: CorrelationId::new(self.mint()),
            causation_id: self.mint(),
            command_id: CommandId::new(self.mint()),
            actor: Actor::System("system"),
            trace: None,
            recorded_at: at(millis),
        };
        let append =
            Append { writes: vec![StreamWrite { stream, expected_version, events, meta: None }], meta, receipt: None };
        match self.store.append(vec![append]).await.unwrap().pop().unwrap() {
            AppendResult::Appended { events } => events.last().unwrap().position,
            other @ (AppendResult::Conflict { .. } | AppendResult::Duplicate { .. }) => panic!("{other:?}"),
        }
    }

    fn mint(&self) -> Uuid {
        id(10_000_000 + u128::from(self.minted.fetch_add(1, Ordering::Relaxed)))
    }

    pub async fn stream(&self, stream: StreamId) -> Vec<RecordedEvent> {
        self.store.read_stream(stream, Version::FIRST, Version::MAX, 100_000).await.unwrap()
    }

    pub async fn product(&self, number: u128, name: &str, price: i64) -> ProductId {
        let product = ProductId::new(id(number));
        let created = ProductCreated {
            name: name.to_owned(),
            description: None,
            category_id: None,
            seller_id: None,
            price: won(price),
        };
        self.append(StreamId::product(product), 0, vec![DomainEvent::Product(created.into())]).await;
        product
    }

    pub async fn order(&self, number: u128, millis: i64, total: Money) -> OrderId {
        let order = OrderId::new(id(number));
        self.append(StreamId::order(order), millis, vec![DomainEvent::Order(placed(number, total).into())]).await;
        order
    }
}

pub fn placed(number: u128, total: Money) -> OrderPlaced {
    let nothing = Money::zero(total.currency());
    OrderPlaced {
        number: format!("N-{number}"),
        user_id: buyer(),
        lines: vec![OrderLine {
            product_id: ProductId::new(id(1)),
            name: "머그컵".to_owned(),
            unit_price: total,
            quantity: 1,
            line_total: total,
        }],
        subtotal: total,
        discount: nothing,
        shipping_fee: nothing,
        total,
        shipping_address: sealed("address"),
        payment_deadline: at(900_000),
        replaces: None,
    }
}

pub fn paid(payment_id: Option<PaymentId>) -> OrderPaid {
    OrderPaid { payment_id, paid_at: None, ship_by: None }
}

pub fn payment_requested(order_id: OrderId, card: i64, points: i64) -> PaymentRequested {
    PaymentRequested {
        order_id,
        user_id: buyer(),
        total: won(card + points),
        legs: vec![
            Leg { method: CARD, amount: won(card), instrument: Some(sealed("token").into()) },
            Leg { method: POINTS, amount: won(points), instrument: None },
        ],
    }
}

async fn open(place: &Place) -> ReadModels {
    let options = Options { connections: 4 };
    match place {
        Place::Sqlite(dir) => ReadModels::open_sqlite(dir.path(), options).await.unwrap(),
        Place::Postgres { url, .. } => ReadModels::connect_postgres(url, options).await.unwrap(),
    }
}
