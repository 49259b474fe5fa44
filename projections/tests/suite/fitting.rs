//! Read models and the log that they were folded from: views that do not fit, or cannot be read,
//! are thrown away and built anew.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::log::{Append, AppendResult, EventLog, StreamWrite};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, EventId, EventMeta, NewEvent, OrderId, Position, StreamId, Timestamp, Version,
};
use jangbu_projections::{Options, PageRequest, Projector, ProjectorHandle, QueryError, ReadModels, RebuildOptions};
use jangbu_store::sqlite::Options as LogOptions;
use jangbu_store::{SqliteStore, Store as _};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::fixture::{Fixture, Place, at, deadline, id, placed, won};

crate::on_both_engines! {
    views_ahead_of_their_log_are_built_anew,
    views_of_another_log_are_built_anew,
    views_of_another_history_are_built_anew,
    views_that_prove_nothing_are_built_anew,
    views_that_fit_are_taken_over_as_they_are,
    a_view_that_this_release_lacks_holds_nobody_up,
    what_a_newer_release_parked_holds_nobody_up,
    views_that_are_being_built_say_so,
    from_scratch_needs_nothing_of_what_is_there,
}

/// Event ids are unique, also across two logs.
static EVENTS: AtomicU64 = AtomicU64::new(50_000_000);

/// A shop's log in a folder, which can be copied.
pub struct Shop {
    folder: TempDir,
    store: SqliteStore,
}

impl Shop {
    async fn at(folder: TempDir) -> Self {
        let store = SqliteStore::open(folder.path(), LogOptions::default()).unwrap();
        store.migrate().await.unwrap();
        Self { folder, store }
    }

    pub async fn new(orders: std::ops::Range<u128>) -> Self {
        let shop = Self::at(tempfile::tempdir().unwrap()).await;
        shop.grow(orders).await;
        shop
    }

    /// The shop, and a copy of it as a backup taken now has it.
    async fn copy(self) -> (Self, Self) {
        self.store.close().await;
        let folder = tempfile::tempdir().unwrap();
        for name in ["log.db", "keys.db"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        (Self::at(self.folder).await, Self::at(folder).await)
    }

    async fn grow(&self, orders: std::ops::Range<u128>) {
        for number in orders {
            let event = DomainEvent::Order(placed(number, won(1_000)).into());
            let new = NewEvent {
                event_id: EventId::new(id(u128::from(EVENTS.fetch_add(1, Ordering::Relaxed)))),
                event_type: event.event_type(),
                schema_version: 1,
                payload: event.payload_json(),
            };
            let meta = EventMeta {
                correlation_id: CorrelationId::new(id(1)),
                causation_id: id(1),
                command_id: CommandId::new(id(1)),
                actor: Actor::Anonymous,
                trace: None,
                recorded_at: at(0),
            };
            let stream = StreamId::order(OrderId::new(id(number)));
            let write = StreamWrite { stream, expected_version: Version::ZERO, events: vec![new], meta: None };
            let append = Append { writes: vec![write], meta, receipt: None };
            let result = self.store.append(vec![append]).await.unwrap().remove(0);
            assert!(matches!(result, AppendResult::Appended { .. }), "{result:?}");
        }
    }

    /// Shows the log in read models, and checks that they show nothing else.
    pub async fn shown_in(&self, models: &ReadModels) -> ProjectorHandle {
        let projector = Projector::spawn(Arc::new(self.store.clone()), models.clone(), Arc::new(Still));
        let head = self.store.head().await.unwrap();
        assert!(projector.wait_for(head, deadline()).await, "not at {head}");
        says_nothing_against_itself(models).await;
        let options = RebuildOptions { verify_only: true, ..RebuildOptions::default() };
        let report = projector.rebuild(&[], options, |_| {}).await.unwrap();
        for view in &report.views {
            assert_eq!(view.differences, Some(0), "{view:?}");
        }
        projector
    }

    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.store.clone())
    }

    async fn show(&self, fixture: &Fixture) {
        self.shown_in(&fixture.models).await.stop().await;
    }
}

pub struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

