//! What a view is: a table, the events that show in it, and a pure fold.

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::macros::DecodeError;
use jangbu_kernel::{AggregateKind, MoneyError, Position, RecordedEvent, StreamId, Timestamp, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A decoded event with the parts of its envelope that views show.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Place in its stream.
    pub version: Version,
    /// When it was recorded.
    pub at: Timestamp,
    /// The event.
    pub event: DomainEvent,
}

impl TryFrom<&RecordedEvent> for Fact {
    type Error = DecodeError;
    fn try_from(recorded: &RecordedEvent) -> Result<Self, DecodeError> {
        Ok(Self {
            position: recorded.position,
            stream: recorded.stream,
            version: recorded.version,
            at: recorded.meta.recorded_at,
            event: DomainEvent::try_from(recorded)?,
        })
    }
}

/// An event that does not fit the row it concerns. Its stream is parked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The stored event cannot be read.
    #[error("{0}")]
    Undecodable(String),
    /// The stored row cannot be read.
    #[error("the stored row cannot be read: {0}")]
    BadRow(String),
    /// An event came before the one that creates the row.
    #[error("{0} at version {1} has no row to change")]
    NoRow(&'static str, Version),
    /// The row is not at the version before the event.
    #[error("version {found} follows version {row} of the row")]
    Gap {
        /// The version of the row.
        row: Version,
        /// The version of the event.
        found: Version,
    },
    /// Amounts do not add up.
    #[error("an amount does not add up: {0}")]
    Amount(#[from] MoneyError),
    /// Something else about the event does not fit.
    #[error("{0}")]
    Unfit(&'static str),
}

/// Identifies a row: an aggregate's id, and a part of it where one aggregate has many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The aggregate.
    pub id: Uuid,
    /// Which of its rows.
    pub part: KeyPart,
}

/// Which of an aggregate's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPart {
    /// The only one.
    Whole,
    /// The one with this number.
    Number(i64),
    /// The one with this name.
    Name(&'static str),
}

impl Key {
    /// The only row of an aggregate.
    #[must_use]
    pub const fn whole(id: Uuid) -> Self {
        Self { id, part: KeyPart::Whole }
    }

    /// One of an aggregate's numbered rows; no log is so long that a number does not fit.
    #[must_use]
    pub fn number(id: Uuid, number: impl Into<u64>) -> Self {
        Self { id, part: KeyPart::Number(i64::try_from(number.into()).unwrap_or(i64::MAX)) }
    }

    pub(crate) fn values(self) -> Vec<Value> {
        let id = Value::Uuid(Some(self.id));
        match self.part {
            KeyPart::Whole => vec![id],
            KeyPart::Number(number) => vec![id, Value::Int(Some(number))],
            KeyPart::Name(name) => vec![id, Value::Name(name)],
        }
    }
}

/// The type of a column that people filter, sort or sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id.
    Uuid,
    /// Text.
    Text,
    /// A 64-bit number; money is in minor units.
    Int,
    /// Yes or no.
    Bool,
    /// A moment, to the millisecond.
    Time,
    /// Search terms, separated by single spaces. A table has at most one such column.
    Terms,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it never changes after the row is created. An update does not write such columns,
    /// and so leaves alone the indexes that contain nothing else.
    pub fixed: bool,
}

/// Declares a column.
#[must_use]
pub const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, fixed: false }
}

/// Declares a column that never changes after the row is created.
#[must_use]
pub const fn fixed(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, fixed: true }
}

/// The content of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Uuid`].
    Uuid(Option<Uuid>),
    /// Of [`Kind::Text`].
    Text(Option<String>),
    /// Of [`Kind::Text`]: a status, a code, one of a few names.
    Name(&'static str),
    /// Of [`Kind::Int`].
    Int(Option<i64>),
    /// Of [`Kind::Bool`].
    Bool(Option<bool>),
    /// Of [`Kind::Time`].
    Time(Option<Timestamp>),
    /// Of [`Kind::Terms`].
    Terms(String),
}

impl Value {
    /// An id.
    pub fn id(id: impl Into<Uuid>) -> Self {
        Self::Uuid(Some(id.into()))
    }
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()))
    }
    /// A name.
    #[must_use]
    pub const fn name(name: &'static str) -> Self {
        Self::Name(name)
    }
    /// A number.
    #[must_use]
    pub const fn int(number: i64) -> Self {
        Self::Int(Some(number))
    }
    /// A count or version; no log is so long that it does not fit.
    #[must_use]
    pub fn count(number: impl Into<u64>) -> Self {
        Self::Int(Some(i64::try_from(number.into()).unwrap_or(i64::MAX)))
    }
    /// A time.
    #[must_use]
    pub const fn time(at: Timestamp) -> Self {
        Self::Time(Some(at))
    }
    /// Yes or no.
    #[must_use]
    pub const fn bool(is: bool) -> Self {
        Self::Bool(Some(is))
    }
}

