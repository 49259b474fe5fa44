//! `jangbu migrate`: migrates the store to this version.

use clap::Args;
use serde::Serialize;

use super::Done;
use crate::config::Settings;
use crate::engine;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "\
`jangbu serve` does this itself unless it is started with --no-migrate. A store that
is newer than this program is refused. Safe to run twice, and by several nodes at once.")]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Migrated {
    engine: &'static str,
    from: u32,
    to: u32,
}

pub(super) async fn run(_: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let store = engine::open_for_writing(settings).await?;
    let from = store.schema_version().await?;
    engine::make_ready(&*store, true).await?;
    let migrated = Migrated { engine: store.engine(), from, to: store.schema_version().await? };
    store.close().await;
    if output.is_json() {
        output.object(&migrated)?;
    } else if migrated.from == migrated.to {
        output.text(&format!("the {} store is at version {} already", migrated.engine, migrated.to))?;
    } else {
        output
            .text(&format!("the {} store went from version {} to {}", migrated.engine, migrated.from, migrated.to))?;
    }
    Ok(Done::Yes)
}
