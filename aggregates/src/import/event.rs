//! What happened to an import. Storage format.

use jangbu_kernel::events;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to an import.
    pub enum ImportEvent {
        "import.started" v 1 => Started(ImportStarted),
        "import.progressed" v 1 => Progressed(ImportProgressed),
        "import.finished" v 1 => Finished(ImportFinished),
        "import.interrupted" v 1 => Interrupted(ImportInterrupted),
    }
}

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportKind {
    /// Products of the catalogue.
    Products,
    /// Goods that came in, or were counted.
    Stock,
}

/// Why a run ended before the end of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportInterruption {
    /// Whoever had sent the file did not wait for the outcomes.
    ClientGone,
    /// The server was stopped.
    ServerStopping,
    /// The store took no more writes.
    StoreUnavailable,
    /// The file could not be read on.
    FileUnreadable,
    /// The same import was started again, somewhere else.
    StartedAgain,
}

jangbu_kernel::named!(ImportKind, ImportInterruption);

/// How many rows had which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportCounts {
    /// Rows that made something.
    pub created: u64,
    /// Rows that changed something.
    pub changed: u64,
    /// Rows whose effect was there already.
    pub unchanged: u64,
    /// Rows that an earlier run of this import had carried out.
    pub replayed: u64,
    /// Rows that the shop refused.
    pub refused: u64,
    /// Rows that could not be understood.
    pub invalid: u64,
}

impl ImportCounts {
    /// All of them.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        let done = self.created.saturating_add(self.changed).saturating_add(self.unchanged);
        done.saturating_add(self.replayed).saturating_add(self.refused).saturating_add(self.invalid)
    }
}

/// A file came in, and its rows are being carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportStarted {
    /// What the rows are.
    pub kind: ImportKind,
    /// Which run of this import it is, from 1.
    pub run: u32,
    /// How many rows the file has.
    pub rows: u64,
}

/// So much of the file has been carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProgressed {
    /// Of this run.
    pub run: u32,
    /// From its beginning.
    pub counts: ImportCounts,
}

/// Every row of the file has had its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportFinished {
    /// Of this run.
    pub run: u32,
    /// From its beginning.
    pub counts: ImportCounts,
}

/// The run ended before the end of the file. Sent again, the file goes on where it was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportInterrupted {
    /// Of this run.
    pub run: u32,
    /// From its beginning.
    pub counts: ImportCounts,
    /// Why.
    pub reason: ImportInterruption,
}
