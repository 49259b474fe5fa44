//! Postgres as the source of a copy, and filling an empty database from one.

use std::path::Path;

use jangbu_kernel::log::LogError;
use rusqlite::types::Value;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _};
use uuid::Uuid;

use super::{PostgresStore, setup};
use crate::error::StoreError;
use crate::portable::{
    IN_ONE_MOMENT, KEY_PAGES, Kind, Moment, POSTGRES_PAGES, Row, SQLITE_PAGES, Source, Table, Told, WAITING, blocking,
    page_on,
};
use crate::row::{limit_i64, to_u64};
use crate::sqlite;

/// Rows of one statement.
const FILLED_AT_ONCE: usize = 4_000;

impl Source for PostgresStore {
    fn pages(&self) -> &'static [Table] {
        &POSTGRES_PAGES
    }

    async fn moment(&self) -> Result<Moment, LogError> {
        let mut connection = self.0.pool.acquire().await.map_err(setup::log_error)?;
        let moment = moment_on(&mut connection).await.map_err(setup::log_error);
        // The pool ends the transaction, whether it succeeded or not.
        drop(connection);
        moment
    }

    async fn page(
        &self,
        table: &'static Table,
        after: Option<Row>,
        bound: i64,
        limit: usize,
    ) -> Result<Vec<Row>, LogError> {
        let text = &table.page_statement(after.is_some(), |place, _| format!("${place}"));
        let after = &after;
        let rows = self
            .ask(|pool| {
                let query = sqlx::query(AssertSqlSafe(text.clone())).bind(limit_i64(limit)).bind(bound);
                let key = table.key_kinds().zip(after.iter().flatten());
                key.fold(query, |query, (kind, value)| bind(query, kind, value)).fetch_all(pool)
            })
            .await?;
        rows.iter().map(|row| values(row, table).map_err(setup::log_error)).collect()
    }
}

async fn moment_on(connection: &mut PgConnection) -> Result<Moment, sqlx::Error> {
    sqlx::raw_sql("begin isolation level repeatable read read only").execute(&mut *connection).await?;
    let mut rows = Vec::new();
    for table in &IN_ONE_MOMENT {
        let text = table.waiting_statement("true");
        rows.push((table, select(connection, table, text).await?));
    }
    let waiting = select(connection, &WAITING, WAITING.waiting_statement("not handled")).await?;
    rows.push((&WAITING, waiting));
    let number = "select (select position from log_head where id = 1), \
         coalesce((select size from sealed_frontier where id = 1), 0), coalesce((select max(sequence) from inbox), 0)";
    let (head, sealed, last_message): (i64, i64, i64) = sqlx::query_as(number).fetch_one(&mut *connection).await?;
    sqlx::raw_sql("commit").execute(&mut *connection).await?;
    Ok(Moment { head: to_u64(head), sealed, last_message, rows })
}

async fn select(connection: &mut PgConnection, table: &Table, text: String) -> Result<Vec<Row>, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(connection).await?;
    rows.iter().map(|row| values(row, table)).collect()
}

fn values(row: &PgRow, table: &Table) -> Result<Row, sqlx::Error> {
    table.columns.iter().enumerate().map(|(place, (_, kind))| value(row, place, *kind)).collect()
}

fn value(row: &PgRow, place: usize, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Int => row.try_get::<Option<i64>, _>(place)?.into(),
        Kind::Int4 => row.try_get::<Option<i32>, _>(place)?.map(i64::from).into(),
        Kind::Int2 => row.try_get::<Option<i16>, _>(place)?.map(i64::from).into(),
        Kind::Id => row.try_get::<Option<Uuid>, _>(place)?.map(|id| id.as_bytes().to_vec()).into(),
        Kind::Text => row.try_get::<Option<String>, _>(place)?.into(),
        Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.into(),
        Kind::Flag => row.try_get::<Option<bool>, _>(place)?.map(i64::from).into(),
    })
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: Bound<'q>, kind: Kind, value: &Value) -> Bound<'q> {
    match kind {
        Kind::Int | Kind::Int4 | Kind::Int2 => query.bind(number(value)),
        Kind::Flag => query.bind(number(value).map(|number| number != 0)),
        Kind::Id => query.bind(id(value)),
        Kind::Text => query.bind(text(value)),
        Kind::Bytes => query.bind(bytes(value)),
    }
}

fn number(value: &Value) -> Option<i64> {
    if let Value::Integer(number) = value { Some(*number) } else { None }
}

fn text(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Value::Blob(bytes) = value { Some(bytes.clone()) } else { None }
}

fn id(value: &Value) -> Option<Uuid> {
    if let Value::Blob(bytes) = value { Uuid::from_slice(bytes).ok() } else { None }
}

