//! Damage that SQL does to a store that was filled and sealed, and how the verification reports it.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use jangbu_kernel::log::Snapshot;
use jangbu_kernel::{Position, StreamId, Version};
use jangbu_store::{Flaw, Pages, SqliteStore, Store, seal_in_pages, seal_to_head, sqlite, verify_each, verify_log};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fixture::{
    Still, append, append_one, connect, eventually, moment, order, positions, receipt, with_database, write,
};

/// Batches of a damaged store, each of [`EACH`] events on a stream of its own.
const BATCHES: u64 = 4;
const EACH: u64 = 5;
const EVENTS: u64 = BATCHES * EACH;

/// Direct access to the stored data.
enum Raw {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Raw {
    async fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(file) => rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap(),
            Self::Postgres(url) => {
                let mut database = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut database).await.unwrap();
            }
        }
    }

    /// Bytes as a literal of this engine.
    fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sqlite(_) => format!("x'{hex}'"),
            Self::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    /// The literal of the hash of a receipt's key.
    fn key_hash(&self, key: &str) -> String {
        self.bytes(&receipt(key, order(), 1).key.hash)
    }

    const fn counts_positions(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Makes it possible to alter events and roots.
    async fn let_go_of_the_guards(&self) {
        self.run(match self {
            Self::Sqlite(_) => {
                "drop trigger events_are_not_updated; drop trigger events_are_not_deleted; \
                 drop trigger sealed_roots_are_not_updated; drop trigger sealed_roots_are_not_deleted;"
            }
            Self::Postgres(_) => {
                "alter table events disable trigger events_are_kept; \
                 alter table sealed_roots disable trigger sealed_roots_are_kept;"
            }
        })
        .await;
    }
}

struct Planted {
    store: Arc<dyn Store>,
    raw: Raw,
}

impl Planted {
    /// 20 events in four appends two seconds apart, each with a receipt and a root over all events
    /// so far; a checkpoint at the end, and a snapshot of the last stream.
    async fn fill(&self) {
        let store = &*self.store;
        let mut stream = order();
        for n in 1..=BATCHES {
            stream = order();
            one_append(store, stream, n).await;
            seal_to_head(store, &Still).await.unwrap();
        }
        store.advance("process-manager", Position::new(EVENTS)).await.unwrap();
        store
            .save_snapshots(vec![Snapshot {
                stream,
                version: Version::new(EACH),
                state_version: 1,
                state: "{}".into(),
            }])
            .await
            .unwrap();
        self.raw.let_go_of_the_guards().await;
        assert_eq!(self.flaws().await, []);
    }

    async fn flaws(&self) -> Vec<Flaw> {
        verify_log(&*self.store, |_| {}).await.unwrap().flaws
    }

    /// Alters an event and its hash so that they match.
    async fn forge(&self, position: u64) {
        let mut row = self.store.rows(Position::new(position - 1), 1).await.unwrap().remove(0);
        row.payload = r#"{"n":700}"#.into();
        let hash = self.raw.bytes(&row.leaf_hash());
        let sql = format!("update events set payload = '{}', hash = {hash} where position = {position};", row.payload);
        self.raw.run(&sql).await;
    }
}

/// The n-th append: five events on a stream, two seconds after the previous one.
async fn one_append(store: &dyn Store, stream: StreamId, n: u64) {
    let mut one = append([write(stream, 0, EACH as usize)]);
    one.meta.recorded_at = moment() + TimeDelta::seconds(2 * n as i64);
    one.receipt = Some(receipt(&format!("key-{n}"), stream, EACH));
    positions(&append_one(store, one).await);
}

/// Runs a case on a store of each engine whose data can be altered.
async fn on_both<F: Future<Output = ()> + Send + 'static>(case: impl Fn(Planted) -> F + Clone + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap());
    store.migrate().await.unwrap();
    case(Planted { store: store.clone(), raw: Raw::Sqlite(folder.path().join("log.db")) }).await;
    store.close().await;
    with_database(async move |url: String| {
        let store = Arc::new(connect(&url).await);
        store.migrate().await.unwrap();
        case(Planted { store: store.clone(), raw: Raw::Postgres(url) }).await;
        store.close().await;
    })
    .await;
}

