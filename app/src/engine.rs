//! The concrete engines behind the ports, named only here.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use jangbu_projections::{Options, ReadModels};
use jangbu_store::{PostgresStore, SqliteStore, Store, StoreError};

use crate::config::{Engine, Settings};
use crate::{folder, threads};

/// The file of the embedded log; if it is present there is a store.
const LOG_FILE: &str = "log.db";

/// Opens the store for reading, beside the process that writes it.
///
/// # Errors
/// When there is none, or it cannot be read; the text says what to do.
pub async fn open_for_reading(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    let store: Arc<dyn Store> = match &settings.engine {
        Engine::Embedded => {
            if !settings.data_file(LOG_FILE).exists() {
                return Err(no_store(settings));
            }
            let store = SqliteStore::open_read_only(&settings.data_dir, log_options());
            Arc::new(store.map_err(|error| explain(error, settings))?)
        }
        Engine::Postgres(_) => open_for_writing(settings).await?,
    };
    check_there(store, settings).await
}

/// Opens an existing store to write to it. An embedded one is locked for this process.
///
/// # Errors
/// When there is none, it cannot be used, or another process has it; the text says what to do.
/// Nothing has been created then.
pub async fn open_existing(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    if matches!(settings.engine, Engine::Embedded) {
        if !settings.data_file(LOG_FILE).exists() {
            return Err(no_store(settings));
        }
        folder::keep_private(&settings.data_dir)?;
    }
    check_there(open_for_writing(settings).await?, settings).await
}

/// Opens the store to write to it and creates it if there is none: for commands that start a shop.
/// An embedded one is locked for this process.
///
/// # Errors
/// When it cannot be used, or another process has it; the text says what to do.
pub async fn open_for_writing(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    match &settings.engine {
        Engine::Embedded => {
            folder::make_private(&settings.data_dir)?;
            let store = SqliteStore::open(&settings.data_dir, log_options());
            Ok(Arc::new(store.map_err(|error| explain(error, settings))?))
        }
        Engine::Postgres(url) => {
            let store = PostgresStore::connect(url.expose(), jangbu_store::postgres::Options::default()).await;
            Ok(Arc::new(store.map_err(|error| explain(error, settings))?))
        }
    }
}

/// A file or a database without tables is not a store: a command that took it for one would start a
/// shop in the wrong place.
async fn check_there(store: Arc<dyn Store>, settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    if store.schema_version().await? > 0 {
        return Ok(store);
    }
    store.close().await;
    Err(no_store(settings))
}

fn no_store(settings: &Settings) -> anyhow::Error {
    match &settings.engine {
        Engine::Embedded => anyhow!(
            "there is no store in {}: start one with `jangbu serve`, or name its folder with --data-dir",
            settings.data_dir.display()
        ),
        Engine::Postgres(url) => anyhow!(
            "there is no store in the database {url}: start one with `jangbu serve`, or name its database with \
             JANGBU_DATABASE_URL"
        ),
    }
}

/// Opens the read models in the process that has the log open to write. Unreadable ones are
/// deleted, because they can be rebuilt from the log.
///
/// # Errors
/// When they cannot be used.
pub async fn own_read_models(settings: &Settings) -> anyhow::Result<ReadModels> {
    match &settings.engine {
        Engine::Embedded => {
            ReadModels::own_sqlite(&settings.data_dir, Options { connections: threads::view_readers() })
                .await
                .with_context(|| format!("cannot use the read models in {}", settings.data_dir.display()))
        }
        Engine::Postgres(url) => ReadModels::connect_postgres(url.expose(), Options::default())
            .await
            .with_context(|| format!("cannot use the read models in {url}")),
    }
}

/// Opens the read models for reading; nothing is created or written. None if there are none.
///
/// # Errors
/// When they cannot be opened.
pub async fn read_models_to_read(settings: &Settings) -> anyhow::Result<Option<ReadModels>> {
    match &settings.engine {
        Engine::Embedded => ReadModels::open_sqlite_to_read(&settings.data_dir)
            .with_context(|| format!("cannot read the read models in {}", settings.data_dir.display())),
        Engine::Postgres(url) => ReadModels::connect_postgres_to_read(url.expose())
            .await
            .with_context(|| format!("cannot read the read models in {url}")),
    }
}

/// Migrates the tables to this version, or checks that they have it.
///
/// # Errors
/// When the store is newer, or older and may not be migrated.
pub async fn make_ready(store: &dyn Store, may_migrate: bool) -> anyhow::Result<()> {
    if may_migrate {
        return store.migrate().await.context("the store cannot be brought to this version");
    }
    let (found, known) = (store.schema_version().await?, store.known_schema_version());
    if found != known {
        bail!("the store has schema version {found}, this program needs {known}: run `jangbu migrate` first");
    }
    Ok(())
}

fn log_options() -> jangbu_store::sqlite::Options {
    jangbu_store::sqlite::Options { readers: threads::log_readers(), ..jangbu_store::sqlite::Options::default() }
}

/// What went wrong, where, and what to do, in one line.
fn explain(error: StoreError, settings: &Settings) -> anyhow::Error {
    match (&error, &settings.engine) {
        (StoreError::Locked { folder }, _) => anyhow!(
            "{} is in use by another process: stop that server first, or choose another folder with --data-dir",
            folder.display()
        ),
        (StoreError::Folder { .. }, _) => {
            anyhow::Error::new(error).context("choose a folder that can be written with --data-dir")
        }
        (_, Engine::Postgres(url)) => {
            let place = format!("cannot use the database {url} (check JANGBU_DATABASE_URL and that the server runs)");
            anyhow::Error::new(error).context(place)
        }
        (_, Engine::Embedded) => {
            let place = format!("cannot use the store in {}", settings.data_dir.display());
            anyhow::Error::new(error).context(place)
        }
    }
}
