//! Files of products and stock that come in, and files of products, stock and orders that go out: CSV
//! or JSON lines.
//!
//! An import is first taken in whole ([`spool`]) and looked through, so that a file that cannot be read
//! is refused before anything is done. Then each of its rows is one command with a receipt of its own
//! (`run.rs`): sent again under the same key, a row that was carried out is answered and not done again.
//! How far it is stands in the log, as the import's own stream.
//!
//! `sheet.rs` reads rows, `rows.rs` says what a row is and which command it becomes, `run.rs` carries
//! them out, `line.rs` is what is told of each, `export.rs` writes files.

mod attempt;
mod export;
mod line;
mod rows;
mod run;
mod sheet;
mod spool;
mod teller;

#[cfg(test)]
mod spec;

use std::sync::Arc;

use jangbu_commands::{Commands, ImportKind, Policy};
use jangbu_kernel::ports::{Clock, IdSource};

pub use export::{Export, ExportKind};
pub use line::{ImportLine, ImportSummary, Outcome, RowError, RowOutcome};
pub use rows::StockMode;
pub(crate) use rows::{ProductRow, StockRow};
pub(crate) use run::NOTE_EVERY;
pub use run::{Import, ImportRequest};
pub use sheet::{Format, copy_rows};
pub(crate) use spool::too_large;
pub use spool::{MAX_FILE, spool};

/// The header that says how many rows an import has.
pub const ROWS: &str = "jangbu-rows";

/// Carries out imports.
#[derive(Clone)]
pub struct Importer {
    /// The write side.
    pub commands: Commands,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// The shop's policy.
    pub policy: Arc<Policy>,
}

/// The columns of a file with rows of this kind, as they stand in its head.
#[must_use]
pub const fn columns(kind: ImportKind) -> &'static [&'static str] {
    match kind {
        ImportKind::Products => rows::PRODUCT_COLUMNS,
        ImportKind::Stock => rows::STOCK_COLUMNS,
    }
}
