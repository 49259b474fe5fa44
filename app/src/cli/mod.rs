//! The command line: its commands, and where each is implemented.
//!
//! One file a command. A new command is a file here, a variant of [`Command`] and
//! its arm in [`run`].

mod audit;
mod backup;
mod demo;
mod events;
mod health;
mod import;
mod migrate;
mod named;
mod projections;
mod replay;
mod sagas;
mod sandbox;
mod schemas;
mod serve;
mod users;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{Flags, Settings};
use crate::output::Output;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is done, and all checks passed.
    Yes,
    /// It ran, but a check failed.
    CheckFailed,
}

/// jangbu (장부, the shop's ledger book): takes a shop's orders through payment to
/// the customer's door, and can prove every step afterwards.
#[derive(Debug, Parser)]
#[command(name = "jangbu", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// Machine-readable output: one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
First steps:
  jangbu serve                          the whole shop on http://127.0.0.1:8080, data in ./data
  jangbu demo                           fill it with products, buyers and orders
  jangbu events tail                    watch what happens
  jangbu audit verify                   prove that nothing was lost or altered

Exit codes: 0 done, 1 failed or a check did not hold, 2 wrong usage.
Configuration: flag, then environment (JANGBU_...), then jangbu.toml, then default.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: API, projectors, process manager and timers
    Serve(serve::Arguments),
    /// Fill a running server with a believable shop: products, buyers, orders in every state
    Demo(crate::demo::DemoArgs),
    /// Run only the simulated outside world: payment gateway and carrier
    Sandbox(sandbox::Arguments),
    /// Bring the store to this version
    Migrate(migrate::Arguments),
    /// Rebuild read models from the log while the server serves
    Replay(replay::Arguments),
    /// Show the read models: name, version, position, lag, state
    Projections(projections::Arguments),
    /// Read the log
    Events(events::Arguments),
    /// Show who did what and why, or verify the whole log
    Audit(audit::Arguments),
    /// Look at the process manager's instances
    Sagas(sagas::Arguments),
    /// Make users and give or take roles
    Users(users::Arguments),
    /// Carry out a file of products or stock, row by row
    Import(import::ImportArguments),
    /// Write products, stock or orders into a file
    Export(import::ExportArguments),
    /// Copy everything durable into a folder while the server serves, and verify the copy
    Backup(backup::BackupArguments),
    /// Fill an empty store, on either engine, from a backup
    Restore(backup::RestoreArguments),
    /// Check or write out the schemas of all events
    Schemas(schemas::Arguments),
    /// Print the OpenAPI 3.1 document
    Openapi,
    /// Ask a running server whether it is ready
    Health(health::Arguments),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  jangbu completions bash > ~/.local/share/bash-completion/completions/jangbu")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Parses the command line of this process and runs it.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| with_its_new_name(error).exit());
    match run(cli) {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::CheckFailed) => ExitCode::from(1),
        Err(error) => {
            // The chain in one line: what failed, and why.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Commands that have become programs of their own.
const MOVED: [(&str, &str); 2] = [("bench", "jangbu-bench"), ("simulate", "jangbu-simulate")];

/// Names the program that a former command has become.
fn with_its_new_name(mut error: clap::Error) -> clap::Error {
    let unknown = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
    if let Some((_, program)) = MOVED.iter().find(|(name, _)| unknown.as_deref() == Some(*name)) {
        let hint = format!("it is a program of its own, `{program}`").into();
        // A suggestion of a similar word would be wrong here.
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
    }
    error
}

fn run(cli: Cli) -> anyhow::Result<Done> {
    let Cli { flags, json, command } = cli;
    let output = Output::new(json);
    match crate::threads::run(dispatch(command, flags, &output)) {
        // The reader closed the output early, as `head` does.
        Err(error) if output.is_broken_pipe(&error) => Ok(Done::Yes),
        done => done,
    }
}

async fn dispatch(command: Command, flags: Flags, output: &Output) -> anyhow::Result<Done> {
    // Commands that print a result write warnings to standard error.
    let settings = || {
        let settings = Settings::load(flags.clone())?;
        crate::observe::for_a_command(&settings);
        anyhow::Ok(settings)
    };
    match command {
        Command::Serve(arguments) => serve::run(arguments, flags).await,
        Command::Demo(arguments) => demo::run(arguments, &settings()?).await,
        Command::Sandbox(arguments) => sandbox::run(arguments, flags).await,
        Command::Migrate(arguments) => migrate::run(arguments, &settings()?, output).await,
        Command::Replay(arguments) => replay::run(arguments, &settings()?, output).await,
        Command::Projections(arguments) => projections::run(arguments, &settings()?, output).await,
        Command::Events(arguments) => events::run(arguments, &settings()?, output).await,
        Command::Audit(arguments) => audit::run(arguments, &settings()?, output).await,
        Command::Sagas(arguments) => sagas::run(arguments, &settings()?, output).await,
        Command::Users(arguments) => users::run(arguments, &settings()?, output).await,
        Command::Health(arguments) => health::run(arguments, &settings()?, output).await,
        Command::Import(arguments) => import::import(arguments, &settings()?, output).await,
        Command::Export(arguments) => import::export(arguments, &settings()?, output).await,
        Command::Backup(arguments) => backup::back_up(arguments, &settings()?, output).await,
        Command::Restore(arguments) => backup::restore(arguments, &settings()?, output).await,
        Command::Schemas(arguments) => schemas::run(arguments, output),
        Command::Openapi => {
            output.text(&jangbu_api::openapi().to_pretty_json()?)?;
            Ok(Done::Yes)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "jangbu", &mut script);
            output.bytes(&script)?;
            Ok(Done::Yes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for wrong in [
            &["jangbu", "fly"][..],
            &["jangbu", "events", "list", "--from", "x"],
            &["jangbu", "serve", "--roles", "cook"],
        ] {
            let error = Cli::try_parse_from(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_command_that_left_says_where_it_went() {
        for (name, program) in MOVED {
            let error = with_its_new_name(Cli::try_parse_from(["jangbu", name, "--quick"]).unwrap_err());
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("`{program}`")), "{error}");
        }
    }

    #[test]
    fn every_command_explains_itself() {
        fn walk(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} says what it does");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{path} {} says what it is", argument.get_id());
            }
            for inner in command.get_subcommands() {
                walk(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        walk(&Cli::command(), "jangbu");
    }

    #[test]
    fn global_flags_are_taken_behind_the_command() {
        let cli = Cli::try_parse_from(["jangbu", "events", "list", "--json", "--data-dir", "/somewhere"]).unwrap();
        assert!(cli.json);
        assert_eq!(cli.flags.data_dir, Some("/somewhere".into()));
    }
}
