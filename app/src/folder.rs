//! Permissions of the data folder: only its owner may access it.
//!
//! Its databases hold orders in the clear, and a process that can open a database can also hold a
//! lock that stops every write. Permissions that an earlier version left too wide are narrowed at
//! the next start, with a line in the log: no legitimate user loses access by that, and refusing to
//! start after an upgrade would do more harm. A folder that belongs to another user, or has other
//! files, is not changed; the program refuses to use it.

use std::path::Path;

use anyhow::Context as _;

/// The prefixes of this program's files. The master key is not one of them: if other users could
/// read it they may know it, so its own reader refuses it.
const OURS: [&str; 7] = ["log.", "keys.", "views.", "sandbox.", "sandbox-secrets.", "node.", "server."];
/// This file alone marks a folder as a shop's.
const KEY: &str = "master.key";

/// Creates the folder if it does not exist, and makes it accessible to its owner only.
///
/// # Errors
/// As [`keep_private`], or when it cannot be created.
pub(crate) fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| {
        format!("cannot make the data folder {}: choose one that can be written with --data-dir", folder.display())
    })?;
    keep_private(folder)
}

#[cfg(not(unix))]
pub(crate) fn keep_private(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// Makes the folder and the shop's files in it accessible to their owner only; files that this
/// process creates later are so from the start.
///
/// # Errors
/// When the permissions of something cannot be narrowed; the text has the command that does it.
#[cfg(unix)]
pub(crate) fn keep_private(folder: &Path) -> anyhow::Result<()> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cannot = || format!("cannot look into the data folder {}", folder.display());
    let mut entries =
        std::fs::read_dir(folder).with_context(cannot)?.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    entries.retain(|entry| entry.file_name().to_str().is_some_and(is_ours));
    unix::close_folder(folder, !entries.is_empty())?;
    let mut closed = 0_u32;
    for entry in entries.iter().filter(|entry| entry.file_name() != KEY) {
        closed += u32::from(unix::close(&entry.path())?);
    }
    if closed > 0 {
        tracing::warn!(
            files = closed,
            "{closed} files in {} could be opened by others; they are their owner's alone now",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(unix)]
fn is_ours(name: &str) -> bool {
    name == KEY || OURS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(unix)]
mod unix {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    use anyhow::{Context as _, bail};

    const OTHERS: u32 = 0o077;
    const STICKY: u32 = 0o1000;

    pub(super) fn close_folder(folder: &Path, holds_a_shop: bool) -> anyhow::Result<()> {
        let metadata = std::fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
        let mode = metadata.mode() & 0o7777;
        if mode & OTHERS == 0 {
            return Ok(());
        }
        let empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        let shared = mode & STICKY != 0 || !(holds_a_shop || empty);
        if shared || std::fs::set_permissions(folder, Permissions::from_mode(mode & !OTHERS)).is_err() {
            bail!(
                "the data folder {} is open to others (mode {mode:o}): close it with `chmod 700 {}`, or name a folder of \
                 its own with --data-dir, for example {}, which is made for its owner alone",
                folder.display(),
                folder.display(),
                folder.join("shop").display()
            );
        }
        tracing::warn!(
            "the data folder {} was open to others (mode {mode:o}); it is its owner's alone now",
            folder.display()
        );
        Ok(())
    }

    /// Narrows the permissions; returns whether they were too wide.
    pub(super) fn close(path: &Path) -> anyhow::Result<bool> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            // A running server creates and removes files.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
        };
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_file() || mode & OTHERS == 0 {
            return Ok(false);
        }
        match std::fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(_) => bail!(
                "{} is open to others (mode {mode:o}): close it with `chmod 600 {}`",
                path.display(),
                path.display()
            ),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn open_up(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_an_earlier_version_left_open_is_closed() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        make_private(&data).unwrap();
        assert_eq!(mode(&data), 0o700, "a new folder is its owner's");
        for name in ["log.db", "log.db-wal", "keys.db", "views.db", "sandbox.db", "notes.txt", "master.key"] {
            fs::write(data.join(name), "x").unwrap();
            open_up(&data.join(name), 0o644);
        }
        open_up(&data, 0o755);
        keep_private(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        for name in ["log.db", "log.db-wal", "keys.db", "views.db", "sandbox.db"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&data.join("notes.txt")), 0o644, "what is not the shop's is left alone");
        assert_eq!(mode(&data.join("master.key")), 0o644, "its reader refuses it");
        fs::write(data.join("made"), "x").unwrap();
        assert_eq!(mode(&data.join("made")), 0o600, "what is made later is its owner's from the start");
    }

    #[test]
    fn a_folder_that_others_share_is_refused_and_left_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let (with_others, sticky) = (parent.path().join("home"), parent.path().join("tmp"));
        for (folder, open) in [(&with_others, 0o755), (&sticky, 0o1777)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("somebody's"), "x").unwrap();
            open_up(folder, open);
            let error = make_private(folder).unwrap_err().to_string();
            assert!(error.contains("chmod 700") && error.contains("--data-dir"), "{error}");
            assert_eq!(mode(folder), open);
        }
        // Even if it has a shop in it, because other users work in such a folder.
        fs::write(sticky.join("log.db"), "x").unwrap();
        assert!(keep_private(&sticky).is_err());
    }
}