/// A secondary index. A rebuild creates it after the rows.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// Its name, unique among the indexes of the table.
    pub name: &'static str,
    /// Its columns, in SQL.
    pub columns: &'static str,
    /// The condition on the rows that it contains, in SQL; empty for all rows.
    pub only: &'static str,
}

/// Declares an index over all rows.
#[must_use]
pub const fn index(name: &'static str, columns: &'static str) -> Index {
    Index { name, columns, only: "" }
}

/// The table of a view.
#[derive(Debug)]
pub struct ViewSpec {
    /// The view's name, and its table's.
    pub name: &'static str,
    /// Raised whenever the fold or the columns change: the table is then built anew.
    pub version: i32,
    /// The primary key: the aggregate's id, then the part if rows have one.
    pub key: &'static [Column],
    /// The typed columns beside the document.
    pub columns: &'static [Column],
    /// The secondary indexes.
    pub indexes: &'static [Index],
}

impl ViewSpec {
    /// The columns that an update writes, without the document.
    pub(crate) fn changing_columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.columns.iter().filter(|column| !column.fixed)
    }

    /// Key columns, then the others.
    pub(crate) fn all_columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.key.iter().chain(self.columns)
    }

    pub(crate) fn has_terms(&self) -> bool {
        self.columns.iter().any(|column| column.kind == Kind::Terms)
    }
}

/// Which events show in a view.
#[derive(Clone, Copy, Debug)]
pub enum Shows {
    /// All events of this kind of stream.
    All(AggregateKind),
    /// These event types of this kind of stream.
    Only(AggregateKind, &'static [&'static str]),
}

impl Shows {
    /// The kind of stream.
    #[must_use]
    pub const fn kind(self) -> AggregateKind {
        match self {
            Self::All(kind) | Self::Only(kind, _) => kind,
        }
    }

    /// Whether an event shows.
    #[must_use]
    pub fn handles(self, kind: AggregateKind, event_type: &str) -> bool {
        match self {
            Self::All(own) => own == kind,
            Self::Only(own, types) => own == kind && types.contains(&event_type),
        }
    }
}

/// A view: one table, whose rows are folds of streams.
///
/// Every row belongs to one stream, so that streams can be parked and redriven
/// one by one.
pub trait View: Send + Sync + 'static {
    /// A row; stored as a JSON document beside the typed columns.
    type Row: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static;
    /// Its table.
    const SPEC: ViewSpec;
    /// The events that it shows.
    const SHOWS: Shows;
    /// Rows that are kept in memory between pages. A row that is not in memory costs one more key
    /// in a query, and never makes a row wrong. Most rows change only while their order is new.
    const HOT_ROWS: usize = 4_096;

    /// The row that an event belongs to, provided that the event shows here.
    fn key(fact: &Fact) -> Key {
        Key::whole(fact.stream.id)
    }

    /// Whether the fold reads the existing row. If it does not, the row is not loaded.
    fn builds_on_row(fact: &Fact) -> bool {
        // The first event of a stream has nothing to build on.
        fact.version > Version::FIRST
    }

    /// The previous row, if the event begins a row in a list whose rows build on each other. The
    /// event is then folded into a copy of that row.
    fn basis(_fact: &Fact) -> Option<Key> {
        None
    }

    /// Folds an event into its row, in place; `None` means that there is no row. The fold is pure,
    /// and an error leaves the row as it was.
    ///
    /// # Errors
    /// When the event does not fit the row.
    fn fold(row: &mut Option<Self::Row>, fact: &Fact) -> Result<(), FoldError>;

    /// The typed columns of a row, in the order of the spec, without the key.
    fn columns(row: &Self::Row) -> Vec<Value>;
}

/// The row that an event changes, if the event is the next of its stream.
pub(crate) fn next<'a, Row>(
    row: &'a mut Option<Row>,
    version: impl FnOnce(&Row) -> Version,
    fact: &Fact,
) -> Result<&'a mut Row, FoldError> {
    let row = row.as_mut().ok_or(FoldError::NoRow(fact.event.event_type(), fact.version))?;
    let held = version(row);
    if held.next() == fact.version { Ok(row) } else { Err(FoldError::Gap { row: held, found: fact.version }) }
}

/// Checks that an event which creates a row finds none.
pub(crate) fn first<Row>(row: &Option<Row>, fact: &Fact) -> Result<(), FoldError> {
    if row.is_none() && fact.version == Version::FIRST {
        Ok(())
    } else {
        Err(FoldError::Gap { row: Version::ZERO, found: fact.version })
    }
}

/// The error for an event of a kind that does not show in the view.
pub(crate) const NOT_SHOWN: FoldError = FoldError::Unfit("an event of this kind does not show in this view");
