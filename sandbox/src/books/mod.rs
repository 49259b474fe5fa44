//! The books of the simulated external systems, as plain functions over one database connection.
//! They run on the store's thread, inside its transaction.

pub mod charges;
pub mod faults;
pub mod labels;
pub mod mails;
pub mod outbox;
pub mod refunds;

use jangbu_kernel::{Money, time};
use rusqlite::types::{FromSqlError, Type};

/// Milliseconds since 1970 by this machine's clock.
pub fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 with milliseconds.
pub fn rfc3339(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms).map(time::rfc3339).unwrap_or_default()
}

/// A new id of the sandbox: a prefix and a UUID v7.
fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// Reads an amount from its two columns.
fn money(units: i64, currency: &str) -> rusqlite::Result<Money> {
    currency.parse().and_then(|currency| Money::from_minor_units(units, currency)).map_err(unreadable)
}

/// A column with content that this program never writes.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(FromSqlError::other(error)))
}

/// One page of a list, newest first.
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

/// The requested part of a list.
#[derive(Clone, Debug)]
pub struct Window {
    /// Only items of this order.
    pub order_id: Option<String>,
    /// Only items before this `seq`.
    pub before: i64,
    /// The most items.
    pub limit: usize,
}

/// Reads one page of `table` with `read`, which also returns each row's `seq`.
fn page<T>(
    db: &rusqlite::Connection,
    table: &'static str,
    window: &Window,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(i64, T)>,
) -> rusqlite::Result<Page<T>> {
    let filter = if window.order_id.is_some() { "order_id = ?1" } else { "?1 IS NULL" };
    // One row more than requested, to know whether there is a next page.
    let sql = format!("SELECT * FROM {table} WHERE {filter} AND seq < ?2 ORDER BY seq DESC LIMIT ?3");
    let wanted = i64::try_from(window.limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows =
        statement.query_map((&window.order_id, window.before, wanted), read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = rows.len() > window.limit;
    rows.truncate(window.limit);
    let next = if more { rows.last().map(|(seq, _)| *seq) } else { None };
    Ok(Page { items: rows.into_iter().map(|(_, item)| item).collect(), next })
}
