//! Postgres: one statement writes many rows of a table, with one array for each column.

mod copy;

use jangbu_kernel::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool, Postgres, Row as _};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

use super::{EngineError, RowWrite, Rows, Statement, Step, TableWrite};
use crate::health::Health;
use crate::projector::LEASE_MS;
use crate::view::{Column, Key, Kind, Value, ViewSpec};

/// Rows of one statement: bounds a message to a few megabytes.
const ROWS_PER_INSERT: usize = 4_000;
/// How long a caller waits for a connection before it gets an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a query may wait for a locked table, and how long it may take in total, in
/// milliseconds. Both are shorter than the wait for a connection, so that other queries still find
/// one.
const LOCK_TIMEOUT_MS: &str = "2000";
const STATEMENT_TIMEOUT_MS: &str = "4000";
/// The projector's transactions have no time limits.
const BEGIN: &str =
    "begin; set local synchronous_commit = off; set local lock_timeout = 0; set local statement_timeout = 0";
/// Comparisons of whole tables have none either, and may be idle between two queries.
const BEGIN_SNAPSHOT: &str = "begin isolation level repeatable read read only; \
    set local idle_in_transaction_session_timeout = 0; set local lock_timeout = 0; set local statement_timeout = 0";

/// The schema of the read models; each log in a database has its own. It is `views` for a log in
/// `public`, and is otherwise named for the schema of the log.
const SCHEMA: &str = "
select quote_ident(case when log = 'public' then 'views'
                        when octet_length(log) > 57 then 'views_' || md5(log)
                        else log || '_views' end)
from (select coalesce((select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where c.oid = to_regclass('log_head')),
                      current_schema()::text, 'public') as log) as place";

/// Postgres. Clones share one pool.
#[derive(Clone)]
pub(crate) struct PostgresEngine {
    pool: PgPool,
    /// Its name, quoted for SQL.
    schema: Arc<str>,
    health: Arc<Health>,
}

impl PostgresEngine {
    /// Connects.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, EngineError> {
        // A rollback outside a transaction causes a warning that means nothing, so warnings are
        // off. A process that hangs in the middle of a transaction locks the lease's row: the idle
        // timeout ends the transaction, so that a successor does not wait for it. Timeouts that the
        // role or the database sets for other programs are reset. All of this is sent when the
        // connection is open, because a pooler refuses settings that it does not know at startup.
        let settings: Arc<str> = format!(
            "set client_min_messages = error; set idle_in_transaction_session_timeout = {LEASE_MS}; \
             set statement_timeout = {STATEMENT_TIMEOUT_MS}; set lock_timeout = {LOCK_TIMEOUT_MS}; \
             select set_config(name, '0', false) from pg_settings \
             where name in ('idle_session_timeout', 'transaction_timeout')"
        )
        .into();
        let connect = PgConnectOptions::from_str(url).map_err(unavailable)?.extra_float_digits(None);
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                let settings = Arc::clone(&settings);
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings.to_string()))).await.map(|_| ())
                })
            })
            .after_release(|connection, _| {
                Box::pin(async move {
                    // If a caller was dropped in the middle of a transaction, the next one must not
                    // get it.
                    connection.execute("rollback").await?;
                    Ok(true)
                })
            })
            .connect_with(connect)
            .await
            .map_err(unavailable)?;
        let schema: String = sqlx::query_scalar(SCHEMA).fetch_one(&pool).await.map_err(unavailable)?;
        Ok(Self { pool, schema: schema.into(), health: Arc::default() })
    }

    /// The name of a table of the read models in SQL.
    pub fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.schema)
    }

    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub async fn select(&self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        select_on(&mut connection, statement, kinds).await
    }

    pub async fn transaction(&self, epoch: Option<i64>, steps: Vec<Step>) -> Result<(), EngineError> {
        let (pool, schema) = (self.pool.clone(), Arc::clone(&self.schema));
        // A task of its own, so that a dropped caller cannot stop it half way.
        let task = tokio::spawn(async move {
            let mut connection = pool.acquire().await.map_err(unavailable)?;
            // Rows and checkpoint may be lost together, because the log restores them. The settings
            // are one round trip. What is not committed below is rolled back when the connection is
            // released.
            connection.execute(BEGIN).await.map_err(unavailable)?;
            if let Some(epoch) = epoch {
                // A shared lock: a newer owner's update waits for this transaction, then fences the
                // next.
                let held = format!("select epoch from {schema}.lease where id = 1 for share");
                let held: i64 =
                    sqlx::query_scalar(AssertSqlSafe(held)).fetch_one(&mut *connection).await.map_err(unavailable)?;
                if held != epoch {
                    return Err(EngineError::Fenced);
                }
            }
            for step in steps {
                match step {
                    Step::Run(statement) => {
                        bound(&statement.sql, statement.params).execute(&mut *connection).await.map_err(unavailable)?;
                    }
                    Step::Write(write) => write_table(&mut connection, &schema, write).await?,
                }
            }
            // In upper case: by it the fault tests tell this commit from the log's own.
            connection.execute("COMMIT").await.map(|_| ()).map_err(unavailable)
        });
        task.await.map_err(|error| EngineError::Unavailable(error.to_string()))?
    }

    pub async fn load(
        &self,
        table: &str,
        spec: &'static ViewSpec,
        keys: &[Key],
    ) -> Result<Vec<Option<String>>, EngineError> {
        let values: Vec<Vec<Value>> = keys.iter().map(|key| key.values()).collect();
        let names: Vec<String> = (0..spec.key.len()).map(|place| format!("k{place}")).collect();
        let arrays: Vec<String> = spec
            .key
            .iter()
            .zip(1..)
            .map(|(column, place)| format!("${place}::{}[]", array_type(column.kind)))
            .collect();
        let joins: Vec<String> =
            spec.key.iter().zip(&names).map(|(column, name)| format!("t.{} = k.{name}", column.name)).collect();
        let text = format!(
            "select k.place, t.doc from unnest({}) with ordinality k({}, place) join {} t on {}",
            arrays.join(", "),
            names.join(", "),
            self.table(table),
            joins.join(" and ")
        );
        let rows = bind_columns(sqlx::query(AssertSqlSafe(text)), spec.key.iter(), &values)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        let mut found = vec![None; keys.len()];
        for row in rows {
            let place: i64 = row.try_get(0).map_err(unavailable)?;
            let slot = usize::try_from(place).ok().and_then(|place| found.get_mut(place.saturating_sub(1)));
            if let Some(slot) = slot {
                *slot = Some(row.try_get(1).map_err(unavailable)?);
            }
        }
        Ok(found)
    }

    pub async fn freeze(&self) -> Result<Snapshot, EngineError> {
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        // Its locks do not block reads and writes, only changes to the tables themselves.
        connection.execute(BEGIN_SNAPSHOT).await.map_err(unavailable)?;
        // The first query of the transaction fixes the snapshot.
        let first = format!("select count(*) from {}", self.table("lease"));
        connection.execute(AssertSqlSafe(first)).await.map_err(unavailable)?;
        Ok(Snapshot(connection))
    }
}

