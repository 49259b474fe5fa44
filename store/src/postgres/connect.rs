//! Connections: how they are made, which settings each one starts with, and what a server, or a
//! pooler in front of it, must support.
//!
//! The settings are sent after the connection is open, not at its start: a pooler such as PgBouncer
//! refuses startup settings that it does not know.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::LogError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep, timeout};

use super::{Options, Shared, setup};
use crate::error::StoreError;

/// The pause between two attempts to reach a server that is starting.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How often two connections are compared. Once is not enough: a pooler mostly, but not always,
/// gives a statement the server connection that was freed last.
const COMPARISONS: usize = 4;
/// How long to search for the reason when no connection was freed in time.
const REASON_PATIENCE: Duration = Duration::from_secs(2);

/// How a connection is made.
#[derive(Clone)]
pub(super) struct Connect {
    options: PgConnectOptions,
    /// Statements that every connection starts with.
    settings: Arc<str>,
}

impl Connect {
    pub(super) fn to(url: &str, options: &Options) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(url).map_err(setup::open_error)?;
        // No floats are read, and poolers refuse the setting that only floats need.
        let connect = connect.application_name("jangbu-store").extra_float_digits(None).disable_statement_logging();
        let settings = settings(options.statement_timeout, options.lock_timeout);
        Ok(Self { options: connect, settings: settings.into() })
    }

    /// The same without time limits, for work that may take any time.
    pub(super) fn patient(&self) -> Self {
        Self { options: self.options.clone(), settings: settings(Duration::ZERO, Duration::ZERO).into() }
    }

    pub(super) async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        tell(&mut connection, &self.settings).await?;
        Ok(connection)
    }

    pub(super) async fn pool(&self, pool: PgPoolOptions) -> Result<PgPool, sqlx::Error> {
        let settings = Arc::clone(&self.settings);
        let pool = pool.after_connect(move |connection, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { tell(connection, &settings).await })
        });
        pool.connect_with(self.options.clone()).await
    }

    /// Checks the server before it is used.
    pub(super) async fn inspect(&self, patience: Duration) -> Result<(), StoreError> {
        let mut one = self.first(patience).await.map_err(setup::open_error)?;
        refuse_other_encodings(&mut one).await?;
        self.refuse_shared_sessions(&mut one).await?;
        // No transaction is open on it. If closing it fails, the server notices that by itself.
        let _ = one.close().await;
        Ok(())
    }

    /// A first connection, without settings; waits for a server that is starting. In the end it
    /// returns the actual error, where a pool would only report a timeout.
    async fn first(&self, patience: Duration) -> Result<PgConnection, sqlx::Error> {
        let until = Instant::now() + patience;
        loop {
            let trouble = match timeout(patience, PgConnection::connect_with(&self.options)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
            };
            if !may_pass(&trouble) || Instant::now() >= until {
                return Err(trouble);
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// Refuses a pooler that gives each transaction another session. This engine depends on the
    /// session: prepared statements, settings, listening, and the locks of migrations would be
    /// lost.
    async fn refuse_shared_sessions(&self, one: &mut PgConnection) -> Result<(), StoreError> {
        let refused = |how: &str| {
            StoreError::Unfit(format!(
                "{how}: let the pooler pool sessions (PgBouncer: pool_mode = session), or connect to Postgres itself"
            ))
        };
        let mut other = PgConnection::connect_with(&self.options).await.map_err(setup::open_error)?;
        for _ in 0..COMPARISONS {
            let before = backend(one).await?;
            if let Err(error) = sqlx::raw_sql("begin").execute(&mut other).await {
                return Err(refused(&format!("the database lets nobody begin a transaction ({error})")));
            }
            let beside = backend(&mut other).await?;
            let after = backend(one).await?;
            sqlx::raw_sql("rollback").execute(&mut other).await.map_err(setup::open_error)?;
            if before != after || beside == before {
                return Err(refused("a pooler gives each transaction another session of the database"));
            }
        }
        let _ = other.close().await;
        Ok(())
    }
}

/// Whether an error at the start may go away by itself: nothing listens yet, the server is
/// starting, or it has no free connection.
fn may_pass(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_)) || matches!(setup::code(error).as_deref(), Some("57P03" | "53300"))
}

/// The settings of every connection. They override those of the role and the database. Every
/// statement of this engine finds its rows by an index. Without these settings, a plan that was
/// made while a table was small could ignore the index and be kept while the table grows.
fn settings(statement_timeout: Duration, lock_timeout: Duration) -> String {
    let (statement, lock) = (statement_timeout.as_millis(), lock_timeout.as_millis());
    format!(
        "set client_min_messages = error; set statement_timeout = {statement}; set lock_timeout = {lock}; \
         set idle_in_transaction_session_timeout = {statement}; set jit = off; set enable_seqscan = off; \
         set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
         select set_config(name, '0', false) from pg_settings where name in ('idle_session_timeout', 'transaction_timeout')"
    )
}

async fn tell(connection: &mut PgConnection, settings: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings.to_owned()))).await.map(|_| ())
}

async fn backend(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await.map_err(setup::open_error)?;
    sqlx::Row::try_get(&row, 0).map_err(setup::open_error)
}

/// Names are stored as they are written, in any script.
async fn refuse_other_encodings(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::raw_sql("show server_encoding").fetch_one(connection).await.map_err(setup::open_error)?;
    let encoding: String = sqlx::Row::try_get(&row, 0).map_err(setup::open_error)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Unfit(format!(
        "the database has the encoding {encoding} and cannot hold every name: make one with \
         `create database NAME encoding 'UTF8' template template0`"
    )))
}

/// Why no connection was freed in time.
pub(super) async fn why_none_came_free(shared: &Shared) -> LogError {
    let (most, seconds) = (shared.options.connections.max(2), shared.options.acquire_timeout.as_secs());
    let said = match timeout(REASON_PATIENCE, PgConnection::connect_with(&shared.connect.options)).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            format!("all {most} connections to the database were in use for {seconds} s")
        }
        Ok(Err(error)) => format!("the database takes no connection: {error}"),
        Err(_) => "the database does not answer".to_owned(),
    };
    LogError::Unavailable(said, None)
}
