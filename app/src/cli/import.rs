//! `jangbu import` and `jangbu export`: files of products, stock and orders.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::{Context as _, bail};
use aws_lc_rs::digest;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use jangbu_api::imports::{Export, ExportKind, Format, ImportLine, ImportSummary, RowOutcome, StockMode, copy_rows};
use jangbu_commands::{ImportKind, ImportState};

use super::Done;
use super::users::operator;
use crate::config::Settings;
use crate::engine;
use crate::operator::{WantedImport, import_anywhere};
use crate::output::{Output, Progress};

/// Standard input.
const STDIN: &str = "-";
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Each row is carried out by itself: what is wrong with one does not stop the others. The
same file imported again goes on where it was left, and does nothing twice: its content is
the name of the import. --again makes it another import, --key gives it a name of yours.
Exit code 1 when rows were refused or invalid.

A CSV file is UTF-8 and begins with the names of its columns, in any order:
  products  id, name, description, price, currency, category_ids, seller_id, tax_class,
            image_urls, weight_grams, metadata, variant_of, options, active
  stock     product_id, quantity, mode, reason
Without an id a row makes a new product. An empty cell leaves a value as it is. Lists are
separated by ; and metadata and options are JSON objects. A JSON lines file has the same
names, the price as {\"amount\": \"12000\", \"currency\": \"KRW\"}, and null to take a value away.

Examples:
  jangbu import products catalogue.csv --dry-run
  jangbu import products catalogue.csv --rejected rejected.csv
  jangbu import stock delivery.csv --mode receive
  jangbu import stock counted.jsonl --mode count --json")]
pub(super) struct ImportArguments {
    #[command(subcommand)]
    what: Imported,
}

#[derive(Debug, Subcommand)]
enum Imported {
    /// Make products, and change those that are there
    Products(FileArguments),
    /// Receive goods, or record a count
    Stock {
        #[command(flatten)]
        file: FileArguments,
        /// What the quantity of a row is that does not say it itself
        #[arg(long, value_name = "MODE", value_parser = mode())]
        mode: Option<StockMode>,
    },
}

#[derive(Debug, Args)]
struct FileArguments {
    /// File to read; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written [default: as the file's name ends]
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    format: Option<Format>,
    /// Tell what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Name of the import [default: made of the file's content]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Import the same content once more, as another import
    #[arg(long, conflicts_with = "key")]
    again: bool,
    /// Write the rows that were refused or invalid to this file, to be mended and imported
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the read models beside a running server. What `export products` and `export stock`
write can be imported. An export of orders has the buyer's id and no name, telephone number
or address. Cells are written as they are: a spreadsheet takes one that begins with =, +, -
or @ for a formula.

Examples:
  jangbu export products --output catalogue.csv
  jangbu export stock --bom --output count-me.csv
  jangbu export orders --format jsonl | head")]
pub(super) struct ExportArguments {
    /// What
    #[arg(value_name = "WHAT", value_parser = exported())]
    what: ExportKind,
    /// How [default: csv, with --json jsonl]
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    format: Option<Format>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Begin with a byte order mark, by which spreadsheets know UTF-8
    #[arg(long)]
    bom: bool,
}

fn mode() -> impl clap::builder::TypedValueParser<Value = StockMode> {
    let names = PossibleValuesParser::new(StockMode::ALL.iter().map(|mode| mode.name()));
    names.try_map(|name| StockMode::from_name(&name).ok_or("unknown mode"))
}

fn format() -> impl clap::builder::TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(Format::ALL.iter().map(|format| format.name()));
    names.try_map(|name| Format::from_name(&name).ok_or("unknown format"))
}

fn exported() -> impl clap::builder::TypedValueParser<Value = ExportKind> {
    let names = PossibleValuesParser::new(ExportKind::ALL.iter().map(|kind| kind.name()));
    names.try_map(|name| ExportKind::from_name(&name).ok_or("unknown kind"))
}

pub(super) async fn import(arguments: ImportArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    let (kind, arguments, mode) = match arguments.what {
        Imported::Products(file) => (ImportKind::Products, file, None),
        Imported::Stock { file, mode } => (ImportKind::Stock, file, mode),
    };
    let format = arguments
        .format
        .or_else(|| named(&arguments.file))
        .with_context(|| format!("say how {} is written: --format csv or --format jsonl", arguments.file.display()))?;
    let mut file = open(&arguments.file)?;
    let key = match (arguments.key, arguments.again) {
        (Some(key), _) => Some(key),
        (None, true) => None,
        (None, false) => Some(content_of(&mut file, mode)?),
    };
    let wanted = WantedImport { kind, format, mode, dry_run: arguments.dry_run, key, operator: operator() };
    let for_rejected = arguments.rejected.as_ref().map(|_| file.try_clone()).transpose()?;
    let mut progress = Progress::of(if wanted.dry_run { "checking" } else { "importing" }, 0, "rows");
    let (mut rejected, mut summary) = (HashSet::new(), None);
    import_anywhere(settings, wanted, file, |rows, line| {
        if output.is_json() {
            output.object(&line)?;
        }
        match line {
            ImportLine::Row(row) => {
                progress.at(row.row, rows);
                if row.is_rejected() {
                    rejected.insert(row.row);
                    if !output.is_json() {
                        output.text(&in_words(&row))?;
                    }
                }
            }
            ImportLine::Summary { summary: told } => summary = Some(told),
        }
        Ok(())
    })
    .await?;
    progress.end();
    if let (Some(path), Some(file)) = (&arguments.rejected, for_rejected) {
        let to = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        copy_rows(file, format, |row| rejected.contains(&row), std::io::BufWriter::new(to))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Some(summary) = summary else { bail!("the import broke off: import the file again to go on") };
    conclude(&summary, output)
}

fn conclude(summary: &ImportSummary, output: &Output) -> anyhow::Result<Done> {
    if !output.is_json() {
        print(summary, output)?;
    }
    if summary.replayed > 0 {
        output.note(&format!(
            "{} rows had been carried out by an earlier import of this file and were not carried out again (--again does)",
            summary.replayed
        ));
    }
    if summary.state != ImportState::Done {
        let why = summary.reason.map_or("unknown", |reason| reason.name());
        bail!("the import was interrupted ({why}): import the file again to go on");
    }
    Ok(if summary.refused > 0 || summary.invalid > 0 { Done::CheckFailed } else { Done::Yes })
}

fn print(summary: &ImportSummary, output: &Output) -> std::io::Result<()> {
    let id = summary.import_id.map_or_else(|| "none, nothing was written".to_owned(), |id| id.to_string());
    let seconds = std::time::Duration::from_millis(summary.took_ms);
    let fields = [
        ("import", id),
        ("rows", summary.rows.to_string()),
        ("created", summary.created.to_string()),
        ("changed", summary.changed.to_string()),
        ("unchanged", summary.unchanged.to_string()),
        ("replayed", summary.replayed.to_string()),
        ("refused", summary.refused.to_string()),
        ("invalid", summary.invalid.to_string()),
        ("took", format!("{} ms, {} rows/s", summary.took_ms, crate::output::per_second(summary.rows, seconds))),
    ];
    output.fields(summary, &fields)
}

fn in_words(row: &RowOutcome) -> String {
    let told = |text: &Option<String>| text.clone().unwrap_or_default();
    let place = row.pointer.as_ref().map(|pointer| format!(" at {pointer}")).unwrap_or_default();
    format!("row {}: {}{place}: {} ({})", row.row, row.outcome.name(), told(&row.detail), told(&row.code))
}

/// The format that a file's name says.
fn named(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        _ => None,
    }
}

/// The file; what comes from standard input is kept until it was read twice.
fn open(path: &Path) -> anyhow::Result<File> {
    if path.as_os_str() != STDIN {
        return File::open(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let mut file = tempfile::tempfile().context("standard input cannot be kept")?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file).context("cannot read standard input")?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// A name made of what is in the file.
fn content_of(file: &mut File, mode: Option<StockMode>) -> anyhow::Result<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer).context("the file cannot be read")?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        context.update(bytes);
    }
    file.seek(SeekFrom::Start(0))?;
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256-{hex}{}", mode.map(|mode| format!("-{}", mode.name())).unwrap_or_default()))
}

