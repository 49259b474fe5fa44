//! Restores a backup into an empty store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jangbu_integrations::MasterKey;
use jangbu_kernel::Position;
use jangbu_projections::ReadModels;
use jangbu_store::{PostgresStore, SqliteStore, Store};
use secrecy::ExposeSecret as _;

use super::manifest::{KEYS, LOG};
use super::{Manifest, Told, copy_file, open_copy, verified};
use crate::config::{Engine, PostgresUrl, Settings};
use crate::node::keys::{self, MASTER_KEY_FILE};
use crate::node::outside::{BOOKS, SECRETS};
use crate::{engine, folder};

/// The files that a folder with a shop has.
const A_SHOP: [&str; 5] = ["log.db", "log.db-wal", "keys.db", "views.db", "views.db-wal"];
/// Where the log of an earlier version's backup is migrated before it is restored.
const SCRATCH: &str = "log.restoring";

/// Restores a backup into the store of these settings, which has to be empty. The keys may
/// be taken from a newer backup of the same shop.
///
/// # Errors
/// When the backup is not intact, the store is not empty or cannot be written, or the master key is
/// another shop's.
pub async fn restore(
    settings: &Settings,
    backup: &Path,
    newer_keys: Option<&Path>,
    told: &mut Told<'_>,
) -> anyhow::Result<Manifest> {
    let (from, own_keys) = (backup.to_owned(), newer_keys.is_none());
    let manifest = tokio::task::spawn_blocking(move || Manifest::read(&from, own_keys)).await??;
    let keys = check_keys(&manifest, backup, newer_keys).await?;
    check_target(settings)?;
    let copy = open_copy(backup)?;
    let is_current = copy.schema_version().await? == copy.known_schema_version();
    copy.close().await;
    if let (Some(keys), true) = (&keys, is_current) {
        restore_from((backup, keys), settings, backup, &manifest, told).await?;
        return Ok(manifest);
    }
    let scratch = settings.data_file(SCRATCH);
    let restored = match bring_up(&scratch, backup, keys.as_deref()).await {
        Ok(()) => restore_from((&scratch, &scratch), settings, backup, &manifest, told).await,
        Err(error) => Err(error),
    };
    remove(&scratch)?;
    restored.map(|()| manifest)
}

/// Restores the log and the keys from two folders, which are of this version, and the other files
/// of the backup.
async fn restore_from(
    (log_folder, keys_folder): (&Path, &Path),
    settings: &Settings,
    backup: &Path,
    manifest: &Manifest,
    told: &mut Told<'_>,
) -> anyhow::Result<()> {
    let copy = open_copy(log_folder)?;
    let (log, root) = verified(&*copy, manifest.events, told)
        .await
        .with_context(|| format!("the backup in {} does not hold", backup.display()))?;
    copy.close().await;
    if (log, &root) != (manifest.log, &manifest.root) {
        bail!("the log in {} is not the one that its manifest is of", backup.display());
    }
    let copy = open_copy(keys_folder)?;
    let key_comes_along = check_key(settings, backup, manifest, &copy).await?;
    copy.close().await;
    folder::make_private(&settings.data_dir)?;
    for name in [BOOKS, SECRETS] {
        put(&backup.join(name), &settings.data_file(name))?;
    }
    let (log_file, keys_file) = (log_folder.join(LOG), keys_folder.join(KEYS));
    match &settings.engine {
        Engine::Embedded => {
            if key_comes_along {
                copy_file(&backup.join(MASTER_KEY_FILE), &settings.data_file(MASTER_KEY_FILE))?;
            }
            put_new(keys_file, settings.data_file(KEYS)).await?;
            put_new(log_file, settings.data_file(LOG)).await?;
            // From now on this log is the folder's own, whatever log it had before.
            jangbu_store::sqlite::accept_log(&settings.data_dir)?;
        }
        Engine::Postgres(url) => fill(url, (&log_file, &keys_file), manifest, told).await?,
    }
    Ok(())
}

/// The folder whose `keys.db` is restored; none if the log of an earlier version contains the keys.
async fn check_keys(manifest: &Manifest, backup: &Path, newer: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let Some(newer) = newer.map(Path::to_owned) else {
        return Ok(manifest.has_keys_apart().then(|| backup.to_owned()));
    };
    let from = newer.clone();
    let of_keys = tokio::task::spawn_blocking(move || Manifest::read(&from, true)).await??;
    if !of_keys.has_keys_apart() {
        bail!("{} has no {KEYS}: it was taken by an earlier version", newer.display());
    }
    if of_keys.log != manifest.log {
        bail!("{} is a backup of another shop", newer.display());
    }
    // Both times have the same format, so comparing them as texts gives their order.
    if of_keys.events < manifest.events || of_keys.taken_at < manifest.taken_at {
        bail!(
            "{} is older than the backup that is restored: it lacks the keys of those who came later",
            newer.display()
        );
    }
    Ok(Some(newer))
}

