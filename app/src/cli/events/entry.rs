//! The entries of a list of events, and how they are shown.

use jangbu_kernel::log::{LogError, ReadFilter};
use jangbu_kernel::{Position, RecordedEvent, Timestamp, Version, time};
use jangbu_store::Store;
use jangbu_store::row::StoredRow;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Filter;

/// An event of the log.
pub(super) enum Entry {
    /// Its kind of stream is known to this program.
    Known(RecordedEvent),
    /// Its kind of stream is unknown: a newer release wrote it. It is shown as it is stored.
    Unknown(StoredRow),
}

/// Events after a position, and how far the log was read, as
/// [`jangbu_kernel::log::EventLog::read_all`] gives them; without a filter also the unknown ones,
/// which are left out there. A filter names known kinds, so it never selects them.
pub(super) async fn page(
    log: &dyn Store,
    after: Position,
    limit: usize,
    filter: &ReadFilter,
) -> Result<(Vec<Entry>, Position), LogError> {
    let (events, read_to) = log.read_all(after, limit, filter).await?;
    if *filter != ReadFilter::default() {
        return Ok((events.into_iter().map(Entry::Known).collect(), read_to));
    }
    let mut entries = Vec::with_capacity(events.len());
    let mut last = after;
    for event in events {
        fill(log, last, event.position, limit, &mut entries).await?;
        last = event.position;
        entries.push(Entry::Known(event));
    }
    fill(log, last, read_to.next(), limit, &mut entries).await?;
    Ok((entries, read_to))
}

/// Adds the unknown events between two positions, as far as the page has room. Positions have no
/// gaps, so if none is missing the store is not asked.
async fn fill(
    log: &dyn Store,
    after: Position,
    before: Position,
    limit: usize,
    entries: &mut Vec<Entry>,
) -> Result<(), LogError> {
    let missing = usize::try_from(after.next().behind(before)).unwrap_or(usize::MAX);
    let missing = missing.min(limit.saturating_sub(entries.len()));
    if missing > 0 {
        let rows = log.rows(after, missing).await?;
        entries.extend(rows.into_iter().filter(|row| row.position < before).map(Entry::Unknown));
    }
    Ok(())
}

impl Entry {
    pub(super) const fn position(&self) -> Position {
        match self {
            Self::Known(event) => event.position,
            Self::Unknown(row) => row.position,
        }
    }

    pub(super) fn hash(&self) -> &[u8] {
        match self {
            Self::Known(event) => &event.hash,
            Self::Unknown(row) => &row.hash,
        }
    }

    /// Whether the filter of the page selects it.
    pub(super) fn is_wanted(&self, filter: &Filter) -> bool {
        match self {
            Self::Known(event) => filter.matches(event),
            Self::Unknown(_) => filter.is_everything(),
        }
    }

    pub(super) fn line(&self) -> anyhow::Result<EventLine<'_>> {
        match self {
            Self::Known(event) => EventLine::new(event),
            Self::Unknown(row) => EventLine::of_row(row),
        }
    }
}

/// An event in machine-readable form.
#[derive(Serialize)]
pub(in crate::cli) struct EventLine<'a> {
    pub(super) position: Position,
    pub(super) stream: String,
    pub(super) version: Version,
    pub(super) id: Uuid,
    #[serde(rename = "type")]
    pub(super) event_type: &'a str,
    pub(super) schema_version: u64,
    pub(super) data: &'a RawValue,
    pub(super) actor: String,
    pub(super) correlation_id: Uuid,
    pub(super) causation_id: Uuid,
    pub(super) command_id: Uuid,
    pub(super) recorded_at: String,
}

impl<'a> EventLine<'a> {
    pub(in crate::cli) fn new(event: &'a RecordedEvent) -> anyhow::Result<Self> {
        Ok(Self {
            position: event.position,
            stream: event.stream.to_string(),
            version: event.version,
            id: event.event_id.uuid(),
            event_type: &event.event_type,
            schema_version: event.schema_version.into(),
            data: data(&event.payload)?,
            actor: event.meta.actor.to_string(),
            correlation_id: event.meta.correlation_id.uuid(),
            causation_id: event.meta.causation_id,
            command_id: event.meta.command_id.uuid(),
            recorded_at: time::rfc3339(event.meta.recorded_at),
        })
    }

