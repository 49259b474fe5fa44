//! What commands print: tables for people, one JSON object a line for programs, and progress on
//! standard error.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::Done;
use crate::table::{self, Column};

/// The destination and form of a command's result.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON lines or text.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the output is for programs.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn text(&self, line: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{line}")
    }

    /// Prints bytes unchanged.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        io::stdout().lock().write_all(bytes)
    }

    /// Prints a JSON object on a line of its own.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn object(&self, object: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(object)?;
        self.text(&line)
    }

    /// Prints a list: an object a line, or a table with these columns.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn list<T: Serialize, C: Copy + Into<Column>>(
        &self,
        items: &[T],
        columns: &[C],
        row: impl Fn(&T) -> Vec<String>,
    ) -> io::Result<()> {
        if self.json {
            return items.iter().try_for_each(|item| self.object(item));
        }
        let columns: Vec<Column> = columns.iter().map(|column| (*column).into()).collect();
        let rows: Vec<_> = items.iter().map(row).collect();
        self.text(&table::render(&columns, &rows, table::room()))
    }

    /// Prints a remark about a result to standard error, where it does not disturb a program that
    /// reads the result.
    pub fn note(&self, text: &str) {
        // An error means that standard error has no reader, so it is ignored.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Prints one thing: an object, or its fields below each other.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn fields(&self, object: &impl Serialize, fields: &[(&str, String)]) -> io::Result<()> {
        if self.json {
            return self.object(object);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if let Some(room) = table::room() {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(room);
        }
        for (name, value) in fields {
            table.add_row([(*name).to_owned(), value.clone()]);
        }
        self.text(&table.to_string())
    }

    /// The result of a command after it was printed as far as it was read: a reader that closes the
    /// output early, as `head` does, does not turn a failed check into a passed one.
    ///
    /// # Errors
    /// When the output could not be written for another reason.
    pub fn conclude(&self, done: Done, printed: anyhow::Result<()>) -> anyhow::Result<Done> {
        match printed {
            Err(error) if !self.is_broken_pipe(&error) => Err(error),
            Ok(()) | Err(_) => Ok(done),
        }
    }

    /// Whether an error only says that the output has no reader any more.
    #[must_use]
    pub fn is_broken_pipe(&self, error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

/// How often progress is printed without a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Progress of a long operation: a bar on a terminal, plain lines otherwise.
pub struct Progress {
    what: String,
    /// What is counted.
    unit: &'static str,
    bar: Option<ProgressBar>,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Starts progress over this many events.
    #[must_use]
    pub fn new(what: &str, total: u64) -> Self {
        Self::of(what, total, "events")
    }

    /// Starts progress over this many of a unit.
    #[must_use]
    pub fn of(what: &str, total: u64, unit: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left");
            // The template is a constant; if it were malformed the default is used.
            bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what.to_owned());
            bar
        });
        let now = Instant::now();
        Self { what: what.to_owned(), unit, bar, began: now, told: now }
    }

    /// Sets how many of the total are done.
    pub fn at(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        } else if self.told.elapsed() >= PLAIN_EVERY {
            self.told = Instant::now();
            let rate = per_second(done, self.began.elapsed());
            let left = total.saturating_sub(done).checked_div(rate).unwrap_or(0);
            let Self { what, unit, .. } = self;
            let _ = writeln!(io::stderr(), "{what}: {done} of {total} {unit}, {rate} {unit}/s, {left} s left");
        }
    }

    /// The same for an operation with stages.
    pub fn stage(&mut self, stage: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} ({stage})", self.what));
        }
        self.at(done, total);
    }

    /// Ends; the bar goes away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A rate in whole things a second.
#[must_use]
pub fn per_second(events: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(events) * 1_000_000 / micros).unwrap_or(u64::MAX)
}
