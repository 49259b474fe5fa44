//! What the process can see and what can be asked of it.

use jangbu_kernel::{CommandId, Money, OrderId, Remark, StreamId, Timestamp};

use super::event::{FirstInput, OperatorAction, TimerName};
use crate::event::DomainEvent;

/// What can be asked of the process.
#[derive(Clone, Debug, PartialEq)]
pub enum FulfilmentCommand {
    /// The order is being placed.
    Start {
        /// Which order.
        order_id: OrderId,
        /// What is to be paid.
        total: Money,
        /// Unpaid at this moment, it expires.
        payment_deadline: Timestamp,
    },
    /// Take an input in.
    Take(FulfilmentInput),
    /// A person decides a parked process.
    Resolve {
        /// Try again, take as done, or undo.
        action: OperatorAction,
        /// The operator's reason, for the audit trail.
        reason: Remark,
    },
}

/// What the process can see.
#[derive(Clone, Debug, PartialEq)]
pub enum FulfilmentInput {
    /// An event of the order, its payments or its shipments.
    Event {
        /// The stream it stands in: names the order, the payment or the shipment.
        stream: StreamId,
        /// Its version there: the same event is taken in once.
        version: u64,
        /// How an earlier version named it, where it was in the log before it is taken in.
        logged: Option<FirstInput>,
        /// The event.
        event: Box<DomainEvent>,
    },
    /// A timer of the process is due.
    Timer {
        /// The timer that is due.
        timer: TimerName,
        /// When it was due: a timer that was moved since does not ring.
        due_at: Timestamp,
    },
    /// A command that the process issued was refused: it did nothing.
    CommandRefused {
        /// The command that was refused.
        command_id: CommandId,
        /// The stable code of the refusal.
        code: String,
    },
}
