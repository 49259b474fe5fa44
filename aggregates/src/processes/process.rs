//! What a process is to the code that runs it: the walk, the dispatcher and the timers iterate over
//! [`PROCESSES`] and name no single one.

use jangbu_kernel::{AggregateKind, CommandId, OrderId, PaymentId, RefundId, ShipmentId, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::fulfilment::{FirstInput, FulfilmentProcess, InputName};
use crate::command::AnyCommand;
use crate::event::DomainEvent;
use crate::state::States;

/// All processes.
pub const PROCESSES: &[&dyn Process] = &[&FulfilmentProcess];

/// An event that a process may learn from.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// Its version in that stream.
    pub version: Version,
    /// Its position and id, if it is already in the log.
    pub logged: Option<FirstInput>,
    /// The event.
    pub event: &'a DomainEvent,
}

/// A command that a process issued.
#[derive(Clone, Debug)]
pub struct IssuedTask {
    /// The id that it was issued with.
    pub command_id: CommandId,
    /// The order that it is about.
    pub order_id: OrderId,
    /// What is to be done.
    pub task: Task,
}

/// What a command of a process asks for, and how it is undone.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name in logs and metrics: snake case.
    pub name: &'static str,
    /// How it is done.
    pub way: Way,
    /// How it is undone.
    pub undo: Undo,
}

/// How a command of a process is executed.
#[derive(Clone, Debug)]
pub enum Way {
    /// By a command to aggregates, in the append in which it was issued.
    Plain(AnyCommand),
    /// By a call to a gateway or a carrier.
    Outside {
        /// The command that writes down what is about to be asked, decided in the append in which
        /// the call is issued; none where nothing has to be written before the call.
        intent: Option<AnyCommand>,
        /// The call.
        call: OutsideCall,
    },
}

/// A call to a gateway or a carrier. Every process can ask for any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideCall {
    /// Ask the gateway for a payment's money.
    Charge(PaymentId),
    /// Finish a charge whose challenge the buyer has met.
    ConfirmCharge(PaymentId),
    /// Ask the gateway what became of a charge.
    Inquire(PaymentId),
    /// Have the gateway void a charge, whatever became of it.
    NetCancel(PaymentId),
    /// Give the money of a requested refund back.
    Refund(PaymentId, RefundId),
    /// Ask the carrier for a parcel's label, for the time that the number says: 1 for the first.
    BookLabel(ShipmentId, u32),
    /// Call a parcel's label off, then the parcel, for this reason.
    CallOff(ShipmentId, String),
}

impl Way {
    /// The command that is decided in the append in which the task is issued.
    #[must_use]
    pub const fn decided_at_once(&self) -> Option<&AnyCommand> {
        match self {
            Self::Plain(command) | Self::Outside { intent: Some(command), .. } => Some(command),
            Self::Outside { intent: None, .. } => None,
        }
    }
}

/// How the effect of a command of a process is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// By these commands of the process, given by their names.
    By(&'static [&'static str]),
    /// It leaves nothing to undo.
    Nothing,
    /// It is never undone, for this reason.
    Never(&'static str),
}

/// A process: it learns from the events of other streams, decides what is to be done, and issues
/// commands for it.
pub trait Process: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The kind of its streams, one for each instance.
    fn kind(&self) -> AggregateKind;

    /// The instance that learns from an event; none if no instance does.
    fn learner(&self, stream: StreamId, event: &DomainEvent) -> Option<StreamId>;

    /// The command by which an instance takes an event in.
    fn take_in(&self, instance: StreamId, told: Told<'_>) -> AnyCommand;

    /// The command that tells an instance that its command was refused.
    fn refused(&self, instance: StreamId, command_id: CommandId, code: &str) -> AnyCommand;

    /// The command for a due timer of an instance; none if it has no timer of this name.
    fn ring(&self, instance: StreamId, timer: &str, due_at: Timestamp) -> Option<AnyCommand>;

    /// The event that records which inputs an instance was not told of, and why.
    fn set_aside(&self, inputs: Vec<InputName>, reason: &str) -> DomainEvent;

    /// The types of the events of its streams that those who carry out its commands read.
    fn issuing(&self) -> &'static [&'static str];

    /// The commands that an event issues, in its order; none for an event of another stream.
    fn issued(&self, stream: StreamId, event: &DomainEvent) -> Vec<IssuedTask>;

    /// Streams that are read when something is written to this one, as far as the loaded states
    /// tell. Only a hint, which saves rounds of loading.
    fn looks_at(&self, states: &dyn States, stream: StreamId) -> Vec<StreamId>;
}

/// The process whose streams are of this kind.
#[must_use]
pub fn process_of(kind: AggregateKind) -> Option<&'static dyn Process> {
    PROCESSES.iter().copied().find(|process| process.kind() == kind)
}

/// The id of the command by which an instance takes an event in; it never changes.
#[must_use]
pub fn input_command_id(instance: StreamId, stream: StreamId, version: Version) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/input/{stream}/{version}").as_bytes()))
}

/// The id of the command that tells an instance of a refusal.
#[must_use]
pub fn refusal_command_id(instance: StreamId, command_id: CommandId) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/refusal/{command_id}").as_bytes()))
}

/// The id of the command that records that an instance was set aside at this version.
pub(super) fn set_aside_command_id(instance: StreamId, version: Version) -> CommandId {
    CommandId::new(Uuid::new_v5(&instance.id, format!("{instance}/set-aside/{version}").as_bytes()))
}