/// Each damage is done to a store of its own and has the expected flaws.
async fn each_is_named<const N: usize>(damages: [(&'static str, Vec<Flaw>); N]) {
    for (sql, expected) in damages {
        on_both(move |planted: Planted| {
            let expected = expected.clone();
            async move {
                planted.fill().await;
                planted.raw.run(sql).await;
                assert_eq!(planted.flaws().await, expected, "after {sql}");
            }
        })
        .await;
    }
}

/// Each witness of lost events on its own: the others are lost as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_witness_alone_proves_a_cut() {
    const CUT: &str = "delete from events where position > 12; delete from sealed_roots where size > 12;";
    // How each witness is removed when another one is tested.
    const WITNESSES: [(&str, &str); 5] = [
        ("frontier", "delete from sealed_frontier;"),
        ("receipt", "delete from receipts where position > 12;"),
        ("checkpoint", "update checkpoints set position = 12;"),
        ("snapshot", "delete from snapshots;"),
        ("counter", "update log_head set position = 12;"),
    ];
    on_both(async |planted: Planted| {
        // Of this store only the remaining root is kept, with its frontier.
        planted.fill().await;
        let frontier = {
            let mut frontier = jangbu_store::MerkleFrontier::new();
            planted.store.rows(Position::ZERO, 10).await.unwrap().iter().for_each(|row| frontier.push(row.leaf_hash()));
            planted.raw.bytes(&frontier.to_bytes())
        };
        planted.raw.run(CUT).await;
        let all = planted.flaws().await;
        assert!(all.contains(&Flaw::Truncated { sealed: Position::new(EVENTS), head: Position::new(12) }), "{all:?}");
        assert!(
            all.iter().all(|flaw| flaw.position() == Position::new(13)),
            "each names the first that is gone: {all:?}"
        );
        assert_eq!(all.len(), if planted.raw.counts_positions() { 5 } else { 4 }, "{all:?}");
        for (_, removal) in WITNESSES.iter().filter(|(name, _)| *name != "counter" || planted.raw.counts_positions()) {
            let before = planted.flaws().await.len();
            planted.raw.run(removal).await;
            if removal.contains("frontier") {
                planted
                    .raw
                    .run(&format!("insert into sealed_frontier (id, size, peaks) values (1, 10, {frontier});"))
                    .await;
            }
            assert_eq!(planted.flaws().await.len(), before - 1, "after {removal}");
        }
        assert_eq!(planted.flaws().await, [], "whatever told of it is gone, too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_events_are_all_gone_is_found() {
    on_both(async |planted: Planted| {
        planted.fill().await;
        planted
            .raw
            .run("delete from events; delete from receipts; delete from snapshots; delete from checkpoints;")
            .await;
        let flaws = planted.flaws().await;
        assert_eq!(flaws[0], Flaw::Truncated { sealed: Position::new(EVENTS), head: Position::ZERO });
        assert_eq!(flaws[0].position(), Position::FIRST);
        planted.raw.run("delete from sealed_frontier;").await;
        assert!(
            planted.flaws().await.contains(&Flaw::Truncated { sealed: Position::new(EACH), head: Position::ZERO }),
            "the roots alone"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_and_seals_that_were_removed_or_altered_are_found() {
    each_is_named([
        ("delete from sealed_roots;", vec![Flaw::RootGone { size: Position::new(20) }]),
        ("delete from sealed_roots where size = 20;", vec![Flaw::RootGone { size: Position::new(20) }]),
        ("delete from sealed_frontier;", vec![Flaw::FrontierGone { size: Position::new(20) }]),
        (
            "update sealed_frontier set peaks = root from sealed_roots r where r.size = 5;",
            vec![Flaw::FrontierAltered { size: Position::new(20) }],
        ),
        (
            "update sealed_roots set root = hash from events where position = 1 and size = 10;",
            vec![Flaw::RootAltered { size: Position::new(10) }],
        ),
        (
            "update sealed_roots set root = hash from events where position = 1 and size = 20;",
            vec![Flaw::RootAltered { size: Position::new(20) }],
        ),
        (
            "delete from sealed_roots; delete from sealed_frontier;",
            vec![Flaw::Unsealed { first: Position::FIRST, head: Position::new(20), seconds: 6 }],
        ),
    ])
    .await;
}

/// A row that is rewritten together with its hash is consistent in itself, but the seals do not
/// fit. The flaw names the first event that may be altered, not the position of the seal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_event_is_found_and_narrowed_down() {
    // Sizes sealed: 5, 10, 15, 20. The frontier's subtrees: 1 to 16, 17 to 20.
    let cases: [(u64, &str, Flaw); 6] = [
        (3, "", Flaw::Root { first: Position::FIRST, size: Position::new(5) }),
        (8, "", Flaw::Root { first: Position::new(6), size: Position::new(10) }),
        (16, "", Flaw::Root { first: Position::new(16), size: Position::new(20) }),
        (18, "", Flaw::Root { first: Position::new(17), size: Position::new(20) }),
        (
            8,
            "delete from sealed_roots where size >= 10;",
            Flaw::Frontier { first: Position::new(6), size: Position::new(20) },
        ),
        (
            18,
            "delete from sealed_roots where size = 20;",
            Flaw::Frontier { first: Position::new(17), size: Position::new(20) },
        ),
    ];
    for (position, and, expected) in cases {
        on_both(move |planted: Planted| {
            let expected = expected.clone();
            async move {
                planted.fill().await;
                planted.forge(position).await;
                planted.raw.run(and).await;
                let verified = verify_log(&*planted.store, |_| {}).await.unwrap();
                assert_eq!(verified.flaws, [expected], "{position} is forged, {and}");
                let first = verified.flaws[0].position();
                assert!((first..=first.plus(4)).contains(&Position::new(position)));
                assert!(verified.complete && verified.handed_on, "the rows themselves can be read");
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_altered_or_removed_are_found() {
    each_is_named([
        ("update events set payload = '{}' where position = 7;", vec![Flaw::Hash { position: Position::new(7) }]),
        (
            "update events set payload = '{}' where position in (7, 19);",
            vec![Flaw::Hash { position: Position::new(7) }, Flaw::Hash { position: Position::new(19) }],
        ),
        (
            "delete from events where position = 7;",
            vec![Flaw::Position { expected: Position::new(7), found: Position::new(8) }],
        ),
        (
            "delete from events where position = 1;",
            vec![Flaw::Position { expected: Position::FIRST, found: Position::new(2) }],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_do_not_point_at_their_event_are_found() {
    type IsTold = fn(&[Flaw]) -> bool;
    let cases: [(&str, IsTold); 5] = [
        ("version = 6", |flaws| matches!(flaws, [Flaw::Receipt { position, .. }] if *position == Position::new(10))),
        (
            "stream_kind = 'stock'",
            |flaws| matches!(flaws, [Flaw::Receipt { position, .. }] if *position == Position::new(10)),
        ),
        ("position = 3", |flaws| matches!(flaws, [Flaw::Receipt { position, .. }] if *position == Position::new(3))),
        ("position = 99", |flaws| matches!(flaws, [Flaw::Lost { head, .. }] if *head == Position::new(20))),
        ("position = position", |flaws| flaws.is_empty()),
    ];
    for (change, is_told) in cases {
        on_both(move |planted: Planted| async move {
            planted.fill().await;
            let hash = planted.raw.key_hash("key-2");
            planted.raw.run(&format!("update receipts set {change} where key_hash = {hash};")).await;
            let flaws = planted.flaws().await;
            assert!(is_told(&flaws), "{change}: {flaws:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_was_put_back_is_found() {
    on_both(async |planted: Planted| {
        planted.fill().await;
        if planted.raw.counts_positions() {
            planted.raw.run("update log_head set position = 3;").await;
            assert_eq!(
                planted.flaws().await,
                [Flaw::Counter { counter: Position::new(3), head: Position::new(EVENTS) }]
            );
            planted.raw.run("delete from log_head;").await;
            assert_eq!(planted.flaws().await, [Flaw::Counter { counter: Position::ZERO, head: Position::new(EVENTS) }]);
        }
    })
    .await;
}

/// A sealer that is a moment behind is not reported, one that stopped sealing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_wait_for_their_seal_too_long_are_found() {
    on_both(async |planted: Planted| {
        planted.fill().await;
        for n in BATCHES + 1..=BATCHES + 15 {
            one_append(&*planted.store, order(), n).await;
        }
        assert_eq!(planted.flaws().await, [], "28 seconds");
        one_append(&*planted.store, order(), BATCHES + 16).await;
        assert_eq!(
            planted.flaws().await,
            [Flaw::Unsealed { first: Position::new(21), head: Position::new(100), seconds: 30 }]
        );
        seal_to_head(&*planted.store, &Still).await.unwrap();
        assert_eq!(planted.flaws().await, []);
        // A shop that was idle for a day had nothing to seal.
        let mut late = append([write(order(), 0, 1)]);
        late.meta.recorded_at = moment() + TimeDelta::days(1);
        append_one(&*planted.store, late).await;
        append_one(&*planted.store, append([write(order(), 0, 1)])).await;
        assert_eq!(planted.flaws().await, []);
    })
    .await;
}

/// An invalid id, which only SQLite's columns can hold.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap());
    store.migrate().await.unwrap();
    let planted = Planted { store: store.clone(), raw: Raw::Sqlite(folder.path().join("log.db")) };
    planted.fill().await;
    planted.raw.run("update events set stream_id = x'00' where position = 7;").await;
    let verified = verify_log(&*store, |_| {}).await.unwrap();
    // Verification gets such a row with its readable parts; it is not what was appended.
    assert_eq!(verified.flaws.first(), Some(&Flaw::Hash { position: Position::new(7) }), "{:?}", verified.flaws);
    store.close().await;
}

/// For every size of a page, every row is passed on once and every damage is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_of_a_page_changes_nothing() {
    on_both(async |planted: Planted| {
        planted.fill().await;
        let verify = async |page: usize| {
            let pages = Pages { rows: page, roots: page.div_ceil(4), receipts: page.div_ceil(4) };
            let mut seen = Vec::new();
            let verified = verify_each(&*planted.store, pages, |row| seen.push(row.position), |_| {}).await.unwrap();
            (verified, seen)
        };
        let sizes = [1, 2, 3, 4, 5, 19, 20, 21];
        for page in sizes {
            let (verified, seen) = verify(page).await;
            assert_eq!(seen, (1..=EVENTS).map(Position::new).collect::<Vec<_>>(), "pages of {page}");
            assert_eq!((verified.roots, verified.receipts, verified.streams), (BATCHES, BATCHES, BATCHES));
            assert_eq!((verified.sealed, verified.flaws), (Position::new(EVENTS), vec![]));
        }
        planted.forge(20).await;
        let hash = planted.raw.key_hash("key-4");
        planted.raw.run(&format!("update receipts set version = 9 where key_hash = {hash};")).await;
        for page in sizes {
            assert_eq!(verify(page).await.0.flaws.len(), 2, "pages of {page}");
        }
    })
    .await;
}

/// One event more than a page, twice, and so on: each event is hashed once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_meets_each_event_once_whatever_its_page() {
    for (page, counts) in [(1, [1, 2]), (3, [3, 4]), (3, [6, 7]), (4, [5, 4]), (5, [4, 11])] {
        on_both(move |planted: Planted| async move {
            for count in counts {
                append_one(&*planted.store, append([write(order(), 0, count)])).await;
                seal_in_pages(&*planted.store, &Still, page).await.unwrap();
            }
            let verified = verify_log(&*planted.store, |_| {}).await.unwrap();
            assert_eq!((verified.roots, verified.flaws), (2, vec![]), "pages of {page}, {counts:?}");
        })
        .await;
    }
}

/// The sealer's health says since when nothing has been sealed, and when that is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_that_fails_says_so_until_it_succeeds() {
    on_both(async |planted: Planted| {
        planted.fill().await;
        let peaks = planted.store.sealed_frontier().await.unwrap().to_bytes();
        let set_peaks = async |bytes: &[u8]| {
            planted.raw.run(&format!("update sealed_frontier set peaks = {};", planted.raw.bytes(bytes))).await
        };
        set_peaks(&[7; 64]).await;
        let options = jangbu_store::SealerOptions {
            pause: std::time::Duration::from_millis(1),
            retry: std::time::Duration::from_millis(1),
            ..Default::default()
        };
        let sealer = jangbu_store::Sealer::spawn_with(Arc::clone(&planted.store) as _, Arc::new(Still), options);
        let health = sealer.health();
        eventually("it says that it fails", async || health.check().is_err()).await;
        let said = health.check().unwrap_err();
        assert!(said.contains("2026-") && said.contains("frontier"), "since when, and why: {said}");
        assert_eq!(health.fails().unwrap().since, moment());
        assert!(!sealer.is_finished(), "it goes on trying");
        set_peaks(&peaks).await;
        eventually("it seals again", async || health.check().is_ok()).await;
        sealer.stop().await;
        assert_eq!(planted.flaws().await, []);
    })
    .await;
}
