//! `jangbu schemas`: compares the events' schemas with the committed ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jangbu_aggregates::schemas::{catalogue, earlier, only_adds};
use serde::Serialize;
use serde_json::Value;

use super::Done;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  jangbu schemas check
  jangbu schemas check --released ../last-release/event-schemas
  jangbu schemas export --folder event-schemas")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare the schemas of this program with those in a folder
    Check {
        /// The folder that they have to be equal to
        #[arg(long, value_name = "FOLDER", default_value = "event-schemas")]
        folder: PathBuf,
        /// Schemas of an earlier release: this program's may only add to them
        #[arg(long, value_name = "FOLDER")]
        released: Option<PathBuf>,
    },
    /// Write the schema of every event into a folder; a published one is only added to
    Export {
        /// The folder
        #[arg(long, value_name = "FOLDER", default_value = "event-schemas")]
        folder: PathBuf,
    },
}

/// The result of the comparison for one schema.
#[derive(Serialize)]
struct Finding {
    schema: String,
    problem: String,
}

/// What was written.
#[derive(Serialize)]
struct Exported<'a> {
    schemas: usize,
    folder: &'a Path,
}

pub(super) fn run(arguments: Arguments, output: &Output) -> anyhow::Result<Done> {
    match arguments.action {
        Action::Check { folder, released } => check(&folder, released.as_deref(), output),
        Action::Export { folder } => export(&folder, output),
    }
}

fn export(folder: &Path, output: &Output) -> anyhow::Result<Done> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let schemas = catalogue();
    for (name, text) in &schemas {
        let path = folder.join(name);
        if let Some(published) = read(&path)? {
            only_adds(&published, &serde_json::from_str(text)?).with_context(|| path.display().to_string())?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if output.is_json() {
        output.object(&Exported { schemas: schemas.len(), folder })?;
    } else {
        output.text(&format!("{} schemas written to {}", schemas.len(), folder.display()))?;
    }
    Ok(Done::Yes)
}

/// The schema in a file, if the file exists.
fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn check(folder: &Path, released: Option<&Path>, output: &Output) -> anyhow::Result<Done> {
    let schemas = catalogue();
    let mut findings = strangers(folder, &schemas)?;
    for (name, text) in &schemas {
        let made: Value = serde_json::from_str(text)?;
        let problem = match read(&folder.join(name))? {
            Some(committed) => (committed != made).then(|| "differs from this program's".to_owned()),
            None => Some("is missing: run `jangbu schemas export`".to_owned()),
        };
        findings.extend(problem.map(|problem| Finding { schema: name.clone(), problem }));
        let earlier = released.map(|released| read(&released.join(name))).transpose()?.flatten();
        if let Some(Err(broken)) = earlier.map(|earlier| only_adds(&earlier, &made)) {
            findings.push(Finding { schema: name.clone(), problem: broken.to_string() });
        }
    }
    if let Some(released) = released {
        findings.extend(strangers(released, &schemas)?);
    }
    let done = if findings.is_empty() { Done::Yes } else { Done::CheckFailed };
    let printed = if output.is_json() || !findings.is_empty() {
        output.list(&findings, &["schema", "problem"], |finding| vec![finding.schema.clone(), finding.problem.clone()])
    } else {
        output.text(&format!("{} schemas are as in {}", schemas.len(), folder.display()))
    };
    output.conclude(done, printed.map_err(Into::into))
}

/// Schemas in a folder that this program does not know: a log could have such events, and this
/// program could not read them.
fn strangers(folder: &Path, schemas: &[(String, String)]) -> anyhow::Result<Vec<Finding>> {
    let earlier = earlier();
    let known: BTreeSet<&str> =
        schemas.iter().map(|(name, _)| name.as_str()).chain(earlier.iter().map(String::as_str)).collect();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !known.contains(name.as_str()) {
            found.push(Finding { schema: name, problem: "is not known to this program".to_owned() });
        }
    }
    found.sort_by(|left, right| left.schema.cmp(&right.schema));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_checks_and_what_is_altered_or_missing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(true);
        export(folder.path(), &output).unwrap();
        assert_eq!(check(folder.path(), None, &output).unwrap(), Done::Yes);

        let placed = folder.path().join("order.placed.v1.json");
        let whole = std::fs::read_to_string(&placed).unwrap();
        std::fs::write(&placed, whole.replace("number", "figure")).unwrap();
        assert_eq!(check(folder.path(), None, &output).unwrap(), Done::CheckFailed);
        std::fs::remove_file(&placed).unwrap();
        assert_eq!(check(folder.path(), None, &output).unwrap(), Done::CheckFailed);
        std::fs::write(&placed, whole).unwrap();
        assert_eq!(check(folder.path(), Some(folder.path()), &output).unwrap(), Done::Yes);
        std::fs::write(folder.path().join("order.eaten.v1.json"), "{}").unwrap();
        assert_eq!(check(folder.path(), None, &output).unwrap(), Done::CheckFailed);
    }
}