    fn of_row(row: &'a StoredRow) -> anyhow::Result<Self> {
        Ok(Self {
            position: row.position,
            stream: format!("{}-{}", row.stream_kind, row.stream_id),
            version: row.version,
            id: row.event_id,
            event_type: &row.event_type,
            schema_version: row.schema_version,
            data: data(&row.payload)?,
            actor: row.actor.clone(),
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            command_id: row.command_id,
            recorded_at: Timestamp::from_timestamp_millis(row.recorded_at_ms).map(time::rfc3339).unwrap_or_default(),
        })
    }

    /// Version, position, time, type and content: the columns that differ within one stream.
    pub(in crate::cli) fn of_a_stream(&self) -> Vec<String> {
        vec![
            self.version.to_string(),
            self.position.to_string(),
            self.recorded_at.clone(),
            self.event_type.to_owned(),
            self.data.get().to_owned(),
        ]
    }
}

/// A payload as it is stored. One that is not JSON is damaged and shown as null.
fn data(payload: &str) -> serde_json::Result<&RawValue> {
    serde_json::from_str(payload).or_else(|_| serde_json::from_str("null"))
}

#[cfg(test)]
mod tests {
    use jangbu_store::SqliteStore;
    use jangbu_store::sqlite::Options;

    use super::*;

    const COLUMNS: &str = "position, stream_kind, stream_id, version, event_id, event_type, schema_version, payload, \
         correlation_id, causation_id, command_id, actor, trace, recorded_at, hash";

    /// A log of one event for each of these kinds of streams.
    async fn log(kinds: &[&str]) -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), Options::default()).unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        let database = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
        for (position, kind) in (1_i64..).zip(kinds) {
            let values = format!(
                "{position}, '{kind}', randomblob(16), 1, randomblob(16), '{kind}.spoke', 1, '{{\"said\":{position}}}', \
                 zeroblob(16), zeroblob(16), zeroblob(16), '{kind}:polly', null, 1000, zeroblob(32)"
            );
            database.execute(&format!("insert into events ({COLUMNS}) values ({values})"), []).unwrap();
        }
        let store = SqliteStore::open_read_only(folder.path(), Options::default()).unwrap();
        (folder, store)
    }

    /// Position and type of every event, read in pages of this size.
    async fn listed(store: &SqliteStore, limit: usize, filter: &ReadFilter) -> Vec<(Position, String)> {
        let (mut all, mut after) = (Vec::new(), Position::ZERO);
        while after < Position::new(7) {
            let (entries, read_to) = page(store, after, limit, filter).await.unwrap();
            assert!(entries.len() <= limit && read_to > after, "{} {after} {read_to}", entries.len());
            all.extend(entries.iter().map(|entry| (entry.position(), entry.line().unwrap().event_type.to_owned())));
            after = read_to;
        }
        all
    }

    #[tokio::test]
    async fn kinds_of_a_newer_release_are_listed_as_they_are_stored() {
        let kinds = ["parrot", "stock", "parrot", "parrot", "stock", "order", "parrot"];
        let (_folder, store) = log(&kinds).await;
        let everything: Vec<_> = Position::FIRST.onwards().zip(kinds.map(|kind| format!("{kind}.spoke"))).collect();
        for limit in 1..=8 {
            assert_eq!(listed(&store, limit, &ReadFilter::default()).await, everything, "{limit} at once");
        }
        let stock = ReadFilter { event_types: vec!["stock.spoke".to_owned()], correlation_id: None };
        assert_eq!(
            listed(&store, 3, &stock).await.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            [2, 5].map(Position::new)
        );
        let (entries, _) = page(&store, Position::new(3), 1, &ReadFilter::default()).await.unwrap();
        let line = serde_json::to_value(entries[0].line().unwrap()).unwrap();
        assert!(line["stream"].as_str().unwrap().starts_with("parrot-"), "{line}");
        assert_eq!((&line["data"]["said"], &line["actor"]), (&4.into(), &"parrot:polly".into()));
        assert_eq!(line["recorded_at"], "1970-01-01T00:00:01.000Z");
        store.close().await;
    }
}
