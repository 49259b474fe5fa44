//! The append that a decision over several aggregates builds.

use jangbu_kernel::{Decision, Refusal, StreamId};
use uuid::Uuid;

use super::Outcome;
use crate::event::DomainEvent;
use crate::facts::Facts;
use crate::state::{Aggregate, AnyState, Missing, States};

/// Why a decision stops.
#[derive(Debug)]
pub enum Stop {
    /// A state is not loaded.
    Missing(Missing),
    /// An aggregate, or a rule over several, refuses; nothing is recorded anywhere.
    Refused(Refusal),
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What an aggregate added to the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Events.
    Events,
    /// Nothing, because the effect is already there.
    Nothing,
}

/// Events per stream, in the order in which the streams were first asked.
pub struct Append<'a> {
    states: &'a dyn States,
    facts: &'a Facts,
    streams: Vec<(StreamId, Vec<DomainEvent>)>,
}

impl<'a> Append<'a> {
    pub(crate) const fn new(states: &'a dyn States, facts: &'a Facts) -> Self {
        Self { states, facts, streams: Vec::new() }
    }

    /// Time, rules and the caller's scope.
    pub(crate) const fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// The state before this decision.
    pub(crate) fn before<A: Aggregate>(&self, id: impl Into<Uuid>) -> Result<&'a A, Missing> {
        self.states.get(id)
    }

    /// The state before this decision, for a stream that is not written but must not change: the
    /// append expects it at the version that was read.
    pub(crate) fn unmoved<A: Aggregate>(&mut self, id: impl Into<Uuid>) -> Result<&'a A, Missing> {
        let stream = StreamId::new(A::KIND, id.into());
        let state = self.states.get(stream.id)?;
        if self.streams.iter().all(|(touched, _)| *touched != stream) {
            self.streams.push((stream, Vec::new()));
        }
        Ok(state)
    }

    /// Asks an aggregate for its part. What this decision has added to its stream so far counts:
    /// the second command to an aggregate sees what the first one did.
    pub(crate) fn ask<A: Aggregate>(&mut self, id: impl Into<Uuid>, command: &A::Command) -> Result<Added, Stop> {
        let stream = StreamId::new(A::KIND, id.into());
        let known = self.streams.iter().position(|(touched, _)| *touched == stream);
        let added = known.and_then(|place| self.streams.get(place)).filter(|(_, events)| !events.is_empty());
        let decision = match added {
            // The usual case borrows the state, so that a stock with a thousand reservations is not
            // copied.
            None => self.states.get::<A>(stream.id)?.decide(command, self.facts),
            Some((_, events)) => {
                let state = evolved(self.states, stream, events)?;
                A::from_any(&state).ok_or(Missing(stream))?.decide(command, self.facts)
            }
        };
        match decision {
            Decision::Refused(refusal) => Err(refusal.into()),
            Decision::AlreadyDone => {
                // That there is nothing to do is a part of the decision. Like an event, it has to
                // be based on the stream's newest version.
                if known.is_none() {
                    self.streams.push((stream, Vec::new()));
                }
                Ok(Added::Nothing)
            }
            Decision::Record(events) => {
                let events = events.into_iter().map(Into::into);
                match known.and_then(|place| self.streams.get_mut(place)) {
                    Some((_, earlier)) => earlier.extend(events),
                    None => self.streams.push((stream, events.collect())),
                }
                Ok(Added::Events)
            }
        }
    }

    /// The state after what this decision has added so far.
    pub(crate) fn after<A: Aggregate>(&self, id: impl Into<Uuid>) -> Result<A, Missing> {
        let stream = StreamId::new(A::KIND, id.into());
        let added = self.streams.iter().find(|(touched, _)| *touched == stream);
        let state = evolved(self.states, stream, added.map_or(&[], |(_, events)| events))?;
        A::from_any(&state).cloned().ok_or(Missing(stream))
    }

    /// Asks an aggregate for its part, when it does not matter whether it added anything.
    pub(crate) fn only<A: Aggregate>(&mut self, id: impl Into<Uuid>, command: &A::Command) -> Result<(), Stop> {
        self.ask::<A>(id, command).map(|_| ())
    }

    /// The outcome. A stream without events is one that an aggregate had nothing to add to, or that
    /// must not change.
    pub(crate) fn finish(self) -> Outcome {
        let nothing = self.streams.iter().all(|(_, events)| events.is_empty());
        if nothing { Outcome::AlreadyDone } else { Outcome::Record(self.streams) }
    }
}

fn evolved(states: &dyn States, stream: StreamId, events: &[DomainEvent]) -> Result<AnyState, Missing> {
    let mut state = states.any(stream).ok_or(Missing(stream))?.clone();
    for event in events {
        state.evolve(event);
    }
    Ok(state)
}

/// Runs a decision. A refusal is an outcome, a missing state is an error.
pub(super) fn run(
    states: &dyn States,
    facts: &Facts,
    decision: impl FnOnce(&mut Append<'_>) -> Result<(), Stop>,
) -> Result<Outcome, Missing> {
    let mut append = Append::new(states, facts);
    match decision(&mut append) {
        Ok(()) => Ok(append.finish()),
        Err(Stop::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
        Err(Stop::Missing(missing)) => Err(missing),
    }
}
