//! The commands of the fulfilment as tasks: what each asks for, what is decided at once, what is a
//! call to the outside, and how each is undone.

use jangbu_kernel::{AggregateKind, CommandId, OrderId, Remark, StreamId, Timestamp};

use super::command::FulfilmentInput;
use super::event::{
    CommandIssued, FulfilmentEvent, InputName, InputReceived, InputsSetAside, ProcessCommand, TimerName,
};
use super::fact::{fact_of, order_of};
use crate::command::AnyCommand;
use crate::commands::{
    AdvanceFulfilment, CancelOrder, CompleteOrder, ConfirmOrder, ExpireOrder, FailOrder, FinishCancellation, HoldOrder,
    MarkDelivered, RecordLatePayment, RecordPaymentFailure, RequestCapture, RequestFullRefund, RequestNetCancel,
    RequestShipment,
};
use crate::event::DomainEvent;
use crate::order::{CancelledBy, Order};
use crate::payment::Payment;
use crate::processes::process::{IssuedTask, OutsideCall, Process, Task, Told, Undo, Way};
use crate::state::States;

/// The fulfilment of orders.
#[derive(Clone, Copy, Debug)]
pub struct FulfilmentProcess;

impl Process for FulfilmentProcess {
    fn name(&self) -> &'static str {
        "fulfilment"
    }

    fn kind(&self) -> AggregateKind {
        AggregateKind::Fulfilment
    }

    fn learner(&self, stream: StreamId, event: &DomainEvent) -> Option<StreamId> {
        fact_of(stream, event)?;
        order_of(stream, event).map(StreamId::fulfilment)
    }

    fn take_in(&self, instance: StreamId, told: Told<'_>) -> AnyCommand {
        let Told { stream, version, logged, event } = told;
        advance(instance, FulfilmentInput::Event { stream, version, logged, event: Box::new(event.clone()) })
    }

    fn refused(&self, instance: StreamId, command_id: CommandId, code: &str) -> AnyCommand {
        advance(instance, FulfilmentInput::CommandRefused { command_id, code: code.to_owned() })
    }

    fn ring(&self, instance: StreamId, timer: &str, due_at: Timestamp) -> Option<AnyCommand> {
        let timer = TimerName::from_name(timer)?;
        Some(advance(instance, FulfilmentInput::Timer { timer, due_at }))
    }

    fn set_aside(&self, inputs: Vec<InputName>, reason: &str) -> DomainEvent {
        FulfilmentEvent::from(InputsSetAside { inputs, reason: reason.to_owned() }).into()
    }

    fn looks_at(&self, states: &dyn States, stream: StreamId) -> Vec<StreamId> {
        looked_at(states, stream)
    }

    fn issuing(&self) -> &'static [&'static str] {
        &[InputReceived::TYPE, CommandIssued::TYPE, InputsSetAside::TYPE]
    }

    fn issued(&self, stream: StreamId, event: &DomainEvent) -> Vec<IssuedTask> {
        let (DomainEvent::Fulfilment(event), AggregateKind::Fulfilment) = (event, stream.kind) else {
            return Vec::new();
        };
        let order_id = OrderId::new(stream.id);
        let issued = event.issued().iter();
        issued
            .map(|CommandIssued { command_id, command }| IssuedTask {
                command_id: *command_id,
                order_id,
                task: task(order_id, command),
            })
            .collect()
    }
}

fn advance(instance: StreamId, input: FulfilmentInput) -> AnyCommand {
    AdvanceFulfilment { order_id: OrderId::new(instance.id), input }.into()
}

/// The command undoes something.
const UNDOES: Undo = Undo::Never("it is itself an undo");
/// The command records what has happened.
const FACT: Undo = Undo::Never("it is a fact");

