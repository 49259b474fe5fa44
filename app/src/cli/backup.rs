//! `jangbu backup` and `jangbu restore`.

use std::path::PathBuf;

use clap::Args;

use super::Done;
use crate::backup::{self, Manifest};
use crate::config::Settings;
use crate::output::{Output, Progress};

#[derive(Debug, Args)]
#[command(after_help = "\
Works beside a running server and without one, and on both engines gives the same: log.db
with everything that was acknowledged before the command began, the receipts and the inbox;
keys.db with the wrapped keys; and the sandbox's books when they are in the data folder. Read models are
not in it, they are built from the log. The copy is read back and verified; a backup that
has no manifest.json was not finished.

The master key of an embedded store is in its data folder and so in the backup: whoever has
the backup can read personal data. --without-key leaves it out; keep it elsewhere then. A
key that is configured (JANGBU_MASTER_KEY) is never written anywhere.

A person's key that is destroyed later is still in this backup's keys.db. Delete keys.db from
older backups when a newer one holds: `jangbu restore --keys` takes the newer ones.

Examples:
  jangbu backup /backups/2026-11-29
  jangbu backup --without-key /backups/2026-11-29")]
pub(super) struct BackupArguments {
    /// Folder to make; it must not be there, or be empty
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Leave the embedded store's master key out
    #[arg(long)]
    without_key: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Restores into the data folder, or into the database of JANGBU_DATABASE_URL, whichever engine
the backup was taken on. Either has to be empty: nothing is ever written over. The backup is
verified first, and the master key has to be the one that it was made under.

--keys takes the persons' keys from a newer backup of the same shop, so that people whose keys
were destroyed since then stay forgotten. The log comes from the backup that is restored.

Examples:
  jangbu restore /backups/2026-11-29 --data-dir ./restored
  jangbu restore /backups/2026-11-01 --keys /backups/2026-11-29 --data-dir ./restored
  JANGBU_DATABASE_URL=postgres://shop@localhost/empty jangbu restore /backups/2026-11-29")]
pub(super) struct RestoreArguments {
    /// Folder that `jangbu backup` made
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Newer backup to take the keys from
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
}

pub(super) async fn back_up(arguments: BackupArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let mut progress = Progress::new("backing up", 0);
    let told = &mut |stage: &str, done, total| progress.stage(stage, done, total);
    let manifest = backup::back_up(settings, &arguments.folder, !arguments.without_key, told).await?;
    progress.end();
    print(&manifest, output)?;
    Ok(Done::Yes)
}

pub(super) async fn restore(arguments: RestoreArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let mut progress = Progress::new("restoring", 0);
    let told = &mut |stage: &str, done, total| progress.stage(stage, done, total);
    let manifest = backup::restore(settings, &arguments.folder, arguments.keys.as_deref(), told).await?;
    progress.end();
    print(&manifest, output)?;
    if !output.is_json() {
        output.text("verified; start the shop with `jangbu serve`, which builds the read models")?;
    }
    Ok(Done::Yes)
}

fn print(manifest: &Manifest, output: &Output) -> anyhow::Result<()> {
    let key = if manifest.has_key() {
        "in the backup: keep it as safe as the data"
    } else {
        "not in the backup: keep it elsewhere"
    };
    let files: Vec<_> = manifest.files.iter().map(|file| format!("{} ({} bytes)", file.name, file.bytes)).collect();
    output.fields(
        manifest,
        &[
            ("taken", manifest.taken_at.clone()),
            ("log", manifest.log.to_string()),
            ("events", manifest.events.to_string()),
            ("root", manifest.root.clone()),
            ("master key", key.to_owned()),
            ("files", files.join(", ")),
        ],
    )?;
    Ok(())
}