/// A snapshot: a read transaction that ends when the connection returns to the pool.
pub(crate) struct Snapshot(PoolConnection<Postgres>);

impl Snapshot {
    pub async fn select(&mut self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        select_on(&mut self.0, statement, kinds).await
    }
}

fn unavailable(error: sqlx::Error) -> EngineError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return EngineError::Unavailable(format!(
            "no connection to the database came free in {} s: all are in use, or it takes no new ones",
            ACQUIRE_TIMEOUT.as_secs()
        ));
    }
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // data_corrupted, index_corrupted; undefined_table, undefined_column, invalid_schema_name
        Some("XX001" | "XX002" | "42P01" | "42703" | "3F000") => EngineError::Corrupt(error.to_string()),
        // insufficient_privilege
        Some("42501") => EngineError::Unavailable(format!(
            "{error}: let the owner of the database grant the program's role `create` on the database, or make the \
             schema of the read models and give it to that role"
        )),
        _ if matches!(error, sqlx::Error::ColumnDecode { .. }) => EngineError::Corrupt(error.to_string()),
        _ => EngineError::Unavailable(error.to_string()),
    }
}

async fn select_on(connection: &mut PgConnection, statement: Statement, kinds: &[Kind]) -> Result<Rows, EngineError> {
    let rows = bound(&statement.sql, statement.params).fetch_all(connection).await.map_err(unavailable)?;
    rows.iter().map(|row| kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()).collect()
}

fn value(row: &PgRow, place: usize, kind: Kind) -> Result<Value, EngineError> {
    Ok(match kind {
        Kind::Uuid => Value::Uuid(row.try_get(place).map_err(unavailable)?),
        Kind::Text => Value::Text(row.try_get(place).map_err(unavailable)?),
        Kind::Int => Value::Int(row.try_get(place).map_err(unavailable)?),
        Kind::Bool => Value::Bool(row.try_get(place).map_err(unavailable)?),
        Kind::Time => Value::Time(row.try_get(place).map_err(unavailable)?),
        Kind::Terms => Value::Terms(row.try_get::<Vec<String>, _>(place).map_err(unavailable)?.join(" ")),
    })
}

fn bound(text: &str, params: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    // Only table and column names of this crate are ever put into the text.
    params.into_iter().fold(sqlx::query(AssertSqlSafe(text.to_owned())), |query, param| match param {
        Value::Uuid(id) => query.bind(id),
        Value::Text(text) => query.bind(text),
        Value::Name(name) => query.bind(name),
        Value::Int(number) => query.bind(number),
        Value::Bool(is) => query.bind(is),
        Value::Time(at) => query.bind(at),
        Value::Terms(terms) => query.bind(terms),
    })
}

const fn array_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Uuid => "uuid",
        Kind::Text | Kind::Terms => "text",
        Kind::Int => "bigint",
        Kind::Bool => "boolean",
        Kind::Time => "timestamptz",
    }
}

