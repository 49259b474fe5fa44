//! Connecting, the settings of every connection, migrations, and what errors mean.

use std::str::FromStr as _;

use jangbu_kernel::log::LogError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, PgPool, SqlSafeStr as _};

use super::Options;
use crate::error::StoreError;

/// The migrations in order; the schema version is the number of the last one.
const MIGRATIONS: [(&str, &str); 2] = [
    ("log", include_str!("../../../migrations/postgres/0001_log.sql")),
    ("leases", include_str!("../../../migrations/postgres/0002_leases.sql")),
];
/// Where the migrations that have run are listed; read models list theirs elsewhere.
const MIGRATIONS_TABLE: &str = "store_migrations";
/// The schema version that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// The settings of every connection. Each statement of this engine finds its
/// rows by an index; a plan that was made while a table was small must not
/// decide otherwise and then be kept while the table grows.
pub(super) fn connect_options(url: &str, options: &Options) -> Result<PgConnectOptions, StoreError> {
    let milliseconds = |time: std::time::Duration| time.as_millis().to_string();
    let settings = [
        ("statement_timeout", milliseconds(options.statement_timeout)),
        ("lock_timeout", milliseconds(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", milliseconds(options.statement_timeout)),
        ("client_min_messages", "error".to_owned()),
        ("jit", "off".to_owned()),
        ("enable_seqscan", "off".to_owned()),
        ("enable_bitmapscan", "off".to_owned()),
        ("enable_hashjoin", "off".to_owned()),
        ("enable_mergejoin", "off".to_owned()),
    ];
    let connect = PgConnectOptions::from_str(url).map_err(open_error)?;
    Ok(connect.application_name("jangbu-store").options(settings).disable_statement_logging())
}

pub(super) async fn pool(connect: &PgConnectOptions, options: &Options) -> Result<PgPool, StoreError> {
    PgPoolOptions::new()
        .max_connections(options.connections.max(2))
        .acquire_timeout(options.acquire_timeout)
        // `ask` repeats a question that met a dead connection, which is cheaper
        // than a round trip before each one.
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A future that was dropped inside a transaction must not leave it open.
                connection.execute("rollback").await?;
                Ok(true)
            })
        })
        .connect_with(connect.clone())
        .await
        .map_err(open_error)
}

pub(super) async fn schema_version(pool: &PgPool) -> Result<u32, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass($1) is not null").bind(MIGRATIONS_TABLE).fetch_one(pool).await?;
    if !exists {
        return Ok(0);
    }
    let version: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from store_migrations where success")
        .fetch_one(pool)
        .await?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

pub(super) async fn refuse_newer(pool: &PgPool) -> Result<(), StoreError> {
    let found = schema_version(pool).await.map_err(open_error)?;
    if found > SCHEMA_VERSION { Err(StoreError::Newer { found, known: SCHEMA_VERSION }) } else { Ok(()) }
}

/// Runs the migrations that are missing. Several nodes may try at once: the
/// migrator takes a lock.
pub(super) async fn migrate(pool: &PgPool, connect: &PgConnectOptions) -> Result<(), StoreError> {
    refuse_newer(pool).await?;
    let failed = |cause: MigrateError| StoreError::Migrate(Box::new(cause));
    // Building an index may take longer than any statement of daily work.
    let patient = connect.clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let one =
        PgPoolOptions::new().max_connections(1).connect_with(patient).await.map_err(|error| failed(error.into()))?;
    let done = migrator().run(&one).await.map_err(failed);
    one.close().await;
    done
}

fn migrator() -> Migrator {
    let migrations = (1_i64..).zip(MIGRATIONS).map(|(version, (name, script))| {
        Migration::new(version, name.into(), MigrationType::Simple, script.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

/// The server decides how durable a commit is; that it is not is worth a word.
pub(super) async fn warn_if_commits_are_not_durable(pool: &PgPool) {
    for setting in ["fsync", "synchronous_commit"] {
        let value: Result<String, _> =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(pool).await;
        if value.is_ok_and(|value| value == "off") {
            tracing::warn!(
                setting,
                "the database server runs with {setting} off: a power cut may lose what was acknowledged"
            );
        }
    }
}

pub(super) fn open_error(cause: sqlx::Error) -> StoreError {
    StoreError::Open(Box::new(cause))
}

/// The SQLSTATE of a server's error.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// Whether the connection is gone, so that nothing can be said about what was asked on it.
pub(super) fn is_connection_loss(error: &sqlx::Error) -> bool {
    match code(error) {
        // admin_shutdown, crash_shutdown, and the class of connection exceptions.
        Some(code) => code == "57P01" || code == "57P02" || code.starts_with("08"),
        None => matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
        ),
    }
}

/// Whether the statement lost a race with another writer and left nothing behind.
pub(super) fn is_lost_race(error: &sqlx::Error) -> bool {
    // unique_violation, serialization_failure, deadlock_detected
    matches!(code(error).as_deref(), Some("23505" | "40001" | "40P01"))
}

pub(super) fn log_error(error: sqlx::Error) -> LogError {
    match code(&error).as_deref() {
        // disk_full, read_only_sql_transaction
        Some("53100" | "25006") => LogError::ReadOnly(error.to_string()),
        // data_corrupted, index_corrupted
        Some("XX001" | "XX002") => LogError::Damaged(error.to_string()),
        _ => LogError::Unavailable("the database failed".into(), Some(Box::new(error))),
    }
}
