//! What a process is to those that run it: the walk, the dispatcher and the timers go over
//! [`PROCESSES`] and name none of them.

use jangbu_kernel::{AggregateKind, CommandId, StreamId, Timestamp};
use uuid::Uuid;

use super::fulfilment::{FirstInput, FulfilmentProcess, InputName};
use crate::command::AnyCommand;
use crate::event::DomainEvent;
use crate::state::States;

/// Every process there is.
pub const PROCESSES: &[&dyn Process] = &[&FulfilmentProcess];

/// An event that a process may learn from.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The stream it stands in.
    pub stream: StreamId,
    /// Its version there.
    pub version: u64,
    /// Its position and id, where it is in the log already.
    pub logged: Option<FirstInput>,
    /// The event.
    pub event: &'a DomainEvent,
}

/// A command that a process issued.
#[derive(Clone, Debug)]
pub struct IssuedTask {
    /// The id it went out with.
    pub command_id: CommandId,
    /// What is to be done.
    pub task: Task,
}

/// What a command of a process asks for, with its undo beside it.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name in logs and metrics: snake case.
    pub name: &'static str,
    /// How it is done.
    pub way: Way,
    /// How it is undone.
    pub undo: Undo,
}

/// How a command of a process is carried out.
#[derive(Clone, Debug)]
pub enum Way {
    /// By a command to aggregates, in the append in which it was issued.
    Plain(AnyCommand),
    /// By a call to the outside. What is asked before it is decided in the append in which it
    /// was issued, where there is something to be written before the call.
    Outside {
        /// What writes the intent.
        intent: Option<AnyCommand>,
    },
}

impl Way {
    /// What is decided where it is issued.
    #[must_use]
    pub const fn decided_at_once(&self) -> Option<&AnyCommand> {
        match self {
            Self::Plain(command) | Self::Outside { intent: Some(command) } => Some(command),
            Self::Outside { intent: None } => None,
        }
    }
}

/// How what a process did is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// By these commands of the process, as they are called.
    By(&'static [&'static str]),
    /// It leaves nothing to undo.
    Nothing,
    /// Not at all, and why that is right.
    Never(&'static str),
}

/// A process: it learns from the events of other streams, decides what is to be done, and has
/// it done by commands.
pub trait Process: Sync {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// The kind of its streams, one for each instance.
    fn kind(&self) -> AggregateKind;

    /// The instance that learns from an event; none when no instance does.
    fn learner(&self, stream: StreamId, event: &DomainEvent) -> Option<StreamId>;

    /// Has an instance take an event in.
    fn take_in(&self, instance: StreamId, told: Told<'_>) -> AnyCommand;

    /// Tells an instance that its command did nothing.
    fn refused(&self, instance: StreamId, command_id: CommandId, code: &str) -> AnyCommand;

    /// Lets a timer of an instance ring; none when it has no timer of this name.
    fn ring(&self, instance: StreamId, timer: &str, due_at: Timestamp) -> Option<AnyCommand>;

    /// The event by which an instance says that it was not told of these, and why.
    fn set_aside(&self, inputs: Vec<InputName>, reason: &str) -> DomainEvent;

    /// What goes out with an event, in its order: nothing with one of another stream.
    fn issued(&self, stream: StreamId, event: &DomainEvent) -> Vec<IssuedTask>;

    /// Streams that are looked at when something is written to this one, as far as can be told
    /// from what is loaded. Only a hint that saves rounds of loading.
    fn looks_at(&self, states: &dyn States, stream: StreamId) -> Vec<StreamId>;
}

/// The process whose streams are of this kind.
#[must_use]
pub fn process_of(kind: AggregateKind) -> Option<&'static dyn Process> {
    PROCESSES.iter().copied().find(|process| process.kind() == kind)
}

/// The id of the command that has an instance take an event in: the same for ever.
#[must_use]
pub fn input_command_id(instance: StreamId, stream: StreamId, version: u64) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/input/{stream}/{version}").as_bytes()))
}

/// The id of the command that tells an instance of a refusal.
#[must_use]
pub fn refusal_command_id(instance: StreamId, command_id: CommandId) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/refusal/{command_id}").as_bytes()))
}

/// The id under which an instance of this version says that it was set aside.
pub(super) fn set_aside_command_id(instance: StreamId, version: u64) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/set-aside/{version}").as_bytes()))
}
