//! `jangbu sandbox`: only the simulated external systems, in a process of its own.

use std::io::Write as _;

use clap::Args;

use super::Done;
use crate::config::{Flags, Settings};
use crate::node::outside;
use crate::observe;
use crate::signals::StopSignals;

#[derive(Debug, Args)]
#[command(after_help = "\
Runs the payment gateway, the carrier and the mail server alone, so that they outlive the
shop. Servers that are to use it are told so, and share its two secrets:

  export JANGBU_SANDBOX_API_KEY=... JANGBU_SANDBOX_WEBHOOK_SECRET=...   (base64)
  jangbu sandbox --listen 127.0.0.1:9090 --smtp-listen 127.0.0.1:2525 --shop http://127.0.0.1:8080
  JANGBU_SANDBOX_URL=http://127.0.0.1:9090 JANGBU_SMTP_URL=smtp://127.0.0.1:2525 \\
    JANGBU_MAIL_FROM=no-reply@localhost jangbu serve

On one machine the secrets may be left out: they are kept in the data folder.")]
pub(super) struct Arguments {
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of the mail server; port 0 picks one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    smtp_listen: Option<String>,
    /// Base address of the shop, where webhooks go
    #[arg(long, value_name = "URL")]
    shop: String,
}

pub(super) async fn run(arguments: Arguments, mut flags: Flags) -> anyhow::Result<Done> {
    flags.sandbox_listen = arguments.listen;
    flags.sandbox_smtp_listen = arguments.smtp_listen;
    let settings = Settings::load(flags)?;
    observe::for_a_server(&settings)?;
    let running = outside::run_sandbox(&settings, Some(&arguments.shop)).await?;
    let mut signals = StopSignals::listen()?;
    // The output may have no reader.
    let _ = writeln!(std::io::stdout(), "mails are caught at {}", running.smtp_url());
    let _ = writeln!(std::io::stdout(), "sandbox listening on {}", running.base_url());
    signals.next().await?;
    running.stop().await;
    Ok(Done::Yes)
}
