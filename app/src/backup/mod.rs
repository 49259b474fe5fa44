//! Backup and restore.
//!
//! A backup is a folder: the log and the keys as an embedded store's `log.db` and `keys.db`,
//! whichever engine they came from, the sandbox's books and the embedded master key when they
//! are in the data folder, and a manifest with their hashes, written last. The content is read back
//! and verified before the manifest is written, and again before it is restored.
//!
//! Old backups of the log are worth keeping; old backups of the keys are not, because they contain
//! keys that were destroyed since. So the keys are a file of their own, which may be deleted from a
//! backup, and a restore can take them from a newer one.

mod manifest;
mod restore;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jangbu_integrations::{MasterKey, SystemClock};
use jangbu_kernel::Position;
use jangbu_kernel::ports::Clock as _;
use jangbu_kernel::time;
use jangbu_store::{SqliteStore, Store, verify_log};
use rusqlite::{Connection, OpenFlags};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::config::{Engine, Settings};
use crate::node::keys::{self, MASTER_KEY_FILE};
use crate::node::outside::{BOOKS, SECRETS};
use crate::{engine, folder};
pub use manifest::Manifest;
pub use restore::restore;

/// Receives the progress: the stage, how much is done, and the total.
pub type Told<'a> = dyn FnMut(&str, u64, u64) + Send + 'a;

/// Takes a backup into a folder that is empty or does not exist yet.
///
/// # Errors
/// When the store cannot be read, the folder cannot be written, or the copy is not intact.
pub async fn back_up(
    settings: &Settings,
    target: &Path,
    with_key: bool,
    told: &mut Told<'_>,
) -> anyhow::Result<Manifest> {
    let store = engine::open_for_reading(settings).await?;
    engine::make_ready(&*store, false).await?;
    if std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: name a folder that is not there yet", target.display());
    }
    folder::make_private(target)?;
    let head = store.copy_to(target, &mut |done, total| told("copying", done, total)).await?;
    let (engine, version) = (store.engine(), store.known_schema_version());
    store.close().await;
    // After the log, so that the gateway's books have every charge that the log has.
    copy_outside(settings, target).await?;
    let copy = open_copy(target)?;
    let (log, root) = verified(&*copy, head.get(), told)
        .await
        .with_context(|| format!("the backup in {} does not hold, and no manifest was written", target.display()))?;
    check_key(settings, &copy).await?;
    copy.close().await;
    if with_key && settings.master_key.is_none() && matches!(settings.engine, Engine::Embedded) {
        copy_file(&settings.data_file(MASTER_KEY_FILE), &target.join(MASTER_KEY_FILE))?;
    }
    let manifest = Manifest::new(engine, version, log, head.get(), root, time::rfc3339(SystemClock.now()));
    let target = target.to_owned();
    tokio::task::spawn_blocking(move || manifest.finish(&target)).await?
}

/// The log of a backup.
fn open_copy(folder: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let opened = SqliteStore::open_read_only(folder, jangbu_store::sqlite::Options::default());
    Ok(Arc::new(opened.with_context(|| format!("cannot read the log in {}", folder.display()))?))
}

/// Reads a log to its end; returns its identity and the root over it.
async fn verified(log: &dyn Store, events: u64, told: &mut Told<'_>) -> anyhow::Result<(Uuid, String)> {
    let verification = verify_log(log, |done| told("verifying", done, events)).await?;
    if let Some(flaw) = verification.flaw() {
        bail!("{flaw}");
    }
    if !verification.complete || verification.events != events {
        bail!("it has {} events instead of {events}", verification.events);
    }
    let first = log.rows(Position::ZERO, 1).await?.first().map_or(Uuid::nil(), |row| row.event_id);
    Ok((first, manifest::hex(&verification.root)))
}

/// Warns if the master key does not open what the backup contains, while there is still time to
/// find the right one. The backup itself does not need the key.
async fn check_key(settings: &Settings, copy: &Arc<dyn Store>) -> anyhow::Result<()> {
    let key = match &settings.master_key {
        Some(key) => Some(MasterKey::parse(key.expose_secret()).context("JANGBU_MASTER_KEY")?),
        None => MasterKey::load_if_there(&settings.data_file(MASTER_KEY_FILE))?,
    };
    match key {
        Some(key) if keys::is_of(copy, &key).await? => {}
        Some(_) => bail!("the master key here is another store's: a backup beside it could not be restored"),
        None if keys::holds_sealed(&**copy).await? => {
            tracing::warn!("the master key is not at hand here: a restore needs it");
        }
        None => {}
    }
    Ok(())
}

/// Copies the sandbox's files from the data folder.
async fn copy_outside(settings: &Settings, target: &Path) -> anyhow::Result<()> {
    let (books, secrets) = (settings.data_file(BOOKS), settings.data_file(SECRETS));
    let (to_books, to_secrets) = (target.join(BOOKS), target.join(SECRETS));
    tokio::task::spawn_blocking(move || {
        copy_file(&secrets, &to_secrets)?;
        if !books.exists() {
            return Ok(());
        }
        let failed = || format!("cannot copy {}", books.display());
        let source = Connection::open_with_flags(&books, OpenFlags::SQLITE_OPEN_READ_ONLY).with_context(failed)?;
        source.busy_timeout(std::time::Duration::from_secs(5)).with_context(failed)?;
        source.execute("vacuum into ?1", [to_books.to_string_lossy()]).with_context(failed)?;
        Ok(())
    })
    .await?
}

/// Copies a small file if it exists; only the owner may read the copy.
fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = match std::fs::read(from) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", from.display())),
    };
    write_new(to, &bytes).with_context(|| format!("cannot write {}", to.display()))
}

fn write_new(to: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(to)?;
    file.write_all(bytes)?;
    file.sync_all()
}
