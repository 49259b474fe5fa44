//! The files of a database, and the marker of a damage beside them.

use std::path::{Path, PathBuf};

/// Beside the file, while something in it is known to be unreadable.
pub(super) fn damage_marker(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// Whether a file is known to be damaged, or cannot even be opened.
pub(crate) fn is_unreadable(path: &Path) -> bool {
    damage_marker(path).exists() || (path.exists() && std::fs::File::open(path).is_err())
}

/// Removes a database file and what belongs to it.
pub(crate) fn forget_file(path: &Path) -> std::io::Result<()> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for file in [path.to_owned(), beside("-wal"), beside("-shm"), damage_marker(path)] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