/// Binds one array for each column.
fn bind_columns<'q, 'a>(
    query: Query<'q, Postgres, PgArguments>,
    columns: impl Iterator<Item = &'a Column>,
    rows: &'q [Vec<Value>],
) -> Query<'q, Postgres, PgArguments> {
    columns.enumerate().fold(query, |query, (place, column)| {
        let cells = rows.iter().map(|row| row.get(place));
        match column.kind {
            Kind::Uuid => query.bind(
                cells
                    .map(|cell| if let Some(Value::Uuid(id)) = cell { *id } else { None })
                    .collect::<Vec<Option<Uuid>>>(),
            ),
            Kind::Int => query.bind(
                cells
                    .map(|cell| if let Some(Value::Int(number)) = cell { *number } else { None })
                    .collect::<Vec<Option<i64>>>(),
            ),
            Kind::Bool => query.bind(
                cells
                    .map(|cell| if let Some(Value::Bool(is)) = cell { *is } else { None })
                    .collect::<Vec<Option<bool>>>(),
            ),
            Kind::Time => query.bind(
                cells
                    .map(|cell| if let Some(Value::Time(at)) = cell { *at } else { None })
                    .collect::<Vec<Option<Timestamp>>>(),
            ),
            Kind::Text | Kind::Terms => query.bind(
                cells
                    .map(|cell| match cell {
                        Some(Value::Text(text)) => text.as_deref(),
                        Some(Value::Name(name)) => Some(*name),
                        Some(Value::Terms(terms)) => Some(terms.as_str()),
                        Some(Value::Uuid(_) | Value::Int(_) | Value::Bool(_) | Value::Time(_)) | None => None,
                    })
                    .collect::<Vec<Option<&str>>>(),
            ),
        }
    })
}

async fn write_table(transaction: &mut PgConnection, schema: &str, write: TableWrite) -> Result<(), EngineError> {
    let (spec, table) = (write.spec, format!("{schema}.{}", write.table));
    // New rows are copied only into a table under construction: it has one writer, which knows its
    // rows.
    let (mut upserts, new): (Vec<_>, Vec<_>) = write.upserts.into_iter().partition(|row| row.stored || write.indexed);
    if !new.is_empty() {
        copy::copy_in(transaction, spec, &table, &new).await?;
    }
    while !upserts.is_empty() {
        let rest = upserts.split_off(upserts.len().min(ROWS_PER_INSERT));
        upsert(transaction, spec, &table, upserts).await?;
        upserts = rest;
    }
    if write.deletes.is_empty() {
        return Ok(());
    }
    let values: Vec<Vec<Value>> = write.deletes.iter().map(|key| key.values()).collect();
    let names: Vec<String> = (0..spec.key.len()).map(|place| format!("k{place}")).collect();
    let arrays: Vec<String> =
        spec.key.iter().zip(1..).map(|(column, place)| format!("${place}::{}[]", array_type(column.kind))).collect();
    let joins: Vec<String> =
        spec.key.iter().zip(&names).map(|(column, name)| format!("t.{} = k.{name}", column.name)).collect();
    let text = format!(
        "delete from {table} t using unnest({}) k({}) where {}",
        arrays.join(", "),
        names.join(", "),
        joins.join(" and ")
    );
    bind_columns(sqlx::query(AssertSqlSafe(text)), spec.key.iter(), &values)
        .execute(transaction)
        .await
        .map_err(unavailable)?;
    Ok(())
}

async fn upsert(
    transaction: &mut PgConnection,
    spec: &'static ViewSpec,
    table: &str,
    rows: Vec<RowWrite>,
) -> Result<(), EngineError> {
    let columns: Vec<&Column> = spec.all_columns().collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let key: Vec<&str> = spec.key.iter().map(|column| column.name).collect();
    let arrays: Vec<String> =
        columns.iter().zip(1..).map(|(column, place)| format!("${place}::{}[]", array_type(column.kind))).collect();
    let chosen: Vec<String> = columns
        .iter()
        .map(|column| match column.kind {
            Kind::Terms => format!("string_to_array(u.{}, ' ')", column.name),
            Kind::Uuid | Kind::Text | Kind::Int | Kind::Bool | Kind::Time => format!("u.{}", column.name),
        })
        .collect();
    let mut updates: Vec<String> =
        spec.changing_columns().map(|column| format!("{0} = excluded.{0}", column.name)).collect();
    updates.push("doc = excluded.doc".to_owned());
    let text = format!(
        "insert into {table} ({0}, doc) select {1}, u.doc from unnest({2}, ${3}::text[]) u({0}, doc) on conflict ({4}) do update set {5}",
        names.join(", "),
        chosen.join(", "),
        arrays.join(", "),
        columns.len() + 1,
        key.join(", "),
        updates.join(", ")
    );
    let (values, docs): (Vec<Vec<Value>>, Vec<String>) = rows.into_iter().map(|row| (row.values, row.doc)).unzip();
    bind_columns(sqlx::query(AssertSqlSafe(text)), columns.into_iter(), &values)
        .bind(docs)
        .execute(transaction)
        .await
        .map_err(unavailable)?;
    Ok(())
}
