//! Statements and rows, as SQLite runs and stores them.

use jangbu_kernel::Timestamp;
use rusqlite::types::{ToSql, ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, StatementStatus, Transaction, params_from_iter};
use uuid::Uuid;

use super::super::{EngineError, Rows, Statement, TableWrite};
use super::unavailable;
use crate::view::{Kind, Value};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = ToSqlOutput::Owned(SqlValue::Null);
        Ok(match self {
            Self::Uuid(Some(id)) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Text(Some(text)) | Self::Terms(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Name(name) => ToSqlOutput::Borrowed(ValueRef::Text(name.as_bytes())),
            Self::Int(Some(number)) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Self::Bool(Some(is)) => ToSqlOutput::Owned(SqlValue::Integer(i64::from(*is))),
            Self::Time(Some(at)) => ToSqlOutput::Owned(SqlValue::Integer(at.timestamp_millis())),
            Self::Uuid(None) | Self::Text(None) | Self::Int(None) | Self::Bool(None) | Self::Time(None) => null,
        })
    }
}

/// Runs a query; returns its rows, and how many steps of SQLite's virtual machine it took.
pub(super) fn select_on(
    connection: &Connection,
    statement: &Statement,
    kinds: &[Kind],
) -> Result<(Rows, u64), EngineError> {
    let mut prepared = connection.prepare_cached(&statement.sql.replace('$', "?")).map_err(unavailable)?;
    let mut rows = prepared.query(params_from_iter(&statement.params)).map_err(unavailable)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        let mut values = Vec::with_capacity(kinds.len());
        for (place, kind) in kinds.iter().enumerate() {
            values.push(match kind {
                Kind::Uuid => Value::Uuid(
                    row.get::<_, Option<Vec<u8>>>(place)
                        .map_err(unavailable)?
                        .map(|bytes| {
                            Uuid::from_slice(&bytes)
                                .map_err(|_| EngineError::Corrupt("an id is not 16 bytes".to_owned()))
                        })
                        .transpose()?,
                ),
                Kind::Text => Value::Text(row.get(place).map_err(unavailable)?),
                Kind::Int => Value::Int(row.get(place).map_err(unavailable)?),
                Kind::Bool => Value::Bool(row.get(place).map_err(unavailable)?),
                Kind::Time => {
                    let millis: Option<i64> = row.get(place).map_err(unavailable)?;
                    Value::Time(millis.and_then(Timestamp::from_timestamp_millis))
                }
                Kind::Terms => Value::Terms(row.get(place).map_err(unavailable)?),
            });
        }
        found.push(values);
    }
    drop(rows);
    let steps = prepared.reset_status(StatementStatus::VmStep);
    Ok((found, u64::from(steps.unsigned_abs())))
}

/// Fails if another projector has taken over.
pub(super) fn check_epoch(transaction: &Transaction<'_>, epoch: i64) -> Result<(), EngineError> {
    let held: i64 = transaction
        .prepare_cached("select epoch from lease where id = 1")
        .and_then(|mut held| held.query_row([], |row| row.get(0)))
        .map_err(unavailable)?;
    if held == epoch { Ok(()) } else { Err(EngineError::Fenced) }
}

pub(super) fn run(transaction: &Transaction<'_>, statement: &Statement) -> Result<(), EngineError> {
    let text = statement.sql.replace('$', "?");
    let mut prepared = transaction.prepare_cached(&text).map_err(unavailable)?;
    let mut rows = prepared.query(params_from_iter(&statement.params)).map_err(unavailable)?;
    while rows.next().map_err(unavailable)?.is_some() {}
    Ok(())
}

pub(super) fn write_table(transaction: &Transaction<'_>, write: &TableWrite) -> Result<(), EngineError> {
    if !write.upserts.is_empty() {
        // Row by row: an insert of many rows writes a journal in case it has to be undone half way,
        // which costs more than the calls that it saves.
        let mut upsert = transaction.prepare_cached(&upsert_text(write)).map_err(unavailable)?;
        for row in &write.upserts {
            for (place, value) in row.values.iter().enumerate() {
                upsert.raw_bind_parameter(place + 1, value).map_err(unavailable)?;
            }
            upsert.raw_bind_parameter(row.values.len() + 1, row.doc.as_str()).map_err(unavailable)?;
            upsert.raw_execute().map_err(unavailable)?;
        }
    }
    if write.spec.has_terms() && write.indexed {
        write_terms(transaction, write)?;
    }
    if !write.deletes.is_empty() {
        let conditions: Vec<String> = write.spec.key.iter().map(|column| format!("{} = ?", column.name)).collect();
        let text = format!("delete from {} where {}", write.table, conditions.join(" and "));
        let mut delete = transaction.prepare_cached(&text).map_err(unavailable)?;
        for key in &write.deletes {
            delete.execute(params_from_iter(key.values())).map_err(unavailable)?;
        }
    }
    Ok(())
}

fn upsert_text(write: &TableWrite) -> String {
    let names: Vec<&str> = write.spec.all_columns().map(|column| column.name).collect();
    let key: Vec<&str> = write.spec.key.iter().map(|column| column.name).collect();
    let updates: String =
        write.spec.changing_columns().map(|column| format!("{0} = excluded.{0}, ", column.name)).collect();
    format!(
        "insert into {} ({}, doc) values ({}?) on conflict ({}) do update set {updates}doc = excluded.doc",
        write.table,
        names.join(", "),
        "?, ".repeat(names.len()),
        key.join(", "),
    )
}

/// Keeps the terms table consistent with the rows. Terms in a fixed column are written and removed
/// with their row.
fn write_terms(transaction: &Transaction<'_>, write: &TableWrite) -> Result<(), EngineError> {
    let mut keep = transaction
        .prepare_cached(&format!("insert or ignore into {}_terms (term, id) values (?1, ?2)", write.table))
        .map_err(unavailable)?;
    let mut forget =
        transaction.prepare_cached(&format!("delete from {}_terms where id = ?1", write.table)).map_err(unavailable)?;
    let fixed = write.spec.columns.iter().all(|column| column.kind != Kind::Terms || column.fixed);
    for row in write.upserts.iter().filter(|row| !(fixed && row.stored)) {
        let Some(id) = row.values.first() else { continue };
        if row.stored {
            forget.execute([id]).map_err(unavailable)?;
        }
        for value in &row.values {
            if let Value::Terms(terms) = value {
                for term in terms.split(' ').filter(|term| !term.is_empty()) {
                    keep.execute((term, id)).map_err(unavailable)?;
                }
            }
        }
    }
    for key in &write.deletes {
        forget.execute([Value::id(key.id)]).map_err(unavailable)?;
    }
    Ok(())
}
