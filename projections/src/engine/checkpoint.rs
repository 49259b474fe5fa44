//! Moving the write-ahead log of the embedded read models into their file, beside the
//! writer: inside a commit it would make the live views wait for megabytes and a sync.
//! On a full disk the writer moves all of it and cuts the file off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Rows changed between two moves: some megabytes. A disk that is given more at once lets
/// a commit of the log that comes meanwhile wait for all of it.
const ROWS_BETWEEN: u64 = 2_048;
/// Moves between two attempts to begin the write-ahead log anew.
const MOVES_BETWEEN: u32 = 8;
/// Frames from which it is attempted all the same: 40 MB. Pages of a few rows each write
/// many times the frames that large ones do.
const MANY_FRAMES: i64 = 10_000;
/// The least time between two attempts to make room on a full disk.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// Frames that the writer moves itself: some milliseconds.
const FEW_FRAMES: i64 = 500;
/// Rounds in which the thread tries to come near the writer.
const MAX_ROUNDS: u32 = 4;

/// The writer's end. The thread ends with it.
pub(super) struct Checkpointer {
    orders: SyncSender<()>,
    nearly_done: Arc<AtomicBool>,
    ordered_at: u64,
    made_room: Option<Instant>,
    thread: JoinHandle<()>,
}

/// What a checkpoint came to.
struct Moved {
    frames: i64,
    checkpointed: i64,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own to the same file.
    pub(super) fn spawn(connection: Connection) -> std::io::Result<Self> {
        let nearly_done = Arc::new(AtomicBool::new(false));
        // One order that waits tells of all that were given meanwhile.
        let (orders, ordered) = sync_channel(1);
        let done = Arc::clone(&nearly_done);
        let thread = std::thread::Builder::new()
            .name("views-checkpoint".to_owned())
            .spawn(move || run(&connection, &ordered, &done))?;
        Ok(Self { orders, nearly_done, ordered_at: 0, made_room: None, thread })
    }

    /// Ends the thread, when it has done what it is at.
    pub(super) fn stop(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::warn!("the thread that moves the read models' write-ahead log had broken off");
        }
    }

    /// Looks, after the writer has done something, whether it is time.
    pub(super) fn after(&mut self, writer: &Connection) {
        let changed = writer.total_changes();
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            // The thread cannot come to the end while this connection goes on; with the
            // last frames moved, the next commit begins the write-ahead log anew.
            checkpoint(writer, PASSIVE);
        } else if changed.saturating_sub(self.ordered_at) >= ROWS_BETWEEN {
            self.ordered_at = changed;
            // Full: it is at it already.
            let _ = self.orders.try_send(());
        }
    }

    /// Gives the disk back what the write-ahead log takes, after the writer found it full:
    /// the log itself may be what fills it, and nothing moves it while nothing is written.
    pub(super) fn make_room(&mut self, writer: &Connection) {
        if self.made_room.is_none_or(|before| before.elapsed() >= ROOM_EVERY) {
            self.made_room = Some(Instant::now());
            checkpoint(writer, TRUNCATE);
        }
    }
}

fn run(connection: &Connection, orders: &Receiver<()>, nearly_done: &AtomicBool) {
    let mut moves = 0;
    while orders.recv().is_ok() {
        moves += 1;
        let mut moved = checkpoint(connection, PASSIVE);
        if moves < MOVES_BETWEEN && moved.as_ref().is_none_or(|moved| moved.frames < MANY_FRAMES) {
            continue;
        }
        moves = 0;
        for _ in 1..MAX_ROUNDS {
            if moved.is_none_or(|moved| moved.frames - moved.checkpointed < FEW_FRAMES) {
                break;
            }
            moved = checkpoint(connection, PASSIVE);
        }
        nearly_done.store(true, Ordering::Release);
    }
}

/// Moves what no reader stands in the way of, without making anybody wait.
const PASSIVE: &str = "pragma wal_checkpoint(passive)";
/// Waits for readers, moves everything and cuts the file off.
const TRUNCATE: &str = "pragma wal_checkpoint(truncate)";

fn checkpoint(connection: &Connection, how: &str) -> Option<Moved> {
    let moved = connection.query_row(how, [], |row| Ok(Moved { frames: row.get(1)?, checkpointed: row.get(2)? }));
    // What stays behind is moved later, at the latest when the file is closed.
    moved
        .inspect_err(
            |error| tracing::warn!(%error, "the read models' write-ahead log could not be moved for now: {error}"),
        )
        .ok()
}