async fn says_nothing_against_itself(models: &ReadModels) {
    let limit = deadline();
    while let Some(problem) = models.queries().problem().await {
        assert!(Instant::now() < limit, "{problem}");
        tokio::task::yield_now().await;
    }
}

async fn says(models: &ReadModels, word: &str) {
    let limit = deadline();
    loop {
        let problem = models.queries().problem().await;
        if problem.as_ref().is_some_and(|problem| problem.contains(word)) {
            return;
        }
        assert!(Instant::now() < limit, "{problem:?}");
        tokio::task::yield_now().await;
    }
}

async fn orders(fixture: &Fixture) -> i64 {
    fixture.number("select count(*) from {}orders").await
}

/// The generation of the table of orders, which rises when the table is created anew.
async fn generation(fixture: &Fixture) -> i64 {
    fixture.number("select generation from {}projections where name = 'orders'").await
}

async fn views_ahead_of_their_log_are_built_anew(fixture: &Fixture) {
    let (now, before) = Shop::new(0..10).await.copy().await;
    now.grow(10..20).await;
    now.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (20, 1));
    before.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (10, 2));
}

async fn views_of_another_log_are_built_anew(fixture: &Fixture) {
    Shop::new(0..10).await.show(fixture).await;
    Shop::new(0..10).await.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (10, 2));
    Shop::new(50..54).await.show(fixture).await;
    assert_eq!(orders(fixture).await, 4);
}

async fn views_of_another_history_are_built_anew(fixture: &Fixture) {
    let (one, other) = Shop::new(0..10).await.copy().await;
    one.grow(10..15).await;
    one.show(fixture).await;
    // The other log has grown past the position of the views.
    other.grow(100..120).await;
    other.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (30, 2));
}

async fn views_that_prove_nothing_are_built_anew(fixture: &Fixture) {
    let shop = Shop::new(0..10).await;
    shop.show(fixture).await;
    // An older program leaves views without proofs ...
    fixture.tamper("update {}projections set log = null, hash = null").await;
    shop.show(fixture).await;
    assert_eq!(generation(fixture).await, 2);
    // ... and moves them on without proofs.
    shop.grow(10..12).await;
    fixture.tamper("update {}projections set position = 12").await;
    shop.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (12, 3));
}

async fn views_that_fit_are_taken_over_as_they_are(fixture: &Fixture) {
    let shop = Shop::new(0..10).await;
    shop.show(fixture).await;
    let (shop, copy) = shop.copy().await;
    copy.show(fixture).await;
    shop.grow(10..11).await;
    shop.show(fixture).await;
    assert_eq!((orders(fixture).await, generation(fixture).await), (11, 1));
}

async fn a_view_that_this_release_lacks_holds_nobody_up(fixture: &Fixture) {
    let shop = Shop::new(0..3).await;
    fixture
        .tamper("insert into {}projections (name, version, position, generation, rebuilding) values ('parrots', 1, 0, 1, 2)")
        .await;
    let projector = shop.shown_in(&fixture.models).await;
    let elsewhere = fixture.elsewhere().await;
    assert!(elsewhere.queries().wait_for(Position::new(3), deadline()).await, "by the checkpoints");
    assert_eq!(elsewhere.queries().problem().await, None);
    assert!(elsewhere.queries().statuses().await.unwrap().iter().all(|status| status.name != "parrots"));
    elsewhere.close().await;
    projector.stop().await;
}

async fn what_a_newer_release_parked_holds_nobody_up(fixture: &Fixture) {
    let shop = Shop::new(0..3).await;
    fixture
        .tamper("insert into {}parked_streams (view, stream, position, version, reason, parked_ms) values ('orders', 'parrot-01890a5d-ac96-774b-bcce-b302099a8057', 1, 1, 'x', 0)")
        .await;
    let projector = shop.shown_in(&fixture.models).await;
    assert_eq!(fixture.models.queries().parked_streams().await.unwrap(), []);
    projector.stop().await;
}

