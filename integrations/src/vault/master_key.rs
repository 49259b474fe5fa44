//! The master key, from which all other keys are derived or under which they are wrapped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use super::cipher::{self, KEY_LEN};

/// 256 random bits. It has no text form except that of its file, and no `Debug`.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LEN]>);

/// Why there is no master key.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    /// The text is not a key.
    #[error("the master key has to be 32 bytes in hex (64 digits) or base64")]
    NotAKey,
    /// The machine's source of random bytes failed.
    #[error("the machine's source of random bytes failed")]
    Random,
    /// The file cannot be read or written.
    #[error("the master key file {0} cannot be used")]
    File(PathBuf, #[source] io::Error),
    /// Users other than its owner may read the file.
    #[error("the master key file {0} is open to others: its mode has to be 0600")]
    OpenToOthers(PathBuf),
}

struct Length;
impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

impl MasterKey {
    /// A key from random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key.
    ///
    /// # Errors
    /// When the machine has no random bytes.
    pub fn generate() -> Result<Self, MasterKeyError> {
        cipher::random_key().map(Self).map_err(|_| MasterKeyError::Random)
    }

    /// Reads a key: 64 hex digits, or base64 in either alphabet, with or without padding.
    ///
    /// # Errors
    /// When it is neither, or not 32 bytes.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        const BASE64: [GeneralPurpose; 4] = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
        let text = text.trim();
        let mut key = Zeroizing::new([0_u8; KEY_LEN]);
        if hex::decode_to_slice(text, &mut *key).is_ok() {
            return Ok(Self(key));
        }
        let decoded = BASE64.iter().find_map(|alphabet| alphabet.decode(text).ok()).map(Zeroizing::new);
        let bytes = decoded.ok_or(MasterKeyError::NotAKey)?;
        Ok(Self(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| MasterKeyError::NotAKey)?)))
    }

    /// The key in this file; a new one is generated at the first call. If two processes generate
    /// one at once, one wins and both return its key.
    ///
    /// # Errors
    /// When the file cannot be read or written, is open to others, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        if let Some(key) = Self::load_if_there(path)? {
            return Ok(key);
        }
        let key = Self::generate()?;
        let failed = |error| MasterKeyError::File(path.to_owned(), error);
        match key.store(path) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(failed(error)),
        }
    }

    /// The key in this file; none if the file does not exist.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or holds no key.
    pub fn load_if_there(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        match Self::load(path) {
            Err(MasterKeyError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    fn load(path: &Path) -> Result<Self, MasterKeyError> {
        // Longer than any text form of a key.
        const LONGEST: u64 = 256;
        let failed = |error| MasterKeyError::File(path.to_owned(), error);
        let file = File::open(path).map_err(failed)?;
        if open_to_others(&file).map_err(failed)? {
            return Err(MasterKeyError::OpenToOthers(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text)
    }

    /// Writes the file completely or not at all, so that a crash cannot leave a partial key, on
    /// which every later start would fail.
    fn store(&self, path: &Path) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        // A unique name, because another process may generate the key at the same time.
        name.push(format!(".{}.new", uuid::Uuid::now_v7()));
        let new = PathBuf::from(name);
        let written = self.write(&new).and_then(|()| fs::hard_link(&new, path));
        let removed = fs::remove_file(&new);
        written?;
        removed?;
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let text = Zeroizing::new(format!("{}\n", hex::encode(*self.0)));
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// The derived key for one purpose.
    #[expect(clippy::expect_used, reason = "HKDF refuses only lengths above 255 hashes, and this is one")]
    pub(super) fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; KEY_LEN]> {
        let mut derived = Zeroizing::new([0_u8; KEY_LEN]);
        let root = Salt::new(HKDF_SHA256, b"jangbu").extract(&*self.0);
        let filled = root.expand(&[purpose.as_bytes()], Length).and_then(|key| key.fill(&mut *derived));
        filled.expect("one hash of output is within HKDF's bound");
        derived
    }
}

#[cfg(unix)]
fn open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
