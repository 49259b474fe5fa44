//! Why a store could not be opened, migrated or closed.

use std::path::PathBuf;

use jangbu_kernel::Position;
use jangbu_kernel::log::LogError;
use thiserror::Error;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A store could not be made ready for use. Appending and reading fail with [`LogError`] instead.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store was written by a newer program, and this one would misread it.
    #[error("the store has schema version {found}, this program knows versions up to {known}: run a newer program")]
    Newer {
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// Another process writes to the same folder.
    #[error("another process has the store in {} open for writing: stop it first, or open read-only", .folder.display())]
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// The data folder or a file in it could not be used.
    #[error("the data folder {} cannot be used", .folder.display())]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The folder is not writable, but a crash has left data there that can only be read after a
    /// write.
    #[error(
        "{} cannot be written, and not all of the log is in its database yet: start the server on it once, or read a copy",
        .folder.display()
    )]
    NotFoldedIn {
        /// The data folder.
        folder: PathBuf,
    },
    /// The log is lost, but another file shows that there was one.
    #[error(
        "the log is lost: {} {}, and {} shows that there was one. Restore it from a backup; or, if a new shop is to begin in this folder, remove that file first",
        .path.display(), if *.empty { "is empty" } else { "is not there" }, .witness.display()
    )]
    Missing {
        /// The log's file.
        path: PathBuf,
        /// Whether the file exists but is empty.
        empty: bool,
        /// The file that shows that there was a log.
        witness: PathBuf,
    },
    /// The keys are lost, but the log is there.
    #[error(
        "the keys are lost: {} is not there or empty, and without it nobody's personal data can be read. Put it back, or \
         restore a backup",
        .path.display()
    )]
    KeysMissing {
        /// The keys' file.
        path: PathBuf,
    },
    /// The log lacks events that its folder knew of.
    #[error(
        "the log lacks what was in it: {} {found}, and {} says that position {known} was reached. \
         Restore it from a backup that has it; or, if this log is meant, remove {} and start again: \
         everything behind its end is lost then, and read models are built anew",
        .path.display(), .mark.display(), .mark.display()
    )]
    Lacking {
        /// The log's file.
        path: PathBuf,
        /// The file that records the position that was reached.
        mark: PathBuf,
        /// The position that was reached.
        known: Position,
        /// What was found instead.
        found: String,
    },
    /// The engine lacks something that the guarantees of the log depend on.
    #[error("the engine cannot keep the log's promises: {0}")]
    Unfit(String),
    /// The engine could not be opened.
    #[error("the store cannot be opened")]
    Open(#[source] Cause),
    /// The tables could not be brought up to date.
    #[error("the store cannot be migrated")]
    Migrate(#[source] Cause),
    /// A copy of the store could not be written or read.
    #[error("the copy {} cannot be used", .file.display())]
    Copy {
        /// The copy's file.
        file: PathBuf,
        /// The error of the system or the engine.
        #[source]
        cause: Cause,
    },
    /// The store that is to be filled from a copy is not empty.
    #[error("the store is not empty: {0}")]
    NotEmpty(String),
    /// This handle can only read.
    #[error("the store is open read-only")]
    ReadOnly,
    /// The engine is open but does not answer.
    #[error("the store does not answer")]
    Log(#[source] LogError),
}
