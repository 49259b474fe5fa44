//! The file by which a running server is found.
//!
//! A server holds a lock on its file for as long as it lives. So the file of a killed server is
//! recognised at once, even if another process has its port or process id by now, and so is a copy
//! of the folder: the copied file is never locked, so no command run on the copy acts on the
//! original.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Its name in the data folder.
const NAME: &str = "server.json";

/// The secret that an operator's command sends to the server.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A new one: 244 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()).into())
    }

    /// The value of the header.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0.expose_secret())
    }

    /// Whether a header has this value; a wrong one takes as long as the right one.
    #[must_use]
    pub fn matches(&self, header: &str) -> bool {
        let wanted = self.bearer();
        let differing = wanted.bytes().zip(header.bytes()).fold(0, |sum, (wanted, given)| sum | (wanted ^ given));
        wanted.len() == header.len() && differing == 0
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    /// The folder of the server.
    #[serde(default)]
    folder: PathBuf,
    /// Device and inode number of that folder, which a copy does not have.
    #[serde(default)]
    folder_id: Option<(u64, u64)>,
    address: SocketAddr,
    operator_address: SocketAddr,
    token: String,
    pid: u32,
    #[serde(default)]
    sandbox: Option<String>,
}

/// A server that runs on the folder.
#[derive(Clone)]
pub struct ServerFile {
    /// Its address as seen from this machine.
    pub address: SocketAddr,
    /// Its port for operators, which only this machine reaches.
    pub operator_address: SocketAddr,
    /// The secret that it expects.
    pub token: Token,
    /// Its process id.
    pub pid: u32,
    /// Base address of its sandbox, when it has one.
    pub sandbox: Option<String>,
}

impl ServerFile {
    /// The server that runs on this very folder, if there is one. A file that cannot be
    /// understood, that a dead server left, or that came here with a copy is as good as none.
    ///
    /// # Errors
    /// When the file is there and cannot be read, for example because it is another user's.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let Some((file, content)) = open(folder)? else { return Ok(None) };
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            // Some network file systems have no locks; then the folder's name and the server's answer
            // have to suffice.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "whether the server lives cannot be told by its lock")
            }
        }
        // A folder of links to the original's files has the original's lock, but is another folder.
        if !content.is_of(folder) {
            return Ok(None);
        }
        let Content { address, operator_address, token, pid, sandbox, .. } = content;
        Ok(Some(Self { address, operator_address, token: Token(token.into()), pid, sandbox }))
    }
}

impl Content {
    /// A folder that was moved keeps its inode number, and on some file systems the numbers change
    /// while the names stay.
    fn is_of(&self, folder: &Path) -> bool {
        let same_name = folder.canonicalize().is_ok_and(|folder| folder == self.folder);
        same_name || (self.folder_id.is_some() && self.folder_id == folder_id(folder))
    }
}

#[cfg(unix)]
fn folder_id(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn folder_id(_: &Path) -> Option<(u64, u64)> {
    None
}

fn open(folder: &Path) -> io::Result<Option<(File, Content)>> {
    let mut file = match File::open(folder.join(NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).ok().map(|content| (file, content)))
}

/// The file of this process; it goes away with this value.
pub(crate) struct Published {
    path: PathBuf,
    token: Token,
    /// Locked as long as the server lives.
    _file: File,
}

impl Published {
    /// Writes the file in place of whatever a dead server left.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn write(
        folder: &Path,
        bound: SocketAddr,
        operator: SocketAddr,
        sandbox: Option<&str>,
        token: Token,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(NAME);
        let new = folder.join(format!("{NAME}.{}.new", std::process::id()));
        let content = Content {
            folder: folder.canonicalize()?,
            folder_id: folder_id(folder),
            address: reachable(bound),
            operator_address: operator,
            token: token.0.expose_secret().to_owned(),
            pid: std::process::id(),
            sandbox: sandbox.map(str::to_owned),
        };
        // What an earlier crash left behind under the same process id has an owner's mode already.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(serde_json::to_string(&content)?.as_bytes())?;
        match file.try_lock() {
            Ok(()) => {}
            // Not possible, because the file has just been created.
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the data folder's file system knows no locks: a dead server is only known by its silence");
            }
        }
        fs::rename(&new, &path)?;
        Ok(Self { path, token, _file: file })
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // Another server may have written its own by now: only ours is removed.
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let there = open(folder).ok().flatten();
        let ours = there.is_some_and(|(_, content)| content.token == self.token.0.expose_secret());
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the server file could not be removed");
        }
    }
}

/// An address that is listened on everywhere is reached at this machine.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => bound.ip(),
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        "127.0.0.1:1".parse().unwrap()
    }

    #[test]
    fn the_file_is_its_owners_and_goes_away_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ServerFile::read(folder.path()).unwrap().is_none());
        let token = Token::random();
        let published = Published::write(
            folder.path(),
            "0.0.0.0:8080".parse().unwrap(),
            address(),
            Some("http://127.0.0.1:9"),
            token.clone(),
        )
        .unwrap();
        let read = ServerFile::read(folder.path()).unwrap().unwrap();
        assert_eq!(read.address.to_string(), "127.0.0.1:8080");
        assert_eq!(read.sandbox.as_deref(), Some("http://127.0.0.1:9"));
        assert!(read.token.matches(&token.bearer()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(published);
        assert!(ServerFile::read(folder.path()).unwrap().is_none());
    }

    #[test]
    fn what_a_dead_server_left_is_replaced_and_what_a_later_one_wrote_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Published::write(folder.path(), address(), address(), None, Token::random()).unwrap();
        let later = Token::random();
        let alive = Published::write(folder.path(), address(), address(), None, later.clone()).unwrap();
        drop(dead);
        assert!(ServerFile::read(folder.path()).unwrap().unwrap().token.matches(&later.bearer()));
        drop(alive);
    }

    #[test]
    fn what_a_killed_server_left_and_what_was_copied_or_linked_is_not_believed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (original, copy, linked) = (folder("original"), folder("copy"), folder("linked"));
        let published = Published::write(&original, address(), address(), None, Token::random()).unwrap();
        fs::copy(original.join(NAME), copy.join(NAME)).unwrap();
        fs::hard_link(original.join(NAME), linked.join(NAME)).unwrap();
        assert!(ServerFile::read(&original).unwrap().is_some());
        assert!(ServerFile::read(&copy).unwrap().is_none());
        assert!(ServerFile::read(&linked).unwrap().is_none());
        // Moved while it runs, it is the same folder.
        let moved = parent.path().join("moved");
        fs::rename(&original, &moved).unwrap();
        assert!(ServerFile::read(&moved).unwrap().is_some());
        // A killed process lets go of its lock and leaves the file.
        let left = fs::read(moved.join(NAME)).unwrap();
        drop(published);
        fs::write(moved.join(NAME), left).unwrap();
        assert!(ServerFile::read(&moved).unwrap().is_none());
    }

    #[test]
    fn half_a_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "{\"address\":\"127.0").unwrap();
        assert!(ServerFile::read(folder.path()).unwrap().is_none());
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token::random();
        assert!(token.matches(&token.bearer()));
        assert!(!token.matches(&Token::random().bearer()));
        assert!(!token.matches("Bearer "));
        assert!(!token.matches(&format!("{}x", token.bearer())));
    }
}
