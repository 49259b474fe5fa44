//! A page of the log: read once, decoded once, folded into all views.

use jangbu_kernel::macros::DecodeError;
use jangbu_kernel::{RecordedEvent, StreamId, Timestamp};

use crate::engine::meta::Parked;
use crate::engine::{Engine, EngineError};
use crate::registry::VIEWS;
use crate::runtime::AnyView;
use crate::view::Fact;

/// Events of one page: one transaction, bounded in memory and in time.
pub(super) const PAGE: usize = 4_000;

/// An event that this program cannot read.
struct Unreadable {
    stream: StreamId,
    version: u64,
    position: u64,
    event_type: String,
    /// The type itself is unknown: any view of such streams may be concerned.
    unknown: bool,
    reason: String,
}

/// Decoded events, in order.
pub(super) struct Page {
    facts: Vec<Fact>,
    unreadable: Vec<Unreadable>,
    /// The log is read up to here.
    pub end: u64,
    /// How many events were read, shown or not.
    pub events: usize,
}

impl Page {
    /// Decodes what shows in any view.
    pub fn decode(events: &[RecordedEvent], end: u64) -> Self {
        let mut page =
            Self { facts: Vec::with_capacity(events.len()), unreadable: Vec::new(), end, events: events.len() };
        for event in events {
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

    /// Folds the page into a view; answers with the streams that it parked.
    pub async fn fold_into(
        &self,
        engine: &Engine,
        view: &mut dyn AnyView,
        now: Timestamp,
    ) -> Result<Vec<Parked>, EngineError> {
        let keys = view.wanted(&self.facts);
        if !keys.is_empty() {
            let docs = engine.load(view.table(), view.spec(), keys.clone()).await?;
            view.loaded(keys, docs);
        }
        let mut parked = Vec::new();
        let mut park = |view: &mut dyn AnyView, stream, position, version, reason: String| {
            if view.parked().insert(stream) {
                // The reason names types and versions only, never a payload.
                tracing::error!(view = view.spec().name, %stream, position, %reason, "stream parked in {}: {stream} at {position}: {reason}", view.spec().name);
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
        Ok(parked)
    }
}

fn concerns(view: &dyn AnyView, bad: &Unreadable) -> bool {
    let shows = view.shows();
    if bad.unknown { shows.kind() == bad.stream.kind } else { shows.handles(bad.stream.kind, &bad.event_type) }
}