fn check_target(settings: &Settings) -> anyhow::Result<()> {
    let there = A_SHOP.into_iter().find(|name| settings.data_file(name).exists());
    match (&settings.engine, there) {
        (Engine::Embedded, Some(name)) => bail!(
            "{} holds a shop already ({name}): restore into an empty folder with --data-dir",
            settings.data_dir.display()
        ),
        (Engine::Embedded, None) | (Engine::Postgres(_), _) => Ok(()),
    }
}

/// Checks that the key is the one of the backup; returns whether the backup contains it.
async fn check_key(
    settings: &Settings,
    backup: &Path,
    manifest: &Manifest,
    copy: &Arc<dyn Store>,
) -> anyhow::Result<bool> {
    let here = settings.data_file(MASTER_KEY_FILE);
    let embedded = matches!(settings.engine, Engine::Embedded);
    let (key, comes_along) = match &settings.master_key {
        Some(key) => (Some(MasterKey::parse(key.expose_secret()).context("JANGBU_MASTER_KEY")?), false),
        None if embedded && here.exists() => (MasterKey::load_if_there(&here)?, false),
        None if embedded && manifest.has_key() => (MasterKey::load_if_there(&backup.join(MASTER_KEY_FILE))?, true),
        None => (None, false),
    };
    match key {
        Some(key) if keys::is_of(copy, &key).await? => Ok(comes_along),
        Some(_) => bail!("the master key is another shop's: it does not open what this backup holds"),
        None if !keys::holds_sealed(&**copy).await? => Ok(false),
        None if manifest.has_key() => bail!(
            "JANGBU_MASTER_KEY is not set, and on Postgres it has to be: this backup's key is in {}, which \
             JANGBU_MASTER_KEY_FILE can name",
            backup.join(MASTER_KEY_FILE).display()
        ),
        None => {
            bail!("the master key is not in this backup: set JANGBU_MASTER_KEY to the key that the shop began with")
        }
    }
}

/// Copies a file to its place, unless there is one already.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.exists() && !to.exists() {
        std::fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
        File::open(to)?.sync_all()?;
    }
    Ok(())
}

/// Copies a database to its place, completely or not at all, and never over an existing one.
async fn put_new(from: PathBuf, to: PathBuf) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || put_new_here(&from, &to)).await?
}

fn put_new_here(from: &Path, to: &Path) -> anyhow::Result<()> {
    let new: PathBuf = to.with_extension("db.restored");
    std::fs::copy(from, &new).with_context(|| format!("cannot write {}", new.display()))?;
    File::open(&new)?.sync_all()?;
    let linked = std::fs::hard_link(&new, to).with_context(|| format!("cannot write {}", to.display()));
    std::fs::remove_file(&new)?;
    linked?;
    if let Some(folder) = to.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Migrates the log of an earlier version's backup, with its keys or those of a newer one, to this
/// version in a scratch folder. The backup is not changed.
async fn bring_up(scratch: &Path, backup: &Path, keys: Option<&Path>) -> anyhow::Result<()> {
    remove(scratch)?;
    folder::make_private(scratch)?;
    if let Some(keys) = keys {
        put_new(keys.join(KEYS), scratch.join(KEYS)).await?;
    }
    put_new(backup.join(LOG), scratch.join(LOG)).await?;
    let store = SqliteStore::open(scratch, jangbu_store::sqlite::Options::default())?;
    let migrated = store.migrate().await;
    store.close().await;
    migrated.context("the backup cannot be brought to this version")
}

fn remove(scratch: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", scratch.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn fill(
    url: &PostgresUrl,
    (log_file, keys_file): (&Path, &Path),
    manifest: &Manifest,
    told: &mut Told<'_>,
) -> anyhow::Result<()> {
    let place = || format!("cannot restore into the database {url}");
    let connected = PostgresStore::connect(url.expose(), jangbu_store::postgres::Options::default()).await;
    let store = connected.with_context(place)?;
    if let Some(models) = ReadModels::connect_postgres_to_read(url.expose()).await.with_context(place)? {
        let known = models.queries().statuses().await.unwrap_or_default();
        models.close().await;
        if known.iter().any(|view| view.position > Position::ZERO) {
            bail!("the database {url} has read models of another log: restore into an empty database");
        }
    }
    engine::make_ready(&store, true).await?;
    let events = manifest.events;
    store.fill_from(log_file, keys_file, &mut |done, _| told("writing", done, events)).await.with_context(place)?;
    let (log, root) = verified(&store, events, told).await.with_context(place)?;
    store.close().await;
    if (log, &root) != (manifest.log, &manifest.root) {
        bail!("what was written to the database {url} is not what the backup holds");
    }
    Ok(())
}
