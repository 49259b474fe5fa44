//! What the process manager saw, decided and sent for one order. Storage format.
//!
//! This stream is the process's inbox and outbox in one: what it is to do is an
//! event before it is done, and what it has seen is an event once it is handled.

use jangbu_kernel::{
    CommandId, EventId, Money, OrderId, PaymentId, Position, RefundId, Remark, ReturnId, ShipmentId, StreamId,
    Timestamp, Version, events,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reason::ParkReason;
use crate::event::in_the_clear;

events! {
    /// What happened to the fulfilment of an order.
    pub enum FulfilmentEvent {
        "fulfilment.started" v 1 => Started(FulfilmentStarted),
        "fulfilment.input_received" v 2 => InputReceived(InputReceived) { 1 => named_by_position },
        "fulfilment.inputs_set_aside" v 1 => InputsSetAside(InputsSetAside),
        "fulfilment.step_entered" v 1 => StepEntered(StepEntered),
        "fulfilment.command_issued" v 1 => CommandIssued(CommandIssued),
        "fulfilment.command_refused" v 1 => CommandRefused(CommandRefused),
        "fulfilment.timer_set" v 1 => TimerSet(TimerSet),
        "fulfilment.timer_cancelled" v 1 => TimerCancelled(TimerCancelled),
        "fulfilment.timer_reached" v 1 => TimerReached(TimerReached),
        "fulfilment.compensation_started" v 1 => CompensationStarted(CompensationStarted),
        "fulfilment.parked" v 1 => Parked(FulfilmentParked),
        "fulfilment.operator_resolved" v 2 => OperatorResolved(OperatorResolved) { 1 => in_the_clear },
        "fulfilment.ended" v 1 => Ended(FulfilmentEnded),
    }
}

/// An order was placed; its process begins, in the same append.
///
/// It says all that follows from the placing: the process waits for the payment, and the
/// timer of the deadline is set. Every order has this event, and most that are never paid
/// have no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FulfilmentStarted {
    /// Which order.
    pub order_id: OrderId,
    /// What is to be paid.
    pub total: Money,
    /// Unpaid at this moment, it expires.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub payment_deadline: Timestamp,
    /// The event that it began with, where the placing did not begin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_input: Option<FirstInput>,
}

/// The `order.placed` that a process began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct FirstInput {
    /// Its position in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
}

impl FulfilmentEvent {
    /// The commands that go out with it, in their order.
    #[must_use]
    pub const fn issued(&self) -> &[CommandIssued] {
        match self {
            Self::CommandIssued(issued) => std::slice::from_ref(issued),
            Self::InputReceived(input) => input.issued.as_slice(),
            Self::Started(_)
            | Self::StepEntered(_)
            | Self::InputsSetAside(_)
            | Self::CommandRefused(_)
            | Self::TimerSet(_)
            | Self::TimerCancelled(_)
            | Self::TimerReached(_)
            | Self::CompensationStarted(_)
            | Self::Parked(_)
            | Self::OperatorResolved(_)
            | Self::Ended(_) => &[],
        }
    }

    /// The step that the process is in from here on, where it says one.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Started(_) => Some(Step::AwaitingPayment),
            Self::InputReceived(input) => input.step,
            Self::StepEntered(entered) => Some(entered.step),
            Self::InputsSetAside(_)
            | Self::CommandIssued(_)
            | Self::CommandRefused(_)
            | Self::TimerSet(_)
            | Self::TimerCancelled(_)
            | Self::TimerReached(_)
            | Self::CompensationStarted(_)
            | Self::Parked(_)
            | Self::OperatorResolved(_)
            | Self::Ended(_) => None,
        }
    }
}

impl FulfilmentStarted {
    /// The timer that it sets.
    #[must_use]
    pub const fn timer(&self) -> (TimerName, Timestamp) {
        (TimerName::PaymentDeadline, self.payment_deadline)
    }
}

/// Which event of another stream an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputName {
    /// As version 1 named it, which was taken in after it was in the log.
    Logged(FirstInput),
    /// By its place in its stream, which is known before it is in the log.
    Event {
        /// Its stream.
        stream: StreamId,
        /// Its version there.
        version: Version,
    },
}

/// An event of another stream was taken note of, and this is what it led to at once. It stands
/// in the append of that event.
///
/// One event and not one for each: most of what a process does follows from an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputReceived {
    /// Which event: the same one is taken in once.
    pub input: InputName,
    /// Its type.
    pub event_type: String,
    /// What of it the process keeps in mind: its state is a fold of this stream alone.
    pub fact: ProcessFact,
    /// Where the process moved on to, as `fulfilment.step_entered` says it elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The commands that go out, in this order, each as `fulfilment.command_issued` says it
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued: Vec<CommandIssued>,
}

/// Version 1 named the event by its position and id.
fn named_by_position(payload: &mut Map<String, Value>) {
    let named = ["position", "event_id"].map(|name| (name.to_owned(), payload.remove(name).unwrap_or_default()));
    let logged = Value::Object(named.into_iter().collect());
    payload.insert("input".to_owned(), Value::Object(Map::from_iter([("logged".to_owned(), logged)])));
}

