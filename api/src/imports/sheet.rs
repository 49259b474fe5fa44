//! Reads the rows of a file, CSV (RFC 4180) or a JSON object a line, both in UTF-8.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::StringRecord;
use serde::{Deserialize, Serialize};

use crate::http::node::Node;
use crate::http::problem::{FieldProblem, Problem};

/// The longest row, in bytes: a quote that is never closed would otherwise be a row of the whole rest.
const LONGEST_ROW: u64 = 1024 * 1024;
/// What a reader may have read ahead.
const READ_AHEAD: u64 = 64 * 1024;
const BOM: char = '\u{feff}';

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// Cells between commas, below a head with the names of the columns.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

jangbu_kernel::named!(Format);

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Jsonl => "application/x-ndjson",
        }
    }

    /// The format that a media type names.
    #[must_use]
    pub fn of_media_type(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = |part: &str| match part.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        };
        if !parts.all(is_utf8) {
            return None;
        }
        match essence.as_str() {
            "text/csv" => Some(Self::Csv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// A row as it stands in the file.
pub(super) enum Raw {
    /// Below these columns.
    Cells(Columns, StringRecord),
    Line(String),
}

/// Why a file cannot be read, or not any further.
#[derive(Debug)]
pub(super) struct Unreadable {
    code: &'static str,
    detail: String,
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        Self::invalid_at("", error.code, error.detail)
    }
}

/// The rows of a file, one after the other.
pub(super) struct Sheet {
    rows: Rows,
    number: u64,
}

enum Rows {
    Csv { reader: Box<csv::Reader<Leash>>, left: Arc<AtomicU64>, columns: Columns },
    Lines(BufReader<File>),
}

/// The columns of a CSV file, as its head names them.
#[derive(Clone)]
pub(super) struct Columns(Arc<[String]>);

impl Sheet {
    /// Opens a file from its beginning; a CSV file may have only these columns.
    pub(super) fn open(mut file: File, format: Format, known: &[&str]) -> Result<Self, Unreadable> {
        file.seek(SeekFrom::Start(0)).map_err(|error| broken(1, &error))?;
        let rows = match format {
            Format::Jsonl => Rows::Lines(BufReader::new(file)),
            Format::Csv => {
                let left = Arc::new(AtomicU64::new(LONGEST_ROW));
                let leash = Leash { file, left: Arc::clone(&left) };
                let mut reader =
                    Box::new(csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(leash));
                let head = reader.headers().map_err(|error| of_csv(0, &error))?.clone();
                Rows::Csv { reader, left, columns: Columns::of(&head, known)? }
            }
        };
        Ok(Self { rows, number: 0 })
    }

    /// The next row with its number; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Raw)>, Unreadable> {
        let number = self.number.saturating_add(1);
        let raw = match &mut self.rows {
            Rows::Csv { reader, left, columns } => {
                left.store(LONGEST_ROW + READ_AHEAD, Ordering::Relaxed);
                let mut record = StringRecord::new();
                let more = reader.read_record(&mut record).map_err(|error| of_csv(number, &error))?;
                more.then(|| Raw::Cells(columns.clone(), record))
            }
            Rows::Lines(reader) => line(reader, number)?.map(Raw::Line),
        };
        Ok(raw.map(|raw| {
            self.number = number;
            (number, raw)
        }))
    }
}

impl Raw {
    /// What the row says.
    pub(super) fn node(&self) -> Result<Node, Vec<FieldProblem>> {
        match self {
            Self::Cells(columns, cells) => columns.node(cells),
            Self::Line(line) => json(line, ""),
        }
    }

    /// The bytes by which the row is known again.
    pub(super) fn identity(&self) -> Vec<u8> {
        match self {
            Self::Cells(columns, cells) => {
                let named = columns.0.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
                named.flat_map(|(name, cell)| format!("{name}\0{cell}\0").into_bytes()).collect()
            }
            Self::Line(line) => line.clone().into_bytes(),
        }
    }
}

/// Looks a file through to its end; returns how many rows it has.
pub(super) fn count(file: File, format: Format, known: &[&str]) -> Result<u64, Unreadable> {
    let mut sheet = Sheet::open(file, format, known)?;
    while sheet.next()?.is_some() {}
    Ok(sheet.number)
}

/// Copies the rows of a file that are wanted, by their numbers, with the file's head.
///
/// # Errors
/// When the one cannot be read or the other not be written.
pub fn copy_rows(file: File, format: Format, wanted: impl Fn(u64) -> bool, to: impl Write) -> io::Result<()> {
    let unreadable = |error: Unreadable| io::Error::other(error.detail);
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    match format {
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(to);
            writer.write_record(reader.headers()?)?;
            for (number, record) in (1..).zip(reader.records()) {
                let record = record?;
                if wanted(number) {
                    writer.write_record(&record)?;
                }
            }
            writer.flush()
        }
        Format::Jsonl => {
            let (mut reader, mut to, mut number) = (BufReader::new(file), to, 0);
            while let Some(line) = line(&mut reader, number).map_err(unreadable)? {
                number += 1;
                if wanted(number) {
                    writeln!(to, "{line}")?;
                }
            }
            to.flush()
        }
    }
}

/// The next line that is not blank.
fn line(reader: &mut BufReader<File>, number: u64) -> Result<Option<String>, Unreadable> {
    loop {
        let mut bytes = Vec::new();
        let read = reader.by_ref().take(LONGEST_ROW).read_until(b'\n', &mut bytes);
        if read.map_err(|error| broken(number, &error))? == 0 {
            return Ok(None);
        }
        if bytes.len() as u64 == LONGEST_ROW && !bytes.ends_with(b"\n") {
            return Err(too_long(number));
        }
        let line = String::from_utf8(bytes).map_err(|_| not_utf8(number))?;
        let line = line.trim_start_matches(BOM).trim();
        if !line.is_empty() {
            return Ok(Some(line.to_owned()));
        }
    }
}

