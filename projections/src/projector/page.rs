//! A page of the log: read once, decoded once, folded into all views.

use std::borrow::Borrow;

use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::macros::DecodeError;
use jangbu_kernel::{Position, RecordedEvent, StreamId, Timestamp, Version};

use super::ProjectorError;
use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError};
use crate::registry::VIEWS;
use crate::runtime::AnyView;
use crate::view::{Fact, Key};

/// Events of one page: one transaction, limited in memory and time.
pub(super) const PAGE: usize = 4_000;

/// An event that this program cannot read.
struct Unreadable {
    stream: StreamId,
    version: Version,
    position: Position,
    event_type: String,
    /// Whether the type itself is unknown: it may then concern any view of such streams.
    unknown: bool,
    reason: String,
}

/// Decoded events, in order.
pub(super) struct Page {
    pub facts: Vec<Fact>,
    unreadable: Vec<Unreadable>,
    /// The position up to which the log was read.
    pub end: Position,
    /// How many positions were read, whether or not their events are shown.
    pub events: usize,
    /// The stored hash of the event at `end`.
    pub hash: Option<[u8; 32]>,
}

impl Page {
    /// Reads and decodes the events after a position.
    pub async fn read(log: &dyn EventLog, after: Position, limit: usize) -> Result<Self, ProjectorError> {
        let (events, end) = log.follow(after, limit, &ReadFilter::default()).await.map_err(ProjectorError::Log)?;
        let mut page = Self::decode(&events, end);
        page.events = usize::try_from(after.behind(end)).unwrap_or(usize::MAX);
        let left_out = page.events.saturating_sub(events.len());
        if left_out > 0 {
            tracing::warn!(
                after = after.get(),
                end = end.get(),
                left_out,
                "{left_out} events of kinds that this release does not know are left out"
            );
        }
        if page.events == 0 {
            return Ok(page);
        }
        let last = events.last().filter(|event| event.position == end).map(|event| event.hash);
        page.hash = match last {
            // A damaged event comes without its hash.
            Some(hash) if hash != [0; 32] => Some(hash),
            Some(_) | None => log.hash_at(end).await.map_err(ProjectorError::Log)?,
        };
        Ok(page)
    }

    /// Decodes the events that show in any view.
    pub fn decode(events: &[impl Borrow<RecordedEvent>], end: Position) -> Self {
        let facts = Vec::with_capacity(events.len());
        let mut page = Self { facts, unreadable: Vec::new(), end, events: events.len(), hash: None };
        for event in events.iter().map(Borrow::<RecordedEvent>::borrow) {
            let kind = event.stream.kind;
            if !VIEWS.iter().any(|view| view.shows.kind() == kind) {
                continue;
            }
            match Fact::try_from(event) {
                Ok(fact) => page.facts.push(fact),
                Err(error) => page.unreadable.push(Unreadable {
                    stream: event.stream,
                    version: event.version,
                    position: event.position,
                    event_type: event.event_type.clone(),
                    unknown: matches!(error, DecodeError::UnknownType { .. }),
                    reason: error.to_string(),
                }),
            }
        }
        page
    }

    /// Loads the rows that the view needs before it can fold the page.
    pub async fn load_into(
        &self,
        engine: &Engine,
        view: &mut dyn AnyView,
        wanted: Vec<Key>,
    ) -> Result<(), EngineError> {
        if !wanted.is_empty() {
            let docs = engine.load(view.table(), view.spec(), wanted.clone()).await?;
            view.loaded(wanted, docs);
        }
        Ok(())
    }

    /// Folds the page into a view that has the rows it needs; returns the streams that it parked.
    pub fn fold_into(&self, view: &mut dyn AnyView, now: Timestamp) -> Vec<Parked> {
        let mut parked = Vec::new();
        let mut park = |view: &mut dyn AnyView, stream, position: Position, version, reason: String| {
            if view.parked().insert(stream) {
                // The reason names types and versions only, never a payload.
                tracing::error!(view = view.spec().name, %stream, position = position.get(), %reason, "stream parked in {}: {stream} at {position}: {reason}", view.spec().name);
                parked.push(Parked { view: view.spec().name.to_owned(), stream, position, version, reason, at: now });
            }
        };
        let mut unreadable = self.unreadable.iter().peekable();
        for fact in &self.facts {
            while let Some(bad) = unreadable.next_if(|bad| bad.position < fact.position) {
                if concerns(view, bad) {
                    park(view, bad.stream, bad.position, bad.version, bad.reason.clone());
                }
            }
            if let Err(error) = view.fold(fact) {
                park(view, fact.stream, fact.position, fact.version, error.to_string());
            }
        }
        for bad in unreadable {
            if concerns(view, bad) {
                park(view, bad.stream, bad.position, bad.version, bad.reason.clone());
            }
        }
        parked
    }
}

fn concerns(view: &dyn AnyView, bad: &Unreadable) -> bool {
    let shows = view.shows();
    if bad.unknown { shows.kind() == bad.stream.kind } else { shows.handles(bad.stream.kind, &bad.event_type) }
}
