//! The mark next to the log: how far the log had come, as far as this folder knows.
//!
//! A log cannot know that its end is missing: with a lost write-ahead log, or an older or emptied
//! `log.db`, it looks like the log of a shop with less history. So the writer leaves a mark in the
//! folder about once a second and when it ends, and a log that lacks the marked event is not opened
//! for writing. The mark is never ahead of the log, because it names a committed event.
//!
//! The mark belongs to one file. If `log.db` is another file (a copy of the folder, or a restored
//! backup), nothing was lost from it, and it is accepted as it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jangbu_kernel::Position;
use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{KEYS_FILE, read, setup};
use crate::error::StoreError;
use crate::row::to_u64;

const MARK_FILE: &str = "log.mark";
/// The least time between two marks.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// Files that are never made before there is a log: each shows that there was one.
const WITNESSES: [&str; 4] = [MARK_FILE, "views.db", "log.db-wal", KEYS_FILE];
/// The master key. It is made after the log's tables, but also by hand in an empty folder, so it
/// only counts as a witness when there is an empty log.
const KEY_FILE: &str = "master.key";

/// What a folder knows about its log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    log: Uuid,
    position: Position,
    /// The hash of the event at the position, in hexadecimal; empty for an empty log.
    hash: String,
    /// The inode number of the log's file, if the system has such numbers.
    file: Option<u64>,
}

impl Mark {
    fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(MARK_FILE);
        let text = std::fs::read_to_string(&path).ok()?;
        let mark = serde_json::from_str(&text).ok().and_then(|value| Self::from_json(&value));
        if mark.is_none() {
            // A power cut may leave it empty: it is not synced, because a lost mark only means an
            // older one.
            tracing::warn!("{} cannot be read and says nothing", path.display());
        }
        mark
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            log: value.get("log")?.as_str()?.parse().ok()?,
            position: Position::new(value.get("position")?.as_u64()?),
            hash: value.get("hash")?.as_str()?.to_owned(),
            file: value.get("file")?.as_u64(),
        })
    }

    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let Self { log, position, hash, file } = self;
        let text = json!({ "log": log.to_string(), "position": position, "hash": hash, "file": file }).to_string();
        let new = folder.join(format!("{MARK_FILE}.new"));
        std::fs::write(&new, text)?;
        std::fs::rename(new, folder.join(MARK_FILE))
    }

    /// The mark of the log as it is now.
    fn of(connection: &Connection, path: &Path) -> rusqlite::Result<Self> {
        let position = to_u64(read::head(connection)?);
        let log = read::identity(connection)?;
        Ok(Self { log, position, hash: hash_text(connection, position)?, file: file_number(path) })
    }
}

fn hash_text(connection: &Connection, position: Position) -> rusqlite::Result<String> {
    let hash = read::hash_at(connection, position)?;
    Ok(hash.iter().flatten().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(unix)]
fn file_number(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| std::os::unix::fs::MetadataExt::ino(&file))
}

#[cfg(not(unix))]
fn file_number(_: &Path) -> Option<u64> {
    None
}

/// Removes what a folder knows about its log, so that any log is accepted there. For restoring a
/// backup.
///
/// # Errors
/// When the folder cannot be written.
pub fn accept_log(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(MARK_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Refuses a folder whose log is missing or empty, if a file shows that there was one.
pub(super) fn refuse_missing(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let length = |name: &str| std::fs::metadata(folder.join(name)).map(|file| file.len()).ok();
    let log = std::fs::metadata(path).map(|file| file.len()).ok();
    if log.is_some_and(|length| length > 0) {
        return Ok(());
    }
    let witness = WITNESSES.into_iter().find(|name| length(name).is_some_and(|length| length > 0));
    let witness = witness.or_else(|| (log.is_some() && length(KEY_FILE).is_some()).then_some(KEY_FILE));
    match witness {
        None => Ok(()),
        Some(witness) => {
            Err(StoreError::Missing { path: path.to_owned(), empty: log.is_some(), witness: folder.join(witness) })
        }
    }
}

/// Refuses a log that lacks what its folder knows of it.
pub(super) fn refuse_older(folder: &Path, path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let Some(mark) = Mark::read(folder) else { return Ok(()) };
    let lacks = |found: String| {
        Err(StoreError::Lacking { path: path.to_owned(), mark: folder.join(MARK_FILE), known: mark.position, found })
    };
    // A log without tables has head 0.
    let head = setup::first_head(connection);
    let other_log = read::identity(connection).is_ok_and(|log| log != mark.log);
    if other_log {
        return lacks("is another log".to_owned());
    }
    let holds = head >= mark.position && hash_text(connection, mark.position).unwrap_or_default() == mark.hash;
    if holds {
        return Ok(());
    }
    if mark.file.is_some() && mark.file != file_number(path) {
        tracing::warn!(
            head = head.get(),
            known = mark.position.get(),
            "{} is another file than this folder had before, and ends at position {head}; {} was known. It is taken as it is",
            path.display(),
            mark.position
        );
        return Ok(());
    }
    if head < mark.position {
        lacks(format!("ends at position {head}"))
    } else {
        lacks(format!("holds another event at position {}", mark.position))
    }
}

/// Writes the marks.
pub(super) struct Marker {
    folder: PathBuf,
    path: PathBuf,
    left: Option<Instant>,
}

impl Marker {
    pub(super) fn new(folder: &Path, path: &Path) -> Self {
        Self { folder: folder.to_owned(), path: path.to_owned(), left: None }
    }

    /// Leaves a mark, unless the last one is very recent.
    pub(super) fn committed(&mut self, connection: &Connection) {
        if self.left.is_none_or(|before| before.elapsed() >= MARK_EVERY) {
            self.leave(connection);
        }
    }

    /// Leaves a mark of the present log. If that fails, the older mark is still correct.
    pub(super) fn leave(&mut self, connection: &Connection) {
        self.left = Some(Instant::now());
        match Mark::of(connection, &self.path) {
            Ok(mark) => {
                if let Err(error) = mark.write(&self.folder) {
                    tracing::debug!(%error, "the log could not be marked for now");
                }
            }
            Err(error) => tracing::debug!(%error, "there is nothing to mark yet"),
        }
    }
}
