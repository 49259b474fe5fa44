//! `jangbu health`: is the server ready? For containers, which have no curl.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::Done;
use crate::config::Settings;
use crate::operator::ServerFile;
use crate::output::Output;

/// Longer than the check of any dependency may take.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  jangbu health\n  jangbu health --url http://127.0.0.1:8080")]
pub(super) struct Arguments {
    /// Base address of the server [default: that of the server on this data folder]
    #[arg(long, value_name = "URL", env = "JANGBU_URL")]
    url: Option<String>,
}

#[derive(Serialize)]
struct Health {
    url: String,
    ready: bool,
    detail: String,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    // Never a default address: it could be another shop's server.
    let Some(url) = arguments.url.or(on_this_folder(settings)?) else {
        bail!(
            "no server runs on the data folder {}: name the folder with --data-dir, or the server with --url",
            settings.data_dir.display()
        );
    };
    let health = ask(url.trim_end_matches('/')).await?;
    let printed = output.fields(
        &health,
        &[("server", health.url.clone()), ("ready", health.ready.to_string()), ("detail", health.detail.clone())],
    );
    output.conclude(if health.ready { Done::Yes } else { Done::CheckFailed }, printed.map_err(Into::into))
}

fn on_this_folder(settings: &Settings) -> anyhow::Result<Option<String>> {
    Ok(ServerFile::read(&settings.data_dir)?.map(|file| format!("http://{}", file.address)))
}

async fn ask(url: &str) -> anyhow::Result<Health> {
    let client = crate::http::client(url, PATIENCE)?;
    let (ready, detail) = match client.get(format!("{url}/readyz")).send().await {
        Ok(response) => (response.status().is_success(), response.text().await.unwrap_or_default()),
        Err(error) => (false, if error.is_timeout() { "no answer in time" } else { "cannot be reached" }.to_owned()),
    };
    Ok(Health { url: url.to_owned(), ready, detail })
}
