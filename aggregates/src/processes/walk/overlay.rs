//! The states after what an append has written so far.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use jangbu_kernel::{StreamId, Version};

use super::Versioned;
use crate::event::DomainEvent;
use crate::state::{AnyState, States};

/// What an append has written to a stream.
#[derive(Default)]
struct Layer {
    /// The version of the stream before the append.
    before: Version,
    events: Vec<DomainEvent>,
    /// The state with all of the events folded in, once it has been read.
    state: OnceCell<AnyState>,
}

/// States with the writes of an append on top. A state is copied only when it is read after it was
/// written; a stock with a thousand reservations mostly is not.
pub(super) struct Overlay<'a, S> {
    below: &'a S,
    layers: BTreeMap<StreamId, Layer>,
    /// Streams that are new in this append: nothing is below.
    begun: BTreeMap<StreamId, AnyState>,
    /// The streams that the current decision has read.
    looked_at: RefCell<Vec<StreamId>>,
}

impl<'a, S: Versioned> Overlay<'a, S> {
    pub(super) const fn over(below: &'a S) -> Self {
        Self { below, layers: BTreeMap::new(), begun: BTreeMap::new(), looked_at: RefCell::new(Vec::new()) }
    }

    /// Takes a stream as empty, if it is not loaded.
    pub(super) fn begin(&mut self, stream: StreamId) {
        if !self.layers.contains_key(&stream) && self.below.any(stream).is_none() {
            self.begun.entry(stream).or_insert_with(|| AnyState::initial(stream.kind));
        }
    }

    /// The new streams that were written.
    pub(super) fn begun(&self) -> Vec<StreamId> {
        self.begun.keys().copied().filter(|stream| self.is_written(*stream)).collect()
    }

    /// Whether this append has written it.
    pub(super) fn is_written(&self, stream: StreamId) -> bool {
        self.layers.get(&stream).is_some_and(|layer| !layer.events.is_empty())
    }

    /// The version of a stream with what this append has written to it so far.
    pub(super) fn version_after(&self, stream: StreamId) -> Version {
        let layer = self.layers.get(&stream);
        layer.map_or_else(|| self.below.version(stream), |layer| layer.before.plus(layer.events.len() as u64))
    }

    /// Writes events on top; returns the version of the first of them.
    pub(super) fn write(&mut self, stream: StreamId, events: &[DomainEvent]) -> Version {
        let before = if self.begun.contains_key(&stream) { Version::ZERO } else { self.below.version(stream) };
        let layer = self.layers.entry(stream).or_insert_with(|| Layer { before, ..Layer::default() });
        if let Some(state) = layer.state.get_mut() {
            events.iter().for_each(|event| state.evolve(event));
        }
        let version = layer.before.plus(layer.events.len() as u64).next();
        layer.events.extend_from_slice(events);
        version
    }

    /// Returns what was read since the last call.
    pub(super) fn take_looked_at(&self) -> Vec<StreamId> {
        self.looked_at.take()
    }

    fn unwritten(&self, stream: StreamId) -> Option<&AnyState> {
        self.begun.get(&stream).or_else(|| self.below.any(stream))
    }
}

impl<S: Versioned> States for Overlay<'_, S> {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        let mut looked_at = self.looked_at.borrow_mut();
        if !looked_at.contains(&stream) {
            looked_at.push(stream);
        }
        drop(looked_at);
        let below = self.unwritten(stream)?;
        match self.layers.get(&stream) {
            Some(layer) if !layer.events.is_empty() => Some(layer.state.get_or_init(|| {
                let mut state = below.clone();
                layer.events.iter().for_each(|event| state.evolve(event));
                state
            })),
            Some(_) | None => Some(below),
        }
    }
}
