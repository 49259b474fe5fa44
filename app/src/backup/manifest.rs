//! The manifest of a backup.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::node::keys::MASTER_KEY_FILE;
use crate::node::outside::{BOOKS, SECRETS};

/// The log in a backup, as an embedded store's file, whichever engine it was taken from.
pub(super) const LOG: &str = "log.db";
/// The keys in a backup. Backups of earlier versions do not have it: their log contains the keys.
pub(super) const KEYS: &str = "keys.db";
/// The files that a backup may have.
const FILES: [&str; 5] = [LOG, KEYS, MASTER_KEY_FILE, BOOKS, SECRETS];
const NAME: &str = "manifest.json";
/// The form of backups that this program writes and reads.
const FORMAT: u32 = 1;
/// Bytes hashed at once.
const PIECE: usize = 1 << 20;
/// Limit for the length of a manifest, in bytes.
const LONGEST: u64 = 1 << 16;

/// The manifest. It is written last: a backup without it was not finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u32,
    /// The version of the program that took it.
    pub program: String,
    /// When, RFC 3339.
    pub taken_at: String,
    /// The engine that it was taken from.
    pub engine: String,
    /// The schema version of its log.
    pub schema_version: u32,
    /// Identifies the log: the id of its first event.
    pub log: Uuid,
    /// The number of its events.
    pub events: u64,
    /// The Merkle root over them, hexadecimal.
    pub root: String,
    /// Its files beside this one.
    pub files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a log that has just been copied.
    pub(super) fn new(engine: &str, schema_version: u32, log: Uuid, events: u64, root: String, at: String) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at: at,
            engine: engine.to_owned(),
            schema_version,
            log,
            events,
            root,
            files: Vec::new(),
        }
    }

    /// Whether the master key is in the backup.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.files.iter().any(|file| file.name == MASTER_KEY_FILE)
    }

    /// Whether the keys are in a file of their own, and not in the log.
    #[must_use]
    pub(super) fn has_keys_apart(&self) -> bool {
        self.files.iter().any(|file| file.name == KEYS)
    }

    /// Adds the files that are present and writes the manifest; everything is durable when it
    /// returns.
    pub(super) fn finish(mut self, folder: &Path) -> anyhow::Result<Self> {
        for name in FILES {
            let path = folder.join(name);
            if path.exists() {
                File::open(&path)?.sync_all()?;
                self.files.push(entry(&path, name)?);
            }
        }
        let new = folder.join(format!("{NAME}.new"));
        let mut file = File::create(&new)?;
        file.write_all(serde_json::to_string_pretty(&self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, folder.join(NAME))?;
        File::open(folder)?.sync_all()?;
        Ok(self)
    }

    /// Reads a backup's manifest and checks its files against it. With keys from another backup its
    /// own keys are not read and may have been deleted.
    pub(super) fn read(folder: &Path, with_keys: bool) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        read.with_context(|| {
            format!("{} is no backup, or one that was not finished: it has no {NAME}", folder.display())
        })?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?;
        if manifest.format != FORMAT {
            bail!("the backup has form {}, this program reads form {FORMAT}: use a newer program", manifest.format);
        }
        for file in &manifest.files {
            if !FILES.contains(&file.name.as_str()) {
                bail!("{} names a file {:?} that no backup has", path.display(), file.name);
            }
            let path = folder.join(&file.name);
            if file.name == KEYS && !with_keys {
                continue;
            }
            if file.name == KEYS && !path.exists() {
                bail!("the keys of this backup were deleted: name a newer backup of the same shop with --keys");
            }
            let found = entry(&path, &file.name)?;
            if found.bytes != file.bytes || found.sha256 != file.sha256 {
                bail!("{} is not as it was when the backup was taken", path.display());
            }
        }
        if !manifest.files.iter().any(|file| file.name == LOG) {
            bail!("{} names no {LOG}", path.display());
        }
        Ok(manifest)
    }
}

fn entry(path: &Path, name: &str) -> anyhow::Result<FileEntry> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut digest, mut bytes, mut piece) = (Digest::new(&SHA256), 0_u64, vec![0; PIECE]);
    loop {
        let read = file.read(&mut piece).with_context(|| format!("cannot read {}", path.display()))?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        digest.update(part);
        bytes += u64::try_from(read)?;
    }
    Ok(FileEntry { name: name.to_owned(), bytes, sha256: hex(digest.finish().as_ref()) })
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
