//! Writes the file of a copy, and reads tables on a SQLite connection.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{IN_ONE_MOMENT, Moment, Row, Table, WAITING};
use crate::row::{limit_i64, to_u64};
use crate::sqlite;

/// A copy that is being written.
pub(crate) struct CopyFile(Connection);

impl CopyFile {
    /// Makes the file, readable by its owner only, with the tables of a log or of keys.
    pub fn make(path: &Path, tables: fn(&mut Connection) -> rusqlite::Result<()>) -> rusqlite::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let mut connection = Connection::open(path)?;
        // The file is used only once it is complete and synced; an incomplete one is discarded.
        connection.execute_batch("pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -65536")?;
        tables(&mut connection)?;
        Ok(Self(connection))
    }

    /// Adds rows. A row that already exists stays as it is.
    pub fn put(&mut self, table: &Table, rows: &[Row]) -> rusqlite::Result<()> {
        let places = vec!["?"; table.columns.len()].join(", ");
        let text = format!("insert or ignore into {} ({}) values ({places})", table.name, table.names());
        let transaction = self.0.transaction()?;
        let mut insert = transaction.prepare_cached(&text)?;
        for row in rows {
            insert.execute(params_from_iter(row))?;
        }
        drop(insert);
        if table.name == "events" {
            sqlite::enter_copied(&transaction)?;
        }
        transaction.commit()
    }

    /// Closes the file. It is on the disk when this returns.
    pub fn finish(self, path: &Path) -> rusqlite::Result<()> {
        self.0.execute_batch("pragma journal_mode = delete")?;
        self.0.close().map_err(|(_, error)| error)?;
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

/// A page of a table; see [`Table::page_statement`].
pub(crate) fn page_on(
    connection: &Connection,
    table: &Table,
    after: Option<&Row>,
    bound: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let text = table.page_statement(after.is_some(), |place, _| format!("?{place}"));
    let first = [Value::Integer(limit_i64(limit)), Value::Integer(bound)];
    let parameters = first.into_iter().chain(after.into_iter().flatten().cloned());
    let mut statement = connection.prepare_cached(&text)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| values(row, table))?;
    rows.collect()
}

fn values(row: &rusqlite::Row<'_>, table: &Table) -> rusqlite::Result<Row> {
    (0..table.columns.len()).map(|place| row.get(place)).collect()
}

/// The data that changes, read inside one transaction.
pub(crate) fn moment_on(connection: &Connection) -> rusqlite::Result<Moment> {
    let number = |text: &str| connection.query_row(text, [], |row| row.get::<_, i64>(0));
    let mut rows = Vec::new();
    for table in &IN_ONE_MOMENT {
        rows.push((table, page_on(connection, table, None, i64::MAX, usize::MAX)?));
    }
    let last_message = number("select coalesce(max(sequence), 0) from inbox")?;
    let mut waiting = connection.prepare_cached(&WAITING.waiting_statement("handled = 0"))?;
    let messages = waiting.query_map([], |row| values(row, &WAITING))?.collect::<rusqlite::Result<_>>()?;
    rows.push((&WAITING, messages));
    Ok(Moment {
        head: to_u64(number("select coalesce(max(position), 0) from events")?),
        sealed: number("select coalesce(max(size), 0) from sealed_frontier")?,
        last_message,
        rows,
    })
}