pub(super) async fn export(arguments: ExportArguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    // The log is opened because only it tells whether there is a shop.
    engine::open_for_reading(settings).await?.close().await;
    let Some(models) = engine::read_models_to_read(settings).await? else {
        bail!("there are no read models yet: the server builds them, or `jangbu replay`");
    };
    let format = arguments.format.unwrap_or(if output.is_json() { Format::Jsonl } else { Format::Csv });
    let export = Export { queries: models.queries(), kind: arguments.what, format, bom: arguments.bom };
    let written = match &arguments.output {
        None => write(export, |bytes| Ok(output.bytes(bytes)?)).await,
        Some(path) => into_file(export, path).await,
    };
    models.close().await;
    let rows = written?;
    if arguments.output.is_some() {
        output.note(&format!("{rows} rows written"));
    }
    Ok(Done::Yes)
}

/// Writes beside the file and puts it in its place when it is whole.
async fn into_file(export: Export, path: &Path) -> anyhow::Result<u64> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    let rows = write(export, |bytes| part.write_all(bytes).with_context(failed)).await?;
    let kept = part.persist(path).with_context(failed)?;
    kept.sync_all().with_context(failed)?;
    Ok(rows)
}

async fn write(export: Export, mut to: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let mut progress = Progress::of("exporting", 0, "rows");
    let mut rows = 0;
    let mut pieces = pin!(export.pieces());
    while let Some(piece) = pieces.next().await {
        let (bytes, count) = piece?;
        to(&bytes)?;
        rows += count;
        progress.at(rows, rows);
    }
    progress.end();
    Ok(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use jangbu_api::imports::columns;

    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_format() {
        for (name, format) in [
            ("a.csv", Some(Format::Csv)),
            ("a.b.CSV", Some(Format::Csv)),
            ("a.jsonl", Some(Format::Jsonl)),
            ("a.ndjson", Some(Format::Jsonl)),
            ("a.xlsx", None),
            ("csv", None),
            (STDIN, None),
        ] {
            assert_eq!(named(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn the_same_content_has_the_same_name() {
        let named = |content: &str, mode| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            content_of(&mut file, mode).unwrap()
        };
        assert_eq!(named("a", None), named("a", None));
        assert_ne!(named("a", None), named("b", None));
        assert_ne!(named("a", Some(StockMode::Receive)), named("a", Some(StockMode::Count)));
    }

    #[test]
    fn the_help_names_every_column_that_is_taken_in() {
        let help = <ImportArguments as Args>::augment_args(clap::Command::new("import"));
        let help = help.get_after_help().map(ToString::to_string).unwrap_or_default();
        for column in columns(ImportKind::Products) {
            assert!(help.contains(column), "{column}");
        }
        assert!(help.contains("product_id, quantity, mode, reason"), "{help}");
    }
}
