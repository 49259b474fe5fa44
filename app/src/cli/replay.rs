//! `jangbu replay`: rebuilds read models from the log.

use anyhow::bail;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Done;
use crate::config::Settings;
use crate::operator::{RebuildEvent, RebuildRequest, RebuiltLine, rebuild_anywhere};
use crate::output::{Output, Progress};

#[derive(Debug, Args)]
#[command(after_help = "\
Builds each read model beside the live one, compares the two, and puts the new one in
place in one transaction. A running server goes on serving meanwhile. Ctrl-C leaves the
live read models as they are. Exit code 1 when the comparison found differences.

Examples:
  jangbu replay                          all of them
  jangbu replay orders payments
  jangbu replay --verify-only            compare, change nothing
  jangbu replay --from-scratch orders    what is there is lost or damaged: do not compare with it")]
pub(super) struct Arguments {
    /// Which read models; all of them when none is named
    #[arg(value_name = "PROJECTION", value_parser = PossibleValuesParser::new(jangbu_projections::names()))]
    projections: Vec<String>,
    /// Tell what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Build and compare, and leave the live read models alone
    #[arg(long, conflicts_with = "dry_run")]
    verify_only: bool,
    /// Do not compare with the live read models before the swap
    #[arg(long, conflicts_with_all = ["dry_run", "verify_only"])]
    from_scratch: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let request = RebuildRequest {
        names: arguments.projections,
        dry_run: arguments.dry_run,
        verify_only: arguments.verify_only,
        from_scratch: arguments.from_scratch,
    };
    let mut progress = Progress::new("replaying", 0);
    let mut result = None;
    let work = rebuild_anywhere(settings, &request, |event| {
        match event {
            RebuildEvent::Progress { stage, position, head, .. } => progress.stage(&stage, position.get(), head.get()),
            RebuildEvent::Done { views, position, events, took_ms } => {
                result = Some((views, position, events, took_ms))
            }
            RebuildEvent::Failed { reason } => bail!("{reason}"),
        }
        Ok(())
    });
    tokio::select! {
        done = work => done?,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bail!("interrupted; the live read models are as they were");
        }
    }
    progress.end();
    let Some((views, position, events, took_ms)) = result else { bail!("the replay broke off") };
    let differ = views.iter().any(|view| view.differences.is_some_and(|differences| differences > 0));
    let printed = print(&views, output).and_then(|()| {
        let rate = crate::output::per_second(events, std::time::Duration::from_millis(took_ms));
        let summary = format!("{events} events up to position {position} in {took_ms} ms, {rate} events/s");
        if output.is_json() { Ok(()) } else { output.text(&summary) }
    });
    output.conclude(if differ { Done::CheckFailed } else { Done::Yes }, printed.map_err(Into::into))
}

fn print(views: &[RebuiltLine], output: &Output) -> std::io::Result<()> {
    let columns = ["projection", "rows", "parked streams", "differences", "first differences", "swapped"];
    output.list(views, &columns, |view| {
        vec![
            view.projection.clone(),
            view.rows.to_string(),
            view.parked_streams.to_string(),
            view.differences.map_or_else(|| "not compared".to_owned(), |differences| differences.to_string()),
            view.examples.join(", "),
            if view.swapped { "yes" } else { "no" }.to_owned(),
        ]
    })
}
