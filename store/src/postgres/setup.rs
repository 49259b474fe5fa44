//! The pool, the migrations, and the meaning of errors.

use jangbu_kernel::log::LogError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool, SqlSafeStr as _};

use super::Options;
use super::connect::Connect;
use crate::error::StoreError;

/// The migrations in order. The schema version is the number of the last one.
const MIGRATIONS: [(&str, &str); 5] = [
    ("log", include_str!("../../../migrations/postgres/0001_log.sql")),
    ("leases", include_str!("../../../migrations/postgres/0002_leases.sql")),
    ("log_identity", include_str!("../../../migrations/postgres/0003_log_identity.sql")),
    ("parked processes", include_str!("../../../migrations/postgres/0004_parked_processes.sql")),
    ("hashed keys", include_str!("../../../migrations/postgres/0005_hashed_keys.sql")),
];
/// The table that lists the migrations that have run; read models have their own.
const MIGRATIONS_TABLE: &str = "store_migrations";
/// The schema version that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

pub(super) async fn pool(connect: &Connect, options: &Options) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(options.connections.max(2))
        .acquire_timeout(options.acquire_timeout)
        // `ask` repeats a statement on a dead connection, which is cheaper than a round trip before
        // each one.
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A future that was dropped inside a transaction must not leave it open.
                connection.execute("rollback").await?;
                Ok(true)
            })
        });
    connect.pool(pool).await.map_err(open_error)
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

/// Runs the missing migrations. Several nodes may try at once: the migrator takes a lock.
pub(super) async fn migrate(pool: &PgPool, connect: &Connect) -> Result<(), StoreError> {
    refuse_newer(pool).await?;
    let failed = |cause: MigrateError| StoreError::Migrate(Box::new(cause));
    // Building an index may take longer than any other statement.
    let one = connect.patient().pool(PgPoolOptions::new().max_connections(1)).await;
    let one = one.map_err(|error| failed(error.into()))?;
    let done = match migrator().run(&one).await {
        Ok(()) => Ok(()),
        Err(cause) => Err(not_allowed(pool, &cause).await.unwrap_or_else(|| failed(cause))),
    };
    one.close().await;
    done
}

/// What a role that may not make tables lacks, in terms that help the database's owner.
async fn not_allowed(pool: &PgPool, cause: &MigrateError) -> Option<StoreError> {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = cause else { return None };
    // insufficient_privilege, invalid_schema_name
    if !matches!(code(error).as_deref(), Some("42501" | "3F000")) {
        return None;
    }
    let (role, database, schema): (String, String, Option<String>) =
        sqlx::query_as("select current_user::text, current_database()::text, current_schema()::text")
            .fetch_one(pool)
            .await
            .ok()?;
    let (role, database) = (role.replace('"', "\"\""), database.replace('"', "\"\""));
    let schema = schema.unwrap_or_else(|| "public".to_owned()).replace('"', "\"\"");
    Some(StoreError::Unfit(format!(
        "the role \"{role}\" may not make tables ({error}): let the owner of the database run `grant create on database \
         \"{database}\" to \"{role}\"; grant usage, create on schema \"{schema}\" to \"{role}\"`"
    )))
}

/// The scripts of the migrations.
#[cfg(test)]
pub(crate) fn scripts() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.into_iter().map(|(_, script)| script)
}

fn migrator() -> Migrator {
    let migrations = (1_i64..).zip(MIGRATIONS).map(|(version, (name, script))| {
        Migration::new(version, name.into(), MigrationType::Simple, script.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

/// The server decides how durable a commit is. If it is not, this logs a warning.
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

/// Whether the connection is lost, so that the outcome of the statement is unknown.
pub(super) fn is_connection_loss(error: &sqlx::Error) -> bool {
    match code(error) {
        // admin_shutdown, crash_shutdown, idle_session_timeout, and the class of connection
        // exceptions.
        Some(code) => matches!(code.as_str(), "57P01" | "57P02" | "57P05") || code.starts_with("08"),
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