/// Events were decided that the process could not take in with them: reading it or deciding
/// what follows broke off. It is left alone until everything can be read again; then it
/// catches up with them, and with the commands that it issued in that append.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputsSetAside {
    /// Which events.
    pub inputs: Vec<InputName>,
    /// Why, a code.
    pub reason: String,
}

/// What the process learns from an event of another stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessFact {
    /// The order stands.
    OrderPlaced,
    /// The order took note of a failed payment.
    OrderPaymentFailed {
        /// Which.
        payment_id: PaymentId,
    },
    /// The order is paid.
    OrderPaid {
        /// By which payment; none when there was nothing to pay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<PaymentId>,
    },
    /// Every parcel arrived.
    OrderDelivered,
    /// It is done.
    OrderCompleted,
    /// It is to be called off.
    OrderCancellationRequested,
    /// It is called off.
    OrderCancelled,
    /// It was not paid in time.
    OrderExpired,
    /// It could not be carried out.
    OrderFailed,
    /// It took note of money that came too late.
    OrderLatePayment {
        /// Of which payment.
        payment_id: PaymentId,
    },
    /// A further parcel replaces one that is to be cancelled.
    OrderParcelReplaced {
        /// The one that is to be cancelled.
        shipment_id: ShipmentId,
    },
    /// It is on hold.
    OrderHeld,
    /// It is not on hold any more.
    OrderReleased,
    /// Goods of it are to come back.
    OrderReturnOpened {
        /// By which return.
        return_id: ReturnId,
    },
    /// A return of its goods has ended.
    OrderReturnEnded {
        /// The return.
        return_id: ReturnId,
    },
    /// Of a payment.
    Payment {
        /// Which.
        payment_id: PaymentId,
        /// What.
        news: PaymentNews,
    },
    /// Of a parcel.
    Shipment {
        /// Which.
        shipment_id: ShipmentId,
        /// What.
        news: ShipmentNews,
    },
}

/// What the process learns of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentNews {
    /// Somebody wants to pay.
    Requested,
    /// The buyer has to do something.
    ChallengeRequired,
    /// The buyer did it.
    ChallengeConfirmed,
    /// The buyer pays at a page or by a transfer; the gateway tells of it, or is asked.
    DepositAwaited,
    /// The answer is lost.
    OutcomeUnknown,
    /// An inquiry could not tell.
    InquiryUndecided {
        /// Whether the gateway had never heard of the charge.
        not_found: bool,
    },
    /// A void is to be asked for.
    NetCancelRequested,
    /// The money is here.
    Captured {
        /// How much.
        amount: Money,
    },
    /// No money was taken, or it was called off.
    Ended {
        /// Why, a code.
        reason: String,
    },
    /// The gateway speaks of another amount.
    Mismatch,
    /// Money is to go back.
    RefundRequested {
        /// By which refund.
        refund_id: RefundId,
        /// How much.
        amount: Money,
    },
    /// All of a refund is back.
    RefundSettled {
        /// Which.
        refund_id: RefundId,
    },
    /// Nothing of a refund is back.
    RefundRefused {
        /// Which.
        refund_id: RefundId,
    },
}

/// What the process learns of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentNews {
    /// A label is to be asked for.
    Requested,
    /// The carrier refused.
    Refused {
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// There is a label.
    Ready,
    /// The carrier has it.
    Dispatched,
    /// It is handed over.
    Delivered,
    /// It is back at the shop.
    Returned,
    /// It is gone.
    Lost,
    /// It is called off.
    Cancelled,
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Step {
    /// Not begun.
    #[default]
    NotStarted,
    /// Waiting for the buyer to pay.
    AwaitingPayment,
    /// The gateway is being asked for the money.
    Capturing,
    /// Waiting for the buyer to meet the gateway's challenge.
    AwaitingChallenge,
    /// Waiting for what the buyer pays at a page of the gateway's or of a bank.
    AwaitingDeposit,
    /// The gateway's answer is lost; it is being asked what became of the charge.
    Inquiring,
    /// Captured; order, stock and points are being settled.
    Confirming,
    /// The carrier is being asked for a label.
    Shipping,
    /// Ready or under way.
    Delivering,
    /// Arrived; the buyer may still object.
    AwaitingCompletion,
    /// Called off by a person; being undone.
    Cancelling,
    /// Failed for good; being undone.
    Compensating,
    /// Money came after the end; being returned.
    ReturningLatePayment,
    /// Cannot go on without a person.
    NeedsOperator,
    /// At its end.
    Ended,
}

/// The process moved on, where the event of its input does not say so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepEntered {
    /// To here.
    pub step: Step,
}

/// A command goes out: part of the event of its input, or an event of its own where another
/// one stands between. It is carried out at least once and acts once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandIssued {
    /// UUID v5 of (stream, input, ordinal): the same decision gives the same id.
    /// One id, one set of events: the receipt's key has it when it is carried out.
    pub command_id: CommandId,
    /// What is to be done.
    pub command: ProcessCommand,
}

/// A command was refused and did nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRefused {
    /// Which.
    pub command_id: CommandId,
    /// The stable code of the refusal.
    pub code: String,
}

