//! The files of a database, and the marker file of a damage.

use std::path::{Path, PathBuf};

use jangbu_sqlite::beside;

/// The marker file, which exists while the database is known to be damaged.
pub(super) fn damage_marker(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// Whether a file is known to be damaged, or cannot even be opened.
pub(crate) fn is_unreadable(path: &Path) -> bool {
    damage_marker(path).exists() || (path.exists() && std::fs::File::open(path).is_err())
}

/// Removes a database file and the files that belong to it.
pub(crate) fn forget_file(path: &Path) -> std::io::Result<()> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm"), damage_marker(path)] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