impl PostgresStore {
    /// Fills an empty store from the `log.db` and the `keys.db` of a copy of this version,
    /// completely or not at all. `told` is called with the progress.
    ///
    /// # Errors
    /// When the store is not empty or cannot be written, or the copy cannot be read.
    pub async fn fill_from(&self, log: &Path, keys: &Path, told: &mut Told<'_>) -> Result<(), StoreError> {
        // One transaction, however long it takes.
        let mut connection = self.0.connect.patient().open().await.map_err(setup::open_error)?;
        let failed = |error| StoreError::Log(setup::log_error(error));
        sqlx::raw_sql("begin").execute(&mut connection).await.map_err(failed)?;
        refuse_what_is_not_empty(&mut connection).await?;
        let mut head = 0;
        let of_the_log = IN_ONE_MOMENT.iter().chain(&SQLITE_PAGES).map(|table| (log, table));
        for (file, table) in of_the_log.chain(KEY_PAGES.iter().map(|table| (keys, table))) {
            let mut after = None;
            while let Some((rows, next)) = page_of(file, table, after).await? {
                if table.name == "events" {
                    head = next.first().and_then(number).map_or(head, to_u64);
                    told(head, head);
                }
                insert(&mut connection, table, &rows).await.map_err(failed)?;
                after = Some(next);
            }
        }
        // An empty inbox has no last message, and its numbers begin at 1.
        let last = "select setval(pg_get_serial_sequence('inbox', 'sequence'), (select max(sequence) from inbox))";
        sqlx::query(last).execute(&mut connection).await.map_err(failed)?;
        sqlx::query("update log_head set position = (select coalesce(max(position), 0) from events) where id = 1")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        sqlx::raw_sql("commit").execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// A page of a file of the copy, and the key of its last row.
async fn page_of(
    file: &Path,
    table: &'static Table,
    after: Option<Row>,
) -> Result<Option<(Vec<Row>, Row)>, StoreError> {
    let rows = blocking(file, move |path| {
        let connection = sqlite::open_copy(&path)?;
        page_on(&connection, table, after.as_ref(), i64::MAX, FILLED_AT_ONCE)
    })
    .await?;
    let last = rows.last().map(|last| table.key_of(last));
    Ok(last.map(|last| (rows, last)))
}

async fn refuse_what_is_not_empty(connection: &mut PgConnection) -> Result<(), StoreError> {
    let failed = |error| StoreError::Log(setup::log_error(error));
    // The lock keeps others from appending meanwhile.
    let head: i64 = sqlx::query_scalar("select position from log_head where id = 1 for update")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let others: bool = sqlx::query_scalar(
        "select exists (select from user_keys) or exists (select from secrets) or exists (select from inbox)",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if head > 0 || others {
        return Err(StoreError::NotEmpty(format!("its log has {head} events")));
    }
    Ok(())
}

const fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Int4 => "int",
        Kind::Int2 => "smallint",
        Kind::Id => "uuid",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
        Kind::Flag => "boolean",
    }
}

async fn insert(connection: &mut PgConnection, table: &Table, rows: &[Row]) -> Result<(), sqlx::Error> {
    let columns = || table.columns.iter().enumerate().skip(table.own);
    let names: Vec<_> = columns().map(|(_, (name, _))| *name).collect();
    let arrays: Vec<_> =
        (1..).zip(columns()).map(|(place, (_, (_, kind)))| format!("${place}::{}[]", type_name(*kind))).collect();
    let statement = format!(
        "insert into {} ({}) overriding system value select * from unnest({})",
        table.name,
        names.join(", "),
        arrays.join(", ")
    );
    let query = columns().fold(sqlx::query(AssertSqlSafe(statement)), |query, (place, (_, kind))| {
        let cells = rows.iter().map(|row| row.get(place).unwrap_or(&Value::Null));
        match kind {
            Kind::Int => query.bind(cells.map(number).collect::<Vec<_>>()),
            Kind::Int4 => query.bind(cells.map(|cell| number(cell)?.try_into().ok()).collect::<Vec<Option<i32>>>()),
            Kind::Int2 => query.bind(cells.map(|cell| number(cell)?.try_into().ok()).collect::<Vec<Option<i16>>>()),
            Kind::Flag => query.bind(cells.map(|cell| Some(number(cell)? != 0)).collect::<Vec<Option<bool>>>()),
            Kind::Id => query.bind(cells.map(id).collect::<Vec<_>>()),
            Kind::Text => query.bind(cells.map(text).collect::<Vec<_>>()),
            Kind::Bytes => query.bind(cells.map(bytes).collect::<Vec<_>>()),
        }
    });
    query.execute(connection).await.map(|_| ())
}
