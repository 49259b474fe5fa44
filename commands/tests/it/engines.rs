//! The engines that a shop can run on, for cases that have to hold on each of them.

use std::sync::Arc;

use jangbu_kernel::Position;
use jangbu_store::{MemoryStore, PostgresStore, SqliteStore, Store, postgres, sqlite};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Shop;

/// A fresh store, with access to its database.
pub struct Engine {
    pub store: Arc<dyn Store>,
    url: Option<String>,
}

impl Engine {
    /// How many transactions wrote the events after a position, if the engine knows: Postgres
    /// stores the writing transaction with every row.
    pub async fn transactions_behind(&self, position: Position) -> Option<i64> {
        let mut connection = PgConnection::connect(self.url.as_ref()?).await.unwrap();
        let distinct = "select count(distinct xmin::text) from events where position > $1";
        let behind = i64::try_from(position.get()).unwrap();
        Some(sqlx::query_scalar(distinct).bind(behind).fetch_one(&mut connection).await.unwrap())
    }
}

pub async fn on_memory<F: Future<Output = ()>>(case: impl FnOnce(Engine) -> F) {
    case(Engine { store: Arc::new(MemoryStore::new()), url: None }).await;
}

pub async fn on_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Engine) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap());
    store.migrate().await.unwrap();
    case(Engine { store: store.clone(), url: None }).await;
    store.close().await;
}

/// Runs the case on a database of its own, which is dropped however the case ends.
pub async fn on_postgres<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Engine) -> F + Send + 'static) {
    let server = std::env::var("JANGBU_TEST_DATABASE_URL")
        .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a database server and sets it");
    let name = format!("jangbu_commands_{}_{}", std::process::id(), Shop::new().id().simple());
    let (address, query) =
        server.split_once('?').map_or((server.as_str(), String::new()), |(a, q)| (a, format!("?{q}")));
    let url = format!("{}/{name}{query}", address.rsplit_once('/').unwrap().0);
    let mut connection = PgConnection::connect(&server).await.unwrap();
    for text in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    }
    let outcome = tokio::spawn(async move {
        let store = Arc::new(PostgresStore::connect(&url, postgres::Options::default()).await.unwrap());
        store.migrate().await.unwrap();
        case(Engine { store: store.clone(), url: Some(url) }).await;
        store.close().await;
    })
    .await;
    let text = format!("drop database {name} with (force)");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Runs each case on each engine, every run on a store of its own.
macro_rules! on_each_engine {
    ($($module:ident: $($case:ident),+;)+) => {
        mod on_memory {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::engines::on_memory(crate::$module::$case).await;
            })+)+
        }
        mod on_sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::engines::on_sqlite(crate::$module::$case).await;
            })+)+
        }
        mod on_postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::engines::on_postgres(crate::$module::$case).await;
            })+)+
        }
    };
}

on_each_engine! {
    walk:
        a_paid_order_is_four_appends_and_three_commits_to_its_ready_parcel;
    notices:
        a_fact_is_told_once_whatever_the_checkpoint_says,
        what_fails_is_tried_again_and_what_is_rejected_waits_for_staff,
        nobody_is_told_what_they_do_not_want_or_what_is_old,
        an_existing_log_begins_at_its_head_and_a_day_is_the_oldest,
        the_shop_is_told_what_runs_low;
}
