//! Moving the write-ahead log into the database, beside the writer.
//!
//! Done inside a commit, as SQLite does it by itself, it makes everybody wait for tens of
//! megabytes. Here a thread with a connection of its own moves a little at a time; now and
//! then the writer is told that next to nothing is left, moves that, and begins the
//! write-ahead log anew. On a full disk the writer moves all of it and cuts the file off.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::Options;
use super::setup;
use crate::error::StoreError;

/// Rows written between two moves: some megabytes. A disk that is given more at once lets
/// a commit that comes meanwhile wait for all of it.
const ROWS_BETWEEN: usize = 2_048;
/// Moves between two attempts to begin the write-ahead log anew.
const MOVES_BETWEEN: u32 = 8;
/// Frames from which it is attempted all the same: 40 MB. Commits of a few events each
/// write many times the frames that large ones do.
const MANY_FRAMES: i64 = 10_000;
/// The least time between two attempts to make room on a full disk.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// Frames that the writer moves itself: some milliseconds.
const FEW_FRAMES: i64 = 500;
/// Rounds in which the thread tries to come near the writer.
const MAX_ROUNDS: u32 = 4;

/// What a checkpoint came to.
struct Moved {
    frames: i64,
    checkpointed: i64,
}

/// The writer's end.
pub(super) struct Checkpointer {
    orders: SyncSender<()>,
    nearly_done: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    rows: usize,
    made_room: Option<Instant>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread; `failed` is set when nothing may be written any more.
    pub(super) fn spawn(path: &Path, options: &Options, failed: &Arc<AtomicBool>) -> Result<Self, StoreError> {
        let connection = setup::open_checkpointer(path, options)?;
        let nearly_done = Arc::new(AtomicBool::new(false));
        // One order that waits tells of all that were given meanwhile.
        let (orders, ordered) = sync_channel(1);
        let (done, ended) = (Arc::clone(&nearly_done), Arc::clone(failed));
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || run(&connection, &ordered, &done, &ended))
            .map_err(|cause| StoreError::Folder { folder: path.to_owned(), cause })?;
        Ok(Self { orders, nearly_done, failed: Arc::clone(failed), rows: 0, made_room: None, thread })
    }

    /// Tells it that so many rows were committed by the writer's connection.
    pub(super) fn committed(&mut self, rows: usize, writer: &Connection) {
        self.rows += rows;
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            note(checkpoint(writer, PASSIVE), &self.failed);
        } else if self.rows >= ROWS_BETWEEN {
            self.rows = 0;
            // Full: it is at it already.
            let _ = self.orders.try_send(());
        }
    }

    /// Gives the disk back what the write-ahead log takes, after the writer found it full:
    /// the log itself may be what fills it, and nothing moves it while nothing is written.
    pub(super) fn make_room(&mut self, writer: &Connection) {
        if self.made_room.is_some_and(|before| before.elapsed() < ROOM_EVERY) {
            return;
        }
        self.made_room = Some(Instant::now());
        note(checkpoint(writer, TRUNCATE), &self.failed);
    }

    /// Ends the thread.
    pub(super) fn close(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("the store's checkpoint thread ended badly");
        }
    }
}

fn run(connection: &Connection, orders: &Receiver<()>, nearly_done: &AtomicBool, failed: &AtomicBool) {
    let mut moves = 0;
    while orders.recv().is_ok() {
        moves += 1;
        let mut moved = note(checkpoint(connection, PASSIVE), failed);
        if moves < MOVES_BETWEEN && moved.as_ref().is_none_or(|moved| moved.frames < MANY_FRAMES) {
            continue;
        }
        moves = 0;
        for _ in 1..MAX_ROUNDS {
            if moved.is_none_or(|moved| moved.frames - moved.checkpointed < FEW_FRAMES) {
                break;
            }
            moved = note(checkpoint(connection, PASSIVE), failed);
        }
        nearly_done.store(true, Ordering::Release);
    }
}

/// Moves what no reader stands in the way of, without making anybody wait.
const PASSIVE: &str = "pragma wal_checkpoint(passive)";
/// Waits for readers, moves everything and cuts the file off.
const TRUNCATE: &str = "pragma wal_checkpoint(truncate)";

fn checkpoint(connection: &Connection, how: &str) -> rusqlite::Result<Moved> {
    connection.query_row(how, [], |row| Ok(Moved { frames: row.get(1)?, checkpointed: row.get(2)? }))
}

fn note(outcome: rusqlite::Result<Moved>, failed: &AtomicBool) -> Option<Moved> {
    let error = match outcome {
        Ok(moved) => return Some(moved),
        Err(error) => error,
    };
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        // After a failed fsync a second one may succeed without anything being on the disk.
        failed.store(true, Ordering::Release);
        tracing::error!(%error, "the write-ahead log could not be moved: no append is accepted until the process is restarted");
    } else {
        tracing::warn!(%error, "the write-ahead log could not be moved for now");
    }
    None
}
