//! The shape of every decision: pure, synchronous, total.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;
use crate::stream::AggregateKind;

/// The result of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E> {
    /// These facts are to be recorded, at least one.
    Record(Vec<E>),
    /// The command's effect is already there; nothing to record.
    AlreadyDone,
    /// The shop refuses the command.
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

/// An aggregate: `Default` is its state before the first event, [`decide`] turns a command into
/// events, [`evolve`] folds an event into the state.
///
/// A state keeps only what a later decision reads. It is serialised for snapshots.
/// [`STATE_VERSION`] is raised whenever the shape or the meaning of the state changes; older
/// snapshots are then ignored and the whole stream is folded. A test compares the shape with the
/// one that was recorded for the version.
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
    /// Its commands.
    type Command;
    /// What a decision gets from outside: time, ids, rules. A decision reads no clock and makes no
    /// ids itself.
    type Facts: ?Sized;

    /// Decides. The order inside is: whether it is already done, then refusals, the cheapest first,
    /// then the events.
    fn decide(&self, command: &Self::Command, facts: &Self::Facts) -> Decision<Self::Event>;

    /// Folds one event into the state. It never fails: an event that changes nothing is not an
    /// error.
    fn evolve(&mut self, event: &Self::Event);
}