fn json(text: &str, pointer: &str) -> Result<Node, Vec<FieldProblem>> {
    Node::parse(text.as_bytes()).map_err(|error| {
        let detail = if error.is_data() { "a name stands twice in one object" } else { "this is not JSON" };
        let detail = format!("{detail}, column {}", error.column());
        vec![FieldProblem { pointer: pointer.to_owned(), code: "malformed_json", detail }]
    })
}

impl Columns {
    fn of(head: &StringRecord, known: &[&str]) -> Result<Self, Unreadable> {
        let names: Vec<String> = head.iter().map(|name| name.trim_start_matches(BOM).trim().to_owned()).collect();
        let malformed = |code, detail| Err(Unreadable { code, detail });
        if names.iter().all(String::is_empty) {
            let detail = format!("the first line names the columns, such as {}", known.join(","));
            return malformed("missing_head", detail);
        }
        let strange: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if !strange.is_empty() {
            let many = names.len() < 2 && strange.iter().any(|name| name.contains([';', '\t']));
            let hint = if many { "; columns are separated by commas" } else { "" };
            let detail = format!("there is no column {}; there are {}{hint}", quoted(&strange), known.join(", "));
            return malformed("unknown_column", detail);
        }
        let twice = names.iter().enumerate().find(|(place, name)| names.iter().take(*place).any(|seen| seen == *name));
        match twice {
            Some((_, name)) => malformed("repeated", format!("the column {name} stands twice")),
            None => Ok(Self(names.into())),
        }
    }

    /// The row as an object. An empty cell says nothing.
    fn node(&self, cells: &StringRecord) -> Result<Node, Vec<FieldProblem>> {
        if cells.len() != self.0.len() {
            let detail = format!("the row has {} cells, the head {}", cells.len(), self.0.len());
            return Err(vec![FieldProblem { pointer: String::new(), code: "wrong_number_of_cells", detail }]);
        }
        let mut members: Vec<(String, Node)> = Vec::with_capacity(cells.len());
        let (mut price, mut currency, mut errors) = (None, None, Vec::new());
        for (name, cell) in self.0.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let node = match name.as_str() {
                "price" => {
                    price = Some(cell);
                    continue;
                }
                "currency" => {
                    currency = Some(cell);
                    continue;
                }
                "category_ids" | "image_urls" => list(cell, name),
                "metadata" | "options" => json(cell, &format!("/{name}")),
                _ => Ok(Node::Bare(cell.to_owned())),
            };
            match node {
                Ok(node) => members.push((name.clone(), node)),
                Err(found) => errors.extend(found),
            }
        }
        let text = |text: &str| Node::Text(text.to_owned());
        let amount = match (price, currency) {
            (None, None) => None,
            (Some(price), None) => Some(text(price)),
            (price, Some(currency)) => {
                let amount = price.map(|price| ("amount".to_owned(), text(price)));
                Some(Node::Object(amount.into_iter().chain([("currency".to_owned(), text(currency))]).collect()))
            }
        };
        members.extend(amount.map(|amount| ("price".to_owned(), amount)));
        if errors.is_empty() { Ok(Node::Object(members)) } else { Err(errors) }
    }
}

/// A JSON list, or texts between semicolons.
fn list(cell: &str, name: &str) -> Result<Node, Vec<FieldProblem>> {
    if cell.starts_with('[') {
        return json(cell, &format!("/{name}"));
    }
    let items = cell.split(';').map(str::trim).filter(|item| !item.is_empty());
    Ok(Node::List(items.map(|item| Node::Text(item.to_owned())).collect()))
}

/// At most a few names, and not the whole of a long one.
fn quoted(names: &[&str]) -> String {
    const MOST: usize = 10;
    const LONGEST: usize = 40;
    let short = |name: &&str| format!("{:?}", name.chars().take(LONGEST).collect::<String>());
    names.iter().take(MOST).map(short).collect::<Vec<_>>().join(", ")
}

fn of_csv(number: u64, error: &csv::Error) -> Unreadable {
    if let csv::ErrorKind::Utf8 { .. } = error.kind() {
        return not_utf8(number);
    }
    if let csv::ErrorKind::Io(error) = error.kind() {
        return broken(number, error);
    }
    Unreadable { code: "malformed_csv", detail: format!("row {number} cannot be read: {error}") }
}

fn broken(number: u64, error: &io::Error) -> Unreadable {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return too_long(number);
    }
    Unreadable { code: "malformed_file", detail: format!("row {number} cannot be read: {error}") }
}

fn too_long(number: u64) -> Unreadable {
    let detail = format!("row {number} has more than {LONGEST_ROW} bytes: is a quote not closed?");
    Unreadable { code: "row_too_long", detail }
}

fn not_utf8(number: u64) -> Unreadable {
    let detail = format!("row {number} is not UTF-8: save the file as UTF-8 and send it again");
    Unreadable { code: "not_utf8", detail }
}

/// A file of which only so much is read for one row.
struct Leash {
    file: File,
    left: Arc<AtomicU64>,
}

impl Read for Leash {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.file.read(buffer)?;
        self.left.store(left.saturating_sub(read as u64), Ordering::Relaxed);
        Ok(read)
    }
}
