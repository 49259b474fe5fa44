//! What the figures are compared with, measured on this machine in this run: how fast the same HTTP
//! stack echoes the same body, how long the disk takes, how fast rows can be inserted, how fast
//! events can be read.

mod disk;
pub mod echo;
mod inserts;
mod parse;

use std::path::Path;
use std::time::Duration;

pub use self::echo::Echo;
pub use self::parse::read_and_parse;

/// How long each yardstick of the disk is measured in a round.
const DISK_TIME: Duration = Duration::from_secs(2);

/// The median of appending 4 KiB to a file of the folder and flushing it, in microseconds.
///
/// # Errors
/// When the folder cannot be written.
pub async fn fdatasync_p50_us(folder: &Path) -> anyhow::Result<u64> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || disk::fdatasync_p50_us(&folder, DISK_TIME)).await?
}

/// Rows like those of the log that the embedded engine's library inserts a second, in durable
/// batches and without anything else.
///
/// # Errors
/// When the folder cannot be written.
pub async fn embedded_inserts_per_second(folder: &Path) -> anyhow::Result<u64> {
    Ok(embedded(folder, inserts::FULL).await?.rows_per_second())
}

/// The same on Postgres.
///
/// # Errors
/// When the database refuses.
pub async fn postgres_inserts_per_second(url: &str) -> anyhow::Result<u64> {
    Ok(inserts::postgres(url, inserts::FULL, DISK_TIME).await?.rows_per_second())
}

/// The p99 of durable commits of the embedded engine's library, in microseconds, with as many rows
/// each as at a load that can be sustained.
///
/// # Errors
/// When the folder cannot be written.
pub async fn embedded_commit_p99_us(folder: &Path) -> anyhow::Result<u64> {
    Ok(embedded(folder, inserts::SUSTAINED).await?.commit_p99_us())
}

/// The same on Postgres.
///
/// # Errors
/// When the database refuses.
pub async fn postgres_commit_p99_us(url: &str) -> anyhow::Result<u64> {
    Ok(inserts::postgres(url, inserts::SUSTAINED, DISK_TIME).await?.commit_p99_us())
}

async fn embedded(folder: &Path, batch: u32) -> anyhow::Result<inserts::Inserted> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || inserts::embedded(&folder, batch, DISK_TIME)).await?
}
