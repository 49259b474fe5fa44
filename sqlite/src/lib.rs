//! A SQLite file as this program uses it: one thread owns the connection that writes and takes
//! jobs from a bounded queue, and where the file's owner wants it another one beside it moves
//! the write-ahead log into the file.
//!
//! Here is what the log, the read models and the sandbox do alike. What a transaction is, when
//! it is synced, who may read for how long, what an error means and what is said about it is
//! theirs: nothing here knows a table, and nothing here logs.

mod checkpoint;
mod open;
mod writer;

pub use checkpoint::{Checkpointer, move_all};
pub use open::{Settings, beside, is_without_index, open_to_read, set_up, use_write_ahead_log};
pub use writer::{Queue, TrySendError, Writer};
