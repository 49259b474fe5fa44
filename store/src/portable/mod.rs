//! All durable data in two files, whichever engine it comes from: the content of a backup, from
//! which an empty store can be filled.
//!
//! The files are a `log.db` and a `keys.db` of this version, so the embedded engine can serve from
//! them directly. They are made while the store is written. Data that never changes (events,
//! receipts, roots) is copied up to a head, page by page. Each page is read separately, so that no
//! read lasts so long that the writer has to wait for it. Data that changes is read at the moment
//! that the head is from. The keys come last, so that every person in the copy of the log has their
//! key in the copy. Snapshots are left out because they can be made again, and so are leases and
//! the index of receipts, which the next start fills. The index of streams is made from the copied
//! events, because a verification of the copy looks some of them up by stream.

mod file;
mod tables;

use std::path::Path;

use jangbu_kernel::Position;
use jangbu_kernel::log::LogError;
use rusqlite::types::Value;

use crate::error::StoreError;
use crate::row::{to_i64, to_u64};
use crate::sqlite;
pub(crate) use file::{CopyFile, moment_on, page_on};
pub(crate) use tables::{IN_ONE_MOMENT, KEY_PAGES, Kind, Moments, POSTGRES_PAGES, SQLITE_PAGES, Table, WAITING};

/// A row: its values in the order of the table's columns.
pub(crate) type Row = Vec<Value>;

/// Called with the progress of a copy: how many events are copied, and of how many.
pub type Told<'a> = dyn FnMut(u64, u64) + Send + 'a;

/// Rows of a page, some megabytes.
const PAGE: usize = 4_000;

/// The data that changes, as it was at one moment.
pub(crate) struct Moment {
    /// The last position of the log at that moment.
    pub head: Position,
    /// The rows of the tables that change.
    pub rows: Vec<(&'static Table, Vec<Row>)>,
    /// The number of events under the newest seal.
    pub sealed: i64,
    /// The sequence of the newest inbox message.
    pub last_message: i64,
}

impl Moment {
    /// The bound up to which a table is copied.
    fn bound(&self, table: &Table) -> i64 {
        match table.moment {
            Moments::Head => to_i64(self.head),
            Moments::Sealed => self.sealed,
            Moments::LastMessage => self.last_message,
            Moments::None => i64::MAX,
        }
    }
}

/// An engine that can be read page by page.
pub(crate) trait Source: Sync {
    /// The tables that are copied page by page, in this engine's form.
    fn pages(&self) -> &'static [Table];

    /// The data that changes, all from one moment.
    fn moment(&self) -> impl Future<Output = Result<Moment, LogError>> + Send;

    /// Rows after a key, in the order of the key, at most `limit`, up to the table's bound.
    fn page(
        &self,
        table: &'static Table,
        after: Option<Row>,
        bound: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, LogError>> + Send;
}

/// Copies a store into new files of a folder. Returns the head up to which it was copied.
pub(crate) async fn copy(source: &impl Source, folder: &Path, told: &mut Told<'_>) -> Result<Position, StoreError> {
    let head = copy_log(source, &folder.join(sqlite::LOG_FILE), told).await?;
    copy_keys(source, &folder.join(sqlite::KEYS_FILE)).await?;
    Ok(head)
}

async fn copy_log(source: &impl Source, path: &Path, told: &mut Told<'_>) -> Result<Position, StoreError> {
    let moment = source.moment().await.map_err(StoreError::Log)?;
    let mut file = blocking(path, |path| CopyFile::make(&path, sqlite::migrate)).await?;
    let bounds: Vec<i64> = source.pages().iter().map(|table| moment.bound(table)).collect();
    let head = moment.head;
    for (table, rows) in moment.rows {
        file = put(path, file, table, rows).await?;
    }
    for (table, bound) in source.pages().iter().zip(bounds) {
        let mut after = None;
        loop {
            let page = source.page(table, after, bound, PAGE).await.map_err(StoreError::Log)?;
            let Some(last) = page.last() else { break };
            if let (true, Some(Value::Integer(position))) = (table.name == "events", last.first()) {
                told(to_u64(*position), head.get());
            }
            after = Some(table.key_of(last));
            file = put(path, file, table, page).await?;
        }
    }
    blocking(path, move |path| file.finish(&path)).await?;
    Ok(head)
}

async fn copy_keys(source: &impl Source, path: &Path) -> Result<(), StoreError> {
    let mut file = blocking(path, |path| CopyFile::make(&path, sqlite::make_tables)).await?;
    for table in &KEY_PAGES {
        let mut after = None;
        loop {
            let page = source.page(table, after, i64::MAX, PAGE).await.map_err(StoreError::Log)?;
            let Some(last) = page.last() else { break };
            after = Some(table.key_of(last));
            file = put(path, file, table, page).await?;
        }
    }
    blocking(path, move |path| file.finish(&path)).await
}

async fn put(path: &Path, mut file: CopyFile, table: &'static Table, rows: Vec<Row>) -> Result<CopyFile, StoreError> {
    blocking(path, move |_| {
        file.put(table, &rows)?;
        Ok(file)
    })
    .await
}

/// Works on the file outside the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(std::path::PathBuf) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (path, name) = (path.to_owned(), path.to_owned());
    let done = tokio::task::spawn_blocking(move || work(path)).await;
    done.map_err(|error| StoreError::Copy { file: name.clone(), cause: Box::new(error) })?
        .map_err(|cause| StoreError::Copy { file: name, cause: Box::new(cause) })
}
