//! The identity of this node among other nodes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use uuid::Uuid;

/// The file in the data folder that holds the node's id.
const NODE_ID_FILE: &str = "node.id";

/// The id of a data folder's node: created at its first start and kept, so that a node that
/// restarts after a crash need not wait for its own leases to expire.
#[derive(Debug)]
pub struct Identity {
    /// The id.
    pub id: Uuid,
    /// Locked for as long as the node runs. None if another node runs in this folder: the id is a
    /// random one then.
    _lock: Option<File>,
}

impl Identity {
    /// Reads or creates the id.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has other content.
    pub fn of(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(NODE_ID_FILE);
        let cannot = || format!("cannot keep this node's id in {}", path.display());
        std::fs::create_dir_all(data_dir).with_context(cannot)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!("another node runs in this data folder: give each one its own (JANGBU_DATA_DIR)");
                return Ok(Self { id: Uuid::new_v4(), _lock: None });
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(cannot)?;
        let id = if text.is_empty() {
            let id = Uuid::new_v4();
            file.write_all(format!("{id}\n").as_bytes()).with_context(cannot)?;
            id
        } else {
            Uuid::parse_str(text.trim()).with_context(|| {
                format!("{} does not hold a node's id: remove it, a new one is made", path.display())
            })?
        };
        Ok(Self { id, _lock: Some(file) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_no_two_nodes_have_one() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (parent.path().join("one"), parent.path().join("two"));
        let first = Identity::of(&one).unwrap();
        assert_ne!(Identity::of(&two).unwrap().id, first.id);
        assert_ne!(Identity::of(&one).unwrap().id, first.id, "another node in the same folder");
        let id = first.id;
        drop(first);
        assert_eq!(Identity::of(&one).unwrap().id, id, "the same node, started again");
        std::fs::write(one.join(NODE_ID_FILE), "something else").unwrap();
        let error = format!("{:#}", Identity::of(&one).unwrap_err());
        assert!(error.contains("remove it"), "{error}");
        std::fs::remove_file(one.join(NODE_ID_FILE)).unwrap();
        assert_ne!(Identity::of(&one).unwrap().id, id);
    }
}
