//! SQLite as the source of a copy: each page is read in a transaction of its own.

use jangbu_kernel::log::LogError;

use super::SqliteStore;
use crate::portable::{KEY_PAGES, Moment, Row, SQLITE_PAGES, Source, Table, moment_on, page_on};

impl Source for SqliteStore {
    fn pages(&self) -> &'static [Table] {
        &SQLITE_PAGES
    }

    async fn moment(&self) -> Result<Moment, LogError> {
        self.read(|connection| Ok(moment_on(connection)?)).await
    }

    async fn page(
        &self,
        table: &'static Table,
        after: Option<Row>,
        bound: i64,
        limit: usize,
    ) -> Result<Vec<Row>, LogError> {
        if KEY_PAGES.iter().any(|of_keys| of_keys.name == table.name) {
            return self.0.keys.page(move |connection| page_on(connection, table, after.as_ref(), bound, limit)).await;
        }
        self.read(move |connection| Ok(page_on(connection, table, after.as_ref(), bound, limit)?)).await
    }
}
