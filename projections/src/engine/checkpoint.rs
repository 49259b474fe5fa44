//! Moving the write-ahead log of the embedded read models into their file, beside the
//! writer: inside a commit it would make the live views wait for megabytes and a sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

/// Rows changed between two moves: some megabytes. A disk that is given more at once lets
/// a commit of the log that comes meanwhile wait for all of it.
const ROWS_BETWEEN: u64 = 2_048;
/// Moves between two attempts to begin the write-ahead log anew.
const MOVES_BETWEEN: u32 = 8;
/// Frames that the writer moves itself: some milliseconds.
const FEW_FRAMES: i64 = 500;
/// Rounds in which the thread tries to come near the writer.
const MAX_ROUNDS: u32 = 4;

/// The writer's end. The thread ends with it.
pub(super) struct Checkpointer {
    orders: SyncSender<()>,
    nearly_done: Arc<AtomicBool>,
    ordered_at: u64,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own to the same file.
    pub(super) fn spawn(connection: Connection) -> std::io::Result<Self> {
        let nearly_done = Arc::new(AtomicBool::new(false));
        // One order that waits tells of all that were given meanwhile.
        let (orders, ordered) = sync_channel(1);
        let done = Arc::clone(&nearly_done);
        std::thread::Builder::new()
            .name("views-checkpoint".to_owned())
            .spawn(move || run(&connection, &ordered, &done))?;
        Ok(Self { orders, nearly_done, ordered_at: 0 })
    }

    /// Looks, after the writer has done something, whether it is time.
    pub(super) fn after(&mut self, writer: &Connection) {
        let changed = writer.total_changes();
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            // The thread cannot come to the end while this connection goes on; with the
            // last frames moved, the next commit begins the write-ahead log anew.
            passive(writer);
        } else if changed.saturating_sub(self.ordered_at) >= ROWS_BETWEEN {
            self.ordered_at = changed;
            // Full: it is at it already.
            let _ = self.orders.try_send(());
        }
    }
}

fn run(connection: &Connection, orders: &Receiver<()>, nearly_done: &AtomicBool) {
    let mut moves = 0;
    while orders.recv().is_ok() {
        moves += 1;
        if moves < MOVES_BETWEEN {
            passive(connection);
            continue;
        }
        moves = 0;
        for _ in 0..MAX_ROUNDS {
            if passive(connection).is_none_or(|left| left < FEW_FRAMES) {
                break;
            }
        }
        nearly_done.store(true, Ordering::Release);
    }
}

/// Moves what no reader stands in the way of, without making anybody wait; the frames
/// that are left.
fn passive(connection: &Connection) -> Option<i64> {
    let moved = connection.query_row("pragma wal_checkpoint(passive)", [], |row| {
        Ok(row.get::<_, i64>(1)?.saturating_sub(row.get::<_, i64>(2)?))
    });
    // What stays behind is moved later, at the latest when the file is closed.
    moved
        .inspect_err(
            |error| tracing::warn!(%error, "the read models' write-ahead log could not be moved for now: {error}"),
        )
        .ok()
}
