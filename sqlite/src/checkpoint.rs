//! Moving the write-ahead log into the file, beside the writer.
//!
//! Done inside a commit, as SQLite does it by itself, it makes everybody wait for tens of
//! megabytes. Here a thread with a connection of its own moves a little at a time; now and
//! then the writer is told that next to nothing is left, moves that, and begins the
//! write-ahead log anew. On a full disk the writer moves all of it and cuts the file off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Rows written between two moves: some megabytes. A disk that is given more at once lets
/// a commit that comes meanwhile wait for all of it.
const ROWS_BETWEEN: u64 = 2_048;
/// Moves between two attempts to begin the write-ahead log anew.
const MOVES_BETWEEN: u32 = 8;
/// Frames from which it is attempted all the same: 40 MB. Commits of a few rows each
/// write many times the frames that large ones do.
const MANY_FRAMES: i64 = 10_000;
/// The least time between two attempts to make room on a full disk.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// Frames that the writer moves itself: some milliseconds.
const FEW_FRAMES: i64 = 500;
/// Rounds in which the thread tries to come near the writer.
const MAX_ROUNDS: u32 = 4;

/// Moves what no reader stands in the way of, without making anybody wait.
const PASSIVE: &str = "pragma wal_checkpoint(passive)";
/// Waits for readers, moves everything and cuts the file off.
const TRUNCATE: &str = "pragma wal_checkpoint(truncate)";

/// Hears of a move that failed. What stays behind is moved later.
type OnError = Arc<dyn Fn(&rusqlite::Error) + Send + Sync>;

/// The writer's end.
pub struct Checkpointer {
    orders: SyncSender<()>,
    nearly_done: Arc<AtomicBool>,
    on_error: OnError,
    rows: u64,
    made_room: Option<Instant>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own to the writer's file.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn spawn(
        name: &str,
        connection: Connection,
        on_error: impl Fn(&rusqlite::Error) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let on_error: OnError = Arc::new(on_error);
        let nearly_done = Arc::new(AtomicBool::new(false));
        // One order that waits tells of all that were given meanwhile.
        let (orders, ordered) = sync_channel(1);
        let (done, failed) = (Arc::clone(&nearly_done), Arc::clone(&on_error));
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || follow(&connection, &ordered, &done, &failed))?;
        Ok(Self { orders, nearly_done, on_error, rows: 0, made_room: None, thread })
    }

    /// Tells it that so many rows were committed by the writer's connection.
    pub fn committed(&mut self, rows: u64, writer: &Connection) {
        self.rows = self.rows.saturating_add(rows);
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            // The thread cannot come to the end while the writer goes on; with the last frames
            // moved, the next commit begins the write-ahead log anew.
            checkpoint(writer, PASSIVE, &self.on_error);
        } else if self.rows >= ROWS_BETWEEN {
            self.rows = 0;
            // Full: it is at it already.
            let _ = self.orders.try_send(());
        }
    }

    /// Gives the disk back what the write-ahead log takes, after the writer found it full:
    /// the log itself may be what fills it, and nothing moves it while nothing is written.
    pub fn make_room(&mut self, writer: &Connection) {
        if self.made_room.is_none_or(|before| before.elapsed() >= ROOM_EVERY) {
            self.made_room = Some(Instant::now());
            checkpoint(writer, TRUNCATE, &self.on_error);
        }
    }

    /// Ends the thread, when it has done what it is at. Of two checkpoints at once the second
    /// does nothing, so whoever closes the file ends this first.
    ///
    /// # Errors
    /// When the thread had panicked.
    pub fn stop(self) -> std::thread::Result<()> {
        drop(self.orders);
        self.thread.join()
    }
}

/// Moves the whole write-ahead log into the file and cuts it off. False where a reader of an
/// older moment, or another write, stood in the way.
///
/// # Errors
/// When the file cannot be written.
pub fn move_all(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(TRUNCATE, [], |row| row.get(0)).map(|blocked: bool| !blocked)
}

fn follow(connection: &Connection, orders: &Receiver<()>, nearly_done: &AtomicBool, on_error: &OnError) {
    let mut moves = 0;
    while orders.recv().is_ok() {
        moves += 1;
        let mut moved = checkpoint(connection, PASSIVE, on_error);
        if moves < MOVES_BETWEEN && moved.as_ref().is_none_or(|moved| moved.frames < MANY_FRAMES) {
            continue;
        }
        moves = 0;
        for _ in 1..MAX_ROUNDS {
            if moved.is_none_or(|moved| moved.frames - moved.checkpointed < FEW_FRAMES) {
                break;
            }
            moved = checkpoint(connection, PASSIVE, on_error);
        }
        nearly_done.store(true, Ordering::Release);
    }
}

/// What a checkpoint came to.
struct Moved {
    frames: i64,
    checkpointed: i64,
}

fn checkpoint(connection: &Connection, how: &str, on_error: &OnError) -> Option<Moved> {
    let moved = connection.query_row(how, [], |row| Ok(Moved { frames: row.get(1)?, checkpointed: row.get(2)? }));
    moved.inspect_err(|error| on_error(error)).ok()
}
