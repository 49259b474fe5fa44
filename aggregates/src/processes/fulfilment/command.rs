//! The commands and the inputs of the process.

use jangbu_kernel::{CommandId, Money, OrderId, Remark, StreamId, Timestamp, Version};

use super::event::{FirstInput, OperatorAction, TimerName};
use crate::event::DomainEvent;

/// A command of the process.
#[derive(Clone, Debug, PartialEq)]
pub enum FulfilmentCommand {
    /// Starts the process, because the order is being placed.
    Start {
        /// The order.
        order_id: OrderId,
        /// The amount to be paid.
        total: Money,
        /// When the order expires, if it is still unpaid then.
        payment_deadline: Timestamp,
    },
    /// Takes an input in.
    Take(FulfilmentInput),
    /// A person decides about a parked process.
    Resolve {
        /// Try again, take as done, or undo.
        action: OperatorAction,
        /// The operator's reason, for the audit trail.
        reason: Remark,
    },
}

/// An input of the process.
#[derive(Clone, Debug, PartialEq)]
pub enum FulfilmentInput {
    /// An event of the order, its payments or its shipments.
    Event {
        /// The stream of the event; it names the order, the payment or the shipment.
        stream: StreamId,
        /// Its version in that stream, by which the same event is taken in only once.
        version: Version,
        /// Its position and id, by which an earlier version named it; none if it is not in the log
        /// yet.
        logged: Option<FirstInput>,
        /// The event.
        event: Box<DomainEvent>,
    },
    /// A timer of the process is due.
    Timer {
        /// The timer that is due.
        timer: TimerName,
        /// When it was due. A timer that was moved since is ignored.
        due_at: Timestamp,
    },
    /// A command that the process issued was refused and did nothing.
    CommandRefused {
        /// The command that was refused.
        command_id: CommandId,
        /// The stable code of the refusal.
        code: String,
    },
}