async fn views_that_are_being_built_say_so(fixture: &Fixture) {
    let shop = Shop::new(0..3).await;
    shop.show(fixture).await;
    // A projector that has begun and made no progress.
    fixture.tamper("update {}projections set rebuilding = 2, position = 1 where name = 'orders'").await;
    let elsewhere = fixture.elsewhere().await;
    says(&elsewhere, "rebuilding: orders").await;
    shop.show(fixture).await;
    assert_eq!(elsewhere.queries().problem().await, None);
    elsewhere.close().await;
}

/// Makes the orders unreadable, like a disk that loses a page.
async fn damage_orders(fixture: &Fixture) {
    match &fixture.place {
        Place::Sqlite(dir) => {
            let path = dir.path().join("views.db");
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
            let page = |name: &str| -> u64 {
                connection
                    .query_row("select rootpage from sqlite_master where name = ?1", [name], |row| row.get::<_, i64>(0))
                    .unwrap() as u64
            };
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            for page in ["orders", "sqlite_autoindex_orders_1"].map(page) {
                file.seek(SeekFrom::Start((page - 1) * 4_096)).unwrap();
                file.write_all(&[0xA5; 4_096]).unwrap();
            }
        }
        Place::Postgres { .. } => fixture.script("", "drop table views.orders cascade").await,
    }
}

async fn from_scratch_needs_nothing_of_what_is_there(fixture: &Fixture) {
    let shop = Shop::new(0..300).await;
    shop.show(fixture).await;
    let models = fixture.elsewhere().await;
    damage_orders(fixture).await;
    let projector = Projector::spawn(Arc::new(shop.store.clone()), models.clone(), Arc::new(Still));
    // Any reader may find the damage first; here it is a list.
    let limit = deadline();
    while models.queries().orders(&Default::default(), &PageRequest::default()).await.is_ok() {
        assert!(Instant::now() < limit, "the damage is never met");
        tokio::task::yield_now().await;
    }
    says(&models, "damaged").await;
    let verified = RebuildOptions { verify: true, ..RebuildOptions::default() };
    let refused = projector.rebuild(&[], verified, |_| {}).await.unwrap_err();
    assert!(std::error::Error::source(&refused).unwrap().to_string().contains("damaged"), "{refused:?}");
    let report = projector.rebuild(&[], RebuildOptions::default(), |_| {}).await.unwrap();
    assert!(report.views.iter().all(|view| view.swapped), "{report:?}");
    assert_eq!((report.position, report.views[0].rows), (Position::new(300), 300));
    shop.grow(300..302).await;
    assert!(projector.wait_for(Position::new(302), deadline()).await);
    projector.stop().await;
    shop.shown_in(&models).await.stop().await;
    assert_eq!(orders(fixture).await, 302);
    models.close().await;
}

fn damage(path: &Path) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&[0xA5; 4_096]).unwrap();
}

/// The server does this at its start, and no other process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_file_is_thrown_away_by_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::new(0..20).await;
    let options = Options { connections: 2 };
    let models = ReadModels::open_sqlite(folder.path(), options).await.unwrap();
    shop.shown_in(&models).await.stop().await;
    models.close().await;
    drop(models);
    let path = folder.path().join("views.db");
    damage(&path);
    let beside = ReadModels::open_sqlite(folder.path(), options).await.err().unwrap();
    assert!(matches!(beside, QueryError::Corrupt(_)), "{beside:?}");
    let models = ReadModels::own_sqlite(folder.path(), options).await.unwrap();
    shop.shown_in(&models).await.stop().await;
    assert_eq!(models.queries().orders(&Default::default(), &PageRequest::default()).await.unwrap().items.len(), 20);
    models.close().await;
    drop(models);
    // A file that is marked as damaged is not opened again.
    std::fs::write(folder.path().join("views.damaged"), "").unwrap();
    let models = ReadModels::own_sqlite(folder.path(), options).await.unwrap();
    assert_eq!(models.queries().orders(&Default::default(), &PageRequest::default()).await.unwrap().items, []);
    assert!(!folder.path().join("views.damaged").exists());
    shop.shown_in(&models).await.stop().await;
    models.close().await;
}
