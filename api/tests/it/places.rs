//! Where a shop keeps its data: in memory, in a folder, in a database.

use std::sync::Arc;
use std::time::Duration;

use jangbu_projections::{Options, ReadModels};
use jangbu_store::{MemoryStore, PostgresStore, SqliteStore, Store, postgres, sqlite};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);

/// A place that is kept when its shop is closed, except for memory.
pub enum Place {
    Memory,
    Sqlite(tempfile::TempDir),
    Postgres { server: String, name: String, url: String },
}

impl Place {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub async fn postgres() -> Self {
        let server = std::env::var("JANGBU_TEST_DATABASE_URL")
            .expect("JANGBU_TEST_DATABASE_URL is not set: run ./test, which starts a database server and sets it");
        let name = format!("jangbu_api_{}", Uuid::from_u128(u128::from(std::process::id())).simple());
        let (address, query) =
            server.split_once('?').map_or((server.as_str(), String::new()), |(a, q)| (a, format!("?{q}")));
        let url = format!("{}/{name}{query}", address.rsplit_once('/').unwrap().0);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        for text in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        }
        Self::Postgres { server, name, url }
    }

    pub async fn open(&self) -> (Arc<dyn Store>, ReadModels) {
        let options = Options::default();
        let (store, models): (Arc<dyn Store>, ReadModels) = match self {
            Self::Memory => (Arc::new(MemoryStore::new()), ReadModels::in_memory().await.unwrap()),
            Self::Sqlite(folder) => {
                let store = SqliteStore::open(folder.path(), sqlite::Options::default()).unwrap();
                (Arc::new(store), ReadModels::open_sqlite(folder.path(), options).await.unwrap())
            }
            Self::Postgres { url, .. } => {
                let store = PostgresStore::connect(url, postgres::Options::default()).await.unwrap();
                (Arc::new(store), ReadModels::connect_postgres(url, options).await.unwrap())
            }
        };
        store.migrate().await.unwrap();
        (store, models)
    }

    /// Rows that Postgres has read for this place, by its own statistics. A connection reports its
    /// reads when it ends, so all of them must be closed.
    pub async fn rows_read(&self) -> Option<i64> {
        let Self::Postgres { name, url, .. } = self else { return None };
        let mut connection = PgConnection::connect(url).await.unwrap();
        let limit = Instant::now() + LIMIT;
        let others = "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()";
        while sqlx::query_scalar::<_, i64>(others).bind(name).fetch_one(&mut connection).await.unwrap() > 0 {
            assert!(Instant::now() < limit, "somebody is still connected");
            tokio::task::yield_now().await;
        }
        let read =
            "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_user_tables";
        Some(sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap())
    }

    /// Removes everything in it.
    pub async fn end(&self) {
        if let Self::Postgres { server, name, .. } = self {
            let mut connection = PgConnection::connect(server).await.unwrap();
            let text = format!("drop database {name} with (force)");
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        }
    }
}