/// What the process can ask for. Those marked "outside" talk to the world; every
/// other is a command to aggregates. Each do has its undo beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProcessCommand {
    /// Outside: ask the gateway for the money. Undo: refund, or net-cancel while unknown.
    CapturePayment {
        /// Which.
        payment_id: PaymentId,
    },
    /// Outside: finish a charge whose challenge was met. Undo: as above.
    ConfirmCharge {
        /// Which.
        payment_id: PaymentId,
    },
    /// Outside: ask what became of a charge. Nothing to undo.
    InquirePayment {
        /// Which.
        payment_id: PaymentId,
        /// Which rung of the ladder, from 1.
        attempt: u32,
    },
    /// Outside: void whatever happened under the charge's key. Irreversible: it is itself an undo.
    NetCancelPayment {
        /// Which.
        payment_id: PaymentId,
        /// Why.
        reason: String,
    },
    /// Order paid, stock allocated, points captured, in one append. Undo: finish a
    /// cancellation, or fail the order.
    ConfirmOrder {
        /// By which payment.
        payment_id: PaymentId,
    },
    /// The order takes note of a failed payment and the payment's held points are released.
    /// Irreversible: it is itself an undo.
    RecordPaymentFailure {
        /// Which.
        payment_id: PaymentId,
        /// The reason code.
        reason: String,
    },
    /// Expire the unpaid order and release its stock. Irreversible.
    ExpireOrder,
    /// Open a shipment, start the order's preparation. Undo: cancel the shipment.
    RequestShipment {
        /// Which.
        shipment_id: ShipmentId,
    },
    /// Outside: ask the carrier for a label. Undo: cancel the shipment.
    BookCarrier {
        /// Which.
        shipment_id: ShipmentId,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Outside: call the label off, then the shipment. Irreversible: it is itself an undo.
    CancelShipment {
        /// Which.
        shipment_id: ShipmentId,
        /// Why.
        reason: String,
    },
    /// Open a refund of all that is captured and not yet refunded. Irreversible.
    RequestRefund {
        /// Of which payment.
        payment_id: PaymentId,
        /// Which refund.
        refund_id: RefundId,
        /// Why.
        reason: String,
    },
    /// Outside: carry a refund out, gateway leg first, then points. Irreversible.
    SettleRefund {
        /// Of which payment.
        payment_id: PaymentId,
        /// Which refund.
        refund_id: RefundId,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Call the order off, of which nothing is paid any more. Irreversible.
    CancelOrder {
        /// Why, a code.
        reason: String,
    },
    /// The order is cancelled and its stock and points are free, in one append. Irreversible.
    FinishCancellation,
    /// The order has failed and its stock and points are free, in one append. Irreversible.
    FailOrder {
        /// Why, a code.
        reason: String,
    },
    /// The order notes that money came too late. Irreversible: a fact.
    RecordLatePayment {
        /// By which payment.
        payment_id: PaymentId,
    },
    /// The order notes that every parcel arrived. Irreversible: a fact.
    MarkDelivered,
    /// The time to object ran out. Irreversible.
    CompleteOrder,
    /// Put the order on hold. Undo: an operator releases it.
    HoldOrder {
        /// Why.
        reason: String,
    },
}

/// A deadline is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerSet {
    /// Its name within the process; setting it again moves it.
    pub timer: TimerName,
    /// When it rings.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub due_at: Timestamp,
}

/// The timers of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TimerName {
    /// The order must be paid.
    PaymentDeadline,
    /// The next inquiry is due.
    Inquiry,
    /// The next attempt at a label is due.
    LabelRetry,
    /// The next attempt at a refund is due.
    RefundRetry,
    /// The next attempt at calling a label off is due.
    CancelRetry,
    /// The buyer's time to object ends.
    Completion,
    /// A command that was refused is tried again.
    CommandRetry,
}

/// A deadline is no longer needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerCancelled {
    /// Which.
    pub timer: TimerName,
}

/// A deadline was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerReached {
    /// Which.
    pub timer: TimerName,
    /// When it was due: tells this ringing from an earlier setting.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub due_at: Timestamp,
}

/// Going forward has ended; what was done is being undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompensationStarted {
    /// Why, a code.
    pub reason: String,
}

/// A person has to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FulfilmentParked {
    /// Why, a code.
    pub reason: ParkReason,
    /// The step that could not be finished.
    pub step: Step,
}

/// What a person can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OperatorAction {
    /// Try the step again.
    Resume,
    /// Take the step as done.
    Skip,
    /// Undo everything.
    Compensate,
}

/// A person decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorResolved {
    /// What.
    pub action: OperatorAction,
    /// Why, in their words.
    pub reason: Remark,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FulfilmentOutcome {
    /// The order is completed.
    Completed,
    /// The order is cancelled.
    Cancelled,
    /// The order expired unpaid.
    Expired,
    /// The order failed.
    Failed,
}

/// The process is at its end. A late payment may wake it once more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FulfilmentEnded {
    /// How.
    pub outcome: FulfilmentOutcome,
}
