//! Who this node is to other nodes.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use uuid::Uuid;

/// The file in the data folder that holds the node's id.
const NODE_ID_FILE: &str = "node.id";

/// The id that this data folder's node goes by: made at its first start and kept, so that
/// a node that comes back after a crash need not wait for leases that it held itself.
///
/// # Errors
/// When the file cannot be read or written, or holds something else.
pub fn node_id(data_dir: &Path) -> anyhow::Result<Uuid> {
    let path = data_dir.join(NODE_ID_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Uuid::parse_str(text.trim())
            .with_context(|| format!("{} does not hold a node's id: remove it, a new one is made", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let id = Uuid::new_v4();
            let written = fs::create_dir_all(data_dir).and_then(|()| fs::write(&path, format!("{id}\n")));
            written.with_context(|| format!("cannot write {}", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_two_folders_have_two() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (parent.path().join("one"), parent.path().join("two"));
        let id = node_id(&one).unwrap();
        assert_eq!(node_id(&one).unwrap(), id);
        assert_ne!(node_id(&two).unwrap(), id);
        fs::write(one.join(NODE_ID_FILE), "").unwrap();
        let error = format!("{:#}", node_id(&one).unwrap_err());
        assert!(error.contains("remove it"), "{error}");
        fs::remove_file(one.join(NODE_ID_FILE)).unwrap();
        assert_ne!(node_id(&one).unwrap(), id);
    }
}
