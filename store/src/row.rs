//! The row of an event exactly as an engine stores it, before it is interpreted.

use chrono::DateTime;
use jangbu_kernel::log::LogError;
use jangbu_kernel::{Actor, AggregateKind, EventMeta, Position, RecordedEvent, StreamId, Timestamp, Version};
use uuid::Uuid;

use crate::hash::LeafFields;

/// A row of the events table. Verification reads these instead of [`RecordedEvent`]s, because what
/// a hash covers must not pass through a parser first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are those of RecordedEvent and LeafFields")]
pub struct StoredRow {
    pub position: Position,
    pub stream_kind: String,
    pub stream_id: Uuid,
    pub version: Version,
    pub event_id: Uuid,
    pub event_type: String,
    pub schema_version: u64,
    pub payload: String,
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub command_id: Uuid,
    pub actor: String,
    pub trace: Option<String>,
    pub recorded_at_ms: i64,
    pub hash: Vec<u8>,
}

impl StoredRow {
    /// The leaf hash that the row should have.
    #[must_use]
    pub fn leaf_hash(&self) -> [u8; 32] {
        LeafFields {
            stream_kind: &self.stream_kind,
            stream_id: self.stream_id,
            version: self.version,
            event_id: self.event_id,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            payload: &self.payload,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            command_id: self.command_id,
            actor: &self.actor,
            trace: self.trace.as_deref(),
            recorded_at_ms: self.recorded_at_ms,
        }
        .leaf_hash()
    }

    /// The event as a type of the kernel. The hash is taken as stored, not checked.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a column has a value that this program never writes.
    pub fn into_event(self) -> Result<RecordedEvent, LogError> {
        EventColumns {
            position: to_i64(self.position),
            stream_kind: &self.stream_kind,
            stream_id: self.stream_id,
            version: to_i64(self.version),
            event_id: self.event_id,
            event_type: &self.event_type,
            schema_version: to_i64(self.schema_version),
            payload: &self.payload,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            command_id: self.command_id,
            actor: &self.actor,
            trace: self.trace.as_deref(),
            recorded_at_ms: self.recorded_at_ms,
            hash: &self.hash,
        }
        .event()
    }
}

/// A row of the events table, borrowed from the engine's memory: reading the log page by page
/// allocates the event's type and payload and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventColumns<'a> {
    pub position: i64,
    pub stream_kind: &'a str,
    pub stream_id: Uuid,
    pub version: i64,
    pub event_id: Uuid,
    pub event_type: &'a str,
    pub schema_version: i64,
    pub payload: &'a str,
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub command_id: Uuid,
    pub actor: &'a str,
    pub trace: Option<&'a str>,
    pub recorded_at_ms: i64,
    pub hash: &'a [u8],
}

impl EventColumns<'_> {
    /// The event as a type of the kernel. The hash is taken as stored, not checked.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a column has a value that this program never writes.
    pub fn event(self) -> Result<RecordedEvent, LogError> {
        let position = to_u64(self.position);
        let damaged =
            |what: &str| LogError::Damaged(format!("{what} of the event at position {position} cannot be read"));
        Ok(RecordedEvent {
            position,
            stream: stream_id(self.stream_kind, self.stream_id).ok_or_else(|| damaged("the stream kind"))?,
            version: to_u64(self.version),
            event_id: self.event_id.into(),
            event_type: self.event_type.to_owned(),
            schema_version: u16::try_from(self.schema_version).map_err(|_| damaged("the schema version"))?,
            payload: self.payload.to_owned(),
            meta: EventMeta {
                correlation_id: self.correlation_id.into(),
                causation_id: self.causation_id,
                command_id: self.command_id.into(),
                actor: self.actor.parse().unwrap_or_else(|_| Actor::Unknown(self.actor.to_owned())),
                trace: self.trace.map(str::to_owned),
                recorded_at: moment(self.recorded_at_ms).ok_or_else(|| damaged("the time"))?,
            },
            hash: self.hash.try_into().map_err(|_| damaged("the hash"))?,
        })
    }
}

/// A stand-in for an event that cannot be read: it has the place in log and stream, and an empty
/// payload, which nobody decodes.
pub(crate) fn unreadable(position: Position, stream: StreamId, version: Version, event_type: &str) -> RecordedEvent {
    RecordedEvent {
        position,
        stream,
        version,
        event_id: Uuid::nil().into(),
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload: String::new(),
        meta: EventMeta {
            correlation_id: Uuid::nil().into(),
            causation_id: Uuid::nil(),
            command_id: Uuid::nil().into(),
            actor: Actor::System("system"),
            trace: None,
            recorded_at: Timestamp::UNIX_EPOCH,
        },
        hash: [0; 32],
    }
}

/// The rows that an engine found, for readers that follow the whole log.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub events: Vec<RecordedEvent>,
    rows: usize,
    last: Option<Position>,
}

impl Followed {
    /// Adds the row at a position: its event, unless its kind of stream is unknown.
    pub fn take(&mut self, position: Position, event: Option<RecordedEvent>) {
        self.rows += 1;
        self.last = Some(position);
        self.events.extend(event);
    }

    /// The position up to which the log was read: that of the last row if there may be more,
    /// otherwise the end of the range that was searched.
    pub fn read_to(&self, limit: usize, end: Position) -> Position {
        self.last.filter(|_| self.rows == limit).unwrap_or(end)
    }

    /// The position of the last row.
    pub const fn last(&self) -> Option<Position> {
        self.last
    }
}

impl From<&RecordedEvent> for StoredRow {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            stream_kind: event.stream.kind.name().to_owned(),
            stream_id: event.stream.id,
            version: event.version,
            event_id: event.event_id.uuid(),
            event_type: event.event_type.clone(),
            schema_version: event.schema_version.into(),
            payload: event.payload.clone(),
            correlation_id: event.meta.correlation_id.uuid(),
            causation_id: event.meta.causation_id,
            command_id: event.meta.command_id.uuid(),
            actor: event.meta.actor.to_string(),
            trace: event.meta.trace.clone(),
            recorded_at_ms: event.meta.recorded_at.timestamp_millis(),
            hash: event.hash.to_vec(),
        }
    }
}

/// The stream that two columns name, unless its kind is unknown.
pub(crate) fn stream_id(kind: &str, id: Uuid) -> Option<StreamId> {
    AggregateKind::from_name(kind).map(|kind| StreamId::new(kind, id))
}

/// The moment that a column of milliseconds holds, unless it is out of range.
pub(crate) fn moment(milliseconds: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_millis(milliseconds)
}

/// Positions and versions as the engines store them. No log reaches 2^63, so the cap only affects
/// bounds such as "to the end".
pub(crate) fn to_i64(number: impl Into<u64>) -> i64 {
    i64::try_from(number.into()).unwrap_or(i64::MAX)
}

/// The reverse. Engines have no negative numbers unless the data was altered.
pub(crate) fn to_u64<T: From<u64>>(number: i64) -> T {
    u64::try_from(number).unwrap_or(0).into()
}

/// A limit in the type that the engines take.
pub(crate) fn limit_i64(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
