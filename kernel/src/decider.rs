//! The shape of every decision: pure, synchronous, total.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;
use crate::stream::AggregateKind;

/// What a decision came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E> {
    /// These facts are to be recorded, at least one.
    Record(Vec<E>),
    /// The command's effect is already there; nothing to record.
    AlreadyDone,
    /// The shop says no.
    Refused(Refusal),
}

impl<E> Decision<E> {
    /// Records a single event.
    pub fn one(event: impl Into<E>) -> Self {
        Self::Record(vec![event.into()])
    }
}

impl<E> From<Refusal> for Decision<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An aggregate: `Default` is its state before the first event, [`decide`] turns
/// a command into events, [`evolve`] folds an event into the state.
///
/// A state keeps only what a later decision reads. It serialises for snapshots;
/// [`STATE_VERSION`] is raised whenever its shape or its meaning changes, which makes older
/// snapshots be ignored and the stream be folded whole. A test holds the shape against
/// the one that was recorded with the version.
///
/// [`decide`]: Decider::decide
/// [`evolve`]: Decider::evolve
/// [`STATE_VERSION`]: Decider::STATE_VERSION
pub trait Decider: Default + Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The kind of stream it owns.
    const KIND: AggregateKind;
    /// Version of the serialised state.
    const STATE_VERSION: u16;
    /// Its events.
    type Event;
    /// What can be asked of it.
    type Command;
    /// What the outside gives to a decision: time, ids, rules. Nothing is minted inside.
    type Facts: ?Sized;

    /// Decides. Order inside: already done? then refusals, cheapest first, then events.
    fn decide(&self, command: &Self::Command, facts: &Self::Facts) -> Decision<Self::Event>;

    /// Folds one event into the state. Total: an event that changes nothing is not an error.
    fn evolve(&mut self, event: &Self::Event);
}
