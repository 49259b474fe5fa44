//! Writes rows that are certainly new with `copy`, Postgres' bulk format: there are no arrays to
//! unnest and no existing keys to look up.

use sqlx::PgConnection;

use super::{EngineError, unavailable};
use crate::engine::RowWrite;
use crate::view::{Value, ViewSpec};

/// Bytes that are sent at a time.
const CHUNK: usize = 1 << 18;

/// Adds rows to a table that contains none of them.
pub(super) async fn copy_in(
    transaction: &mut PgConnection,
    spec: &'static ViewSpec,
    table: &str,
    rows: &[RowWrite],
) -> Result<(), EngineError> {
    let names: Vec<&str> = spec.all_columns().map(|column| column.name).collect();
    let text = format!("copy {table} ({}, doc) from stdin", names.join(", "));
    let mut copy = transaction.copy_in_raw(&text).await.map_err(unavailable)?;
    let mut lines = String::with_capacity(CHUNK + (CHUNK >> 3));
    let mut sent = Ok(());
    for row in rows {
        write_line(&mut lines, row);
        if lines.len() >= CHUNK {
            sent = copy.send(lines.as_bytes()).await.map(|_| ());
            lines.clear();
            if sent.is_err() {
                break;
            }
        }
    }
    if sent.is_ok() {
        sent = copy.send(lines.as_bytes()).await.map(|_| ());
    }
    if let Err(error) = sent {
        // The rollback removes what was copied so far. The first error is the one to report.
        let _refused = copy.abort("the rows could not be sent").await;
        return Err(unavailable(error));
    }
    copy.finish().await.map(|_| ()).map_err(unavailable)
}

/// A row as a line of `copy`'s text format: tabs between the columns, `\N` for null.
fn write_line(lines: &mut String, row: &RowWrite) {
    for value in &row.values {
        write_value(lines, value);
        lines.push('\t');
    }
    escape(lines, &row.doc);
    lines.push('\n');
}

fn write_value(lines: &mut String, value: &Value) {
    match value {
        Value::Uuid(Some(id)) => lines.push_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
        Value::Text(Some(text)) => escape(lines, text),
        Value::Name(name) => escape(lines, name),
        Value::Int(Some(number)) => lines.push_str(&number.to_string()),
        Value::Bool(Some(is)) => lines.push(if *is { 't' } else { 'f' }),
        Value::Time(Some(at)) => lines.push_str(&at.to_rfc3339()),
        Value::Terms(terms) => escape(lines, &array_of(terms)),
        Value::Uuid(None) | Value::Text(None) | Value::Int(None) | Value::Bool(None) | Value::Time(None) => {
            lines.push_str("\\N");
        }
    }
}

/// Terms as a Postgres array literal: each in quotes, with quotes and backslashes escaped.
fn array_of(terms: &str) -> String {
    let quoted: Vec<String> = terms
        .split(' ')
        .filter(|term| !term.is_empty())
        .map(|term| format!("\"{}\"", term.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

/// Escapes text so that nothing in it ends a column or a line.
fn escape(lines: &mut String, text: &str) {
    let mut rest = text;
    while let Some(place) = rest.find(['\\', '\t', '\n', '\r']) {
        let (before, found) = rest.split_at(place);
        lines.push_str(before);
        let mut found = found.chars();
        lines.push_str(match found.next() {
            Some('\t') => "\\t",
            Some('\n') => "\\n",
            Some('\r') => "\\r",
            Some(_) | None => "\\\\",
        });
        rest = found.as_str();
    }
    lines.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_its_column_or_line() {
        let mut line = String::new();
        let values = vec![
            Value::text("a\tb\\N\nc\r"),
            Value::Text(None),
            Value::Terms("장부 a\"b".to_owned()),
            Value::bool(true),
            Value::int(-3),
        ];
        write_line(&mut line, &RowWrite { values, doc: "{\"x\":\"\\n\"}".to_owned(), stored: false });
        assert_eq!(line, "a\\tb\\\\N\\nc\\r\t\\N\t{\"장부\",\"a\\\\\"b\"}\tt\t-3\t{\"x\":\"\\\\n\"}\n");
    }
}
