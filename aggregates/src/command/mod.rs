//! The commands of the shop, and what is known of every command apart from its content.
//!
//! A command is one file in [`commands`](crate::commands): its content, who may send it, which
//! streams it reads, and its decision. This module has what all of them have in common. Code that
//! executes commands holds an [`AnyCommand`].

mod append;
mod permission;
mod rules;
mod streams;

#[cfg(test)]
mod spec;

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;
use std::sync::Arc;

use jangbu_kernel::{Refusal, StreamId, UserId};
use uuid::Uuid;

use crate::checks;
use crate::event::DomainEvent;
use crate::facts::{Facts, Scope};
use crate::state::{Missing, States};

pub use append::{Added, Append, Stop};
pub use permission::{Permission, allows};
pub use rules::{Key, Reach, Rules};
pub(crate) use streams::{add_lines, add_open_payment, add_parcel, add_payment};

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// These events are to be appended, all or nothing, in this order of streams. Each stream
    /// appears once. A stream without events had nothing to add, which only holds for the version
    /// that was read; at least one stream has events.
    Record(Vec<(StreamId, Vec<DomainEvent>)>),
    /// The effect is already there.
    AlreadyDone,
    /// The shop refuses the command.
    Refused(Refusal),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The owner of the thing that a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user.
    User(UserId),
    /// The shop: the thing does not exist for a caller who may only touch their own.
    Shop,
    /// It does not exist; the decision says what that means.
    Nobody,
}

impl From<Option<UserId>> for Owner {
    fn from(user_id: Option<UserId>) -> Self {
        user_id.map_or(Self::Nobody, Self::User)
    }
}

/// A command to the shop: one decision and one append.
///
/// The decision is pure. It reads states and [`Facts`], and returns events per stream.
pub trait Command: Debug + Send + Sync + 'static {
    /// Its name, who may send it, whether it needs an idempotency key, its refusals.
    const RULES: Rules;

    /// The stream whose resource is the answer, and whose version `If-Match` refers to.
    fn subject(&self) -> StreamId;

    /// The owner of the subject.
    ///
    /// # Errors
    /// [`Missing`]: a stream that is not loaded.
    fn owner(&self, states: &dyn States) -> Result<Owner, Missing>;

    /// Adds the streams beside the subject that the decision will read, as far as the command and
    /// the states loaded so far name them. A hint that saves rounds of loading: the decision asks
    /// for streams that are not named here.
    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        let (_, _) = (states, streams);
    }

    /// Adds the streams that begin with this command, so that they need not be loaded: their ids
    /// were made for it. If it was executed before, the append finds a version that it did not
    /// expect; load them then.
    fn begins(&self, streams: &mut Vec<StreamId>) {
        let _ = streams;
    }

    /// Separates the idempotency keys of callers who are not logged in: their keys belong to this,
    /// such as the claim on an address, and not to all of them together.
    fn anonymous_key_scope(&self) -> Option<Uuid> {
        None
    }

    /// Decides.
    ///
    /// # Errors
    /// [`Stop`]: a refusal, or a stream to load before deciding again.
    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop>;
}

/// A [`Command`] without its type.
pub trait ErasedCommand: Debug + Send + Sync {
    /// The rules of the command.
    fn rules(&self) -> &'static Rules;
    /// See [`Command::subject`].
    fn subject(&self) -> StreamId;
    /// See [`Command::begins`].
    fn begins(&self, streams: &mut Vec<StreamId>);
    /// See [`Command::anonymous_key_scope`].
    fn anonymous_key_scope(&self) -> Option<Uuid>;
    /// The streams to load together before deciding: the subject and what [`Command::looks_at`]
    /// names.
    fn streams(&self, states: &dyn States) -> Vec<StreamId>;
    /// Decides. What is outside the caller's scope does not exist for them.
    ///
    /// # Errors
    /// [`Missing`]: load that stream and decide again.
    fn decide(&self, states: &dyn States, facts: &Facts) -> Result<Outcome, Missing>;

    /// The command's name in logs, metrics and `allowed_commands`: snake case.
    fn name(&self) -> &'static str {
        self.rules().name
    }
}

impl<C: Command> ErasedCommand for C {
    fn rules(&self) -> &'static Rules {
        const { &C::RULES }
    }
    fn subject(&self) -> StreamId {
        Command::subject(self)
    }
    fn begins(&self, streams: &mut Vec<StreamId>) {
        Command::begins(self, streams);
    }
    fn anonymous_key_scope(&self) -> Option<Uuid> {
        Command::anonymous_key_scope(self)
    }
    fn streams(&self, states: &dyn States) -> Vec<StreamId> {
        let mut streams = vec![Command::subject(self)];
        self.looks_at(states, &mut streams);
        streams
    }
    fn decide(&self, states: &dyn States, facts: &Facts) -> Result<Outcome, Missing> {
        match within_reach(self, states, facts.scope)? {
            Ok(()) => append::run(states, facts, |append| Command::decide(self, append)),
            Err(refusal) => Ok(refusal.into()),
        }
    }
}

/// Refuses what is outside the caller's scope, as if it did not exist.
fn within_reach<C: Command>(command: &C, states: &dyn States, scope: Scope) -> Result<Result<(), Refusal>, Missing> {
    let Scope::Own(caller) = scope else {
        return Ok(Ok(()));
    };
    match command.owner(states)? {
        Owner::User(owner) if owner == caller => Ok(Ok(())),
        Owner::Nobody => Ok(Ok(())),
        Owner::User(_) | Owner::Shop => Ok(Err(checks::not_found(Command::subject(command).kind.name()))),
    }
}

/// Any command, shared: a copy costs nothing.
#[derive(Clone)]
pub struct AnyCommand(Arc<dyn ErasedCommand>);

impl<C: Command> From<C> for AnyCommand {
    fn from(command: C) -> Self {
        Self(Arc::new(command))
    }
}

impl Deref for AnyCommand {
    type Target = dyn ErasedCommand;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl Debug for AnyCommand {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
