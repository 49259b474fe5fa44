//! The thread that moves the write-ahead log into the database, in addition to the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_sqlite::Checkpointer;
use rusqlite::ErrorCode;

use super::{Options, setup};
use crate::error::StoreError;

/// Starts the thread. `failed` is set when nothing may be written any more.
pub(super) fn start(path: &Path, options: &Options, failed: &Arc<AtomicBool>) -> Result<Checkpointer, StoreError> {
    let connection = setup::open_checkpointer(path, options)?;
    let failed = Arc::clone(failed);
    Checkpointer::spawn("store-checkpoint", connection, move |error| note(error, &failed))
        .map_err(|cause| StoreError::Folder { folder: path.to_owned(), cause })
}

fn note(error: &rusqlite::Error, failed: &AtomicBool) {
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        // After a failed fsync a second one may succeed without anything being on the disk.
        failed.store(true, Ordering::Release);
        tracing::error!(%error, "the write-ahead log could not be moved: no append is accepted until the process is restarted");
    } else {
        tracing::warn!(%error, "the write-ahead log could not be moved for now");
    }
}