/// The task of a command of an order's process.
#[must_use]
pub fn task(order_id: OrderId, command: &ProcessCommand) -> Task {
    use Undo::{By, Never, Nothing};
    let plain = |name, command, undo| Task { name, way: Way::Plain(command), undo };
    let outside = |name, intent, call, undo| Task { name, way: Way::Outside { intent, call }, undo };
    match command.clone() {
        ProcessCommand::CapturePayment { payment_id } => outside(
            "capture_payment",
            Some(RequestCapture { payment_id }.into()),
            OutsideCall::Charge(payment_id),
            By(&["request_refund", "net_cancel_payment"]),
        ),
        ProcessCommand::ConfirmCharge { payment_id } => outside(
            "confirm_charge",
            None,
            OutsideCall::ConfirmCharge(payment_id),
            By(&["request_refund", "net_cancel_payment"]),
        ),
        ProcessCommand::InquirePayment { payment_id, .. } => {
            outside("inquire_payment", None, OutsideCall::Inquire(payment_id), Nothing)
        }
        ProcessCommand::NetCancelPayment { payment_id, reason } => outside(
            "net_cancel_payment",
            Some(RequestNetCancel { payment_id, reason }.into()),
            OutsideCall::NetCancel(payment_id),
            UNDOES,
        ),
        ProcessCommand::ConfirmOrder { payment_id } => plain(
            "confirm_order",
            ConfirmOrder { order_id, payment_id }.into(),
            By(&["finish_cancellation", "fail_order"]),
        ),
        ProcessCommand::RecordPaymentFailure { payment_id, reason } => {
            plain("record_payment_failure", RecordPaymentFailure { order_id, payment_id, reason }.into(), UNDOES)
        }
        ProcessCommand::ExpireOrder => plain("expire_order", ExpireOrder { order_id }.into(), UNDOES),
        ProcessCommand::RequestShipment { shipment_id } => {
            plain("request_shipment", RequestShipment { order_id, shipment_id }.into(), By(&["cancel_shipment"]))
        }
        ProcessCommand::BookCarrier { shipment_id, attempt } => {
            outside("book_carrier", None, OutsideCall::BookLabel(shipment_id, attempt), By(&["cancel_shipment"]))
        }
        ProcessCommand::CancelShipment { shipment_id, reason } => {
            outside("cancel_shipment", None, OutsideCall::CallOff(shipment_id, reason), UNDOES)
        }
        ProcessCommand::RequestRefund { payment_id, refund_id, reason } => plain(
            "request_refund",
            RequestFullRefund { payment_id, refund_id, reason: Remark::code(reason) }.into(),
            UNDOES,
        ),
        ProcessCommand::SettleRefund { payment_id, refund_id, .. } => {
            outside("settle_refund", None, OutsideCall::Refund(payment_id, refund_id), UNDOES)
        }
        ProcessCommand::CancelOrder { reason } => {
            let (by, reason) = (CancelledBy::Staff, Some(Remark::code(reason)));
            plain("cancel_order", CancelOrder { order_id, by, reason }.into(), Never("nothing is paid any more"))
        }
        ProcessCommand::FinishCancellation => {
            plain("finish_cancellation", FinishCancellation { order_id }.into(), UNDOES)
        }
        ProcessCommand::FailOrder { reason } => plain("fail_order", FailOrder { order_id, reason }.into(), UNDOES),
        ProcessCommand::RecordLatePayment { payment_id } => {
            plain("record_late_payment", RecordLatePayment { order_id, payment_id }.into(), FACT)
        }
        ProcessCommand::MarkDelivered => plain("mark_delivered", MarkDelivered { order_id }.into(), FACT),
        ProcessCommand::CompleteOrder => plain("complete_order", CompleteOrder { order_id }.into(), FACT),
        ProcessCommand::HoldOrder { reason } => plain(
            "hold_order",
            HoldOrder { order_id, reason: Remark::code(reason) }.into(),
            Never("a person releases it"),
        ),
    }
}

/// Streams that the process reads when an event of this one is taken in, as far as the loaded
/// states tell. Only a hint, which saves rounds of loading.
fn looked_at(states: &dyn States, stream: StreamId) -> Vec<StreamId> {
    let order_id = match stream.kind {
        AggregateKind::Order => {
            let placed = states.get::<Order>(stream.id).is_ok_and(|order| order.status().is_some());
            return if placed { vec![StreamId::new(AggregateKind::Fulfilment, stream.id)] } else { Vec::new() };
        }
        AggregateKind::Fulfilment => Some(OrderId::new(stream.id)),
        AggregateKind::Payment => states.get::<Payment>(stream.id).ok().and_then(Payment::order_id),
        AggregateKind::User
        | AggregateKind::Administrators
        | AggregateKind::Email
        | AggregateKind::Session
        | AggregateKind::Product
        | AggregateKind::Category
        | AggregateKind::Slug
        | AggregateKind::Stock
        | AggregateKind::Locations
        | AggregateKind::Shipment
        | AggregateKind::Return
        | AggregateKind::Points
        | AggregateKind::Buyer
        | AggregateKind::Import
        | AggregateKind::Notice => None,
    };
    let streams = order_id.map(|order_id| [StreamId::order(order_id), StreamId::fulfilment(order_id)]);
    streams.into_iter().flatten().filter(|looked_at| *looked_at != stream).collect()
}
