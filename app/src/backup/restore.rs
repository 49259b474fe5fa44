//! A backup, put into an empty store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jangbu_integrations::MasterKey;
use jangbu_projections::ReadModels;
use jangbu_store::{PostgresStore, Store};
use secrecy::ExposeSecret as _;

use super::{LOG, Manifest, Told, copy_file, open_copy, verified};
use crate::config::{Engine, PostgresUrl, Settings};
use crate::node::keys::{self, MASTER_KEY_FILE};
use crate::node::outside::{BOOKS, SECRETS};
use crate::{engine, folder};

/// What a folder with a shop in it has.
const A_SHOP: [&str; 4] = ["log.db", "log.db-wal", "views.db", "views.db-wal"];

/// Restores a backup into the store of these settings, which has to be empty.
///
/// # Errors
/// When the backup does not hold, the store is not empty or cannot be written, or the
/// master key is another shop's.
pub async fn restore(settings: &Settings, backup: &Path, told: &mut Told<'_>) -> anyhow::Result<Manifest> {
    let from = backup.to_owned();
    let manifest = tokio::task::spawn_blocking(move || Manifest::read(&from)).await??;
    check_target(settings)?;
    let copy = open_copy(backup)?;
    let (log, root) = verified(&*copy, manifest.events, told)
        .await
        .with_context(|| format!("the backup in {} does not hold", backup.display()))?;
    if (log, &root) != (manifest.log, &manifest.root) {
        bail!("the log in {} is not the one that its manifest is of", backup.display());
    }
    let key_comes_along = check_key(settings, backup, &manifest, &copy).await?;
    copy.close().await;
    folder::make_private(&settings.data_dir)?;
    for name in [BOOKS, SECRETS] {
        put(&backup.join(name), &settings.data_file(name))?;
    }
    match &settings.engine {
        Engine::Embedded => {
            if key_comes_along {
                copy_file(&backup.join(MASTER_KEY_FILE), &settings.data_file(MASTER_KEY_FILE))?;
            }
            let (from, to) = (backup.join(LOG), settings.data_file(LOG));
            tokio::task::spawn_blocking(move || put_log(&from, &to)).await??;
            // Whatever log this folder knew before, this is the one that counts.
            jangbu_store::sqlite::accept_log(&settings.data_dir)?;
        }
        Engine::Postgres(url) => fill(url, backup, &manifest, told).await?,
    }
    Ok(manifest)
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

/// The key has to be the one that the backup was made under. Whether it comes with it.
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

/// Puts a file into its place, unless one is there.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.exists() && !to.exists() {
        std::fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
        File::open(to)?.sync_all()?;
    }
    Ok(())
}

/// Puts the log into its place, whole or not at all, and over nothing.
fn put_log(from: &Path, to: &Path) -> anyhow::Result<()> {
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

async fn fill(url: &PostgresUrl, backup: &Path, manifest: &Manifest, told: &mut Told<'_>) -> anyhow::Result<()> {
    let place = || format!("cannot restore into the database {url}");
    let connected = PostgresStore::connect(url.expose(), jangbu_store::postgres::Options::default()).await;
    let store = connected.with_context(place)?;
    if let Some(models) = ReadModels::connect_postgres_to_read(url.expose()).await.with_context(place)? {
        let known = models.queries().statuses().await.unwrap_or_default();
        models.close().await;
        if known.iter().any(|view| view.position > 0) {
            bail!("the database {url} has read models of another log: restore into an empty database");
        }
    }
    engine::make_ready(&store, true).await?;
    let events = manifest.events;
    store.fill_from(&backup.join(LOG), &mut |done, _| told("writing", done, events)).await.with_context(place)?;
    let (log, root) = verified(&store, events, told).await.with_context(place)?;
    store.close().await;
    if (log, &root) != (manifest.log, &manifest.root) {
        bail!("what was written to the database {url} is not what the backup holds");
    }
    Ok(())
}
