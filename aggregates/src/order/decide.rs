//! What an order decides.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{
    AggregateKind, Decider, Decision, Money, PaymentId, Refusal, RefusalCode, Remark, ShipmentId, UserId,
};

use super::command::OrderCommand;
use super::event::{
    CancelledBy, CompletedBy, OrderCancellationRequested, OrderCancelled, OrderCompleted, OrderDelivered, OrderEvent,
    OrderExpired, OrderFailed, OrderHoldReleased, OrderLatePaymentDetected, OrderNoted, OrderPacked, OrderPaid,
    OrderPaymentFailed, OrderPaymentOpened, OrderPreparationStarted, OrderPutOnHold, OrderShipped,
};
use super::state::{Order, OrderStatus, Standing};
use crate::checks;
use crate::facts::Facts;

/// How many notes are kept of an order.
const MOST_NOTES: u32 = 100;
/// The longest note, in characters.
const LONGEST_NOTE: usize = 2_000;

impl Decider for Order {
    const KIND: AggregateKind = AggregateKind::Order;
    // 5: returns, and when it was delivered.
    const STATE_VERSION: u16 = 5;
    type Event = OrderEvent;
    type Command = OrderCommand;
    type Facts = Facts;

    fn decide(&self, command: &OrderCommand, facts: &Facts) -> Decision<OrderEvent> {
        let Some(order) = &self.standing else {
            return match command {
                OrderCommand::Place(placed) => Decision::one(placed.as_ref().clone()),
                OrderCommand::OpenPayment { .. }
                | OrderCommand::RecordPaymentFailure { .. }
                | OrderCommand::MarkPaid { .. }
                | OrderCommand::Expire
                | OrderCommand::StartPreparation { .. }
                | OrderCommand::SendAgain { .. }
                | OrderCommand::Pack
                | OrderCommand::MarkShipped
                | OrderCommand::MarkDelivered
                | OrderCommand::Complete { .. }
                | OrderCommand::Cancel { .. }
                | OrderCommand::CancelLines(_)
                | OrderCommand::FinishCancellation
                | OrderCommand::Fail { .. }
                | OrderCommand::RecordLatePayment { .. }
                | OrderCommand::PutOnHold { .. }
                | OrderCommand::ReleaseHold { .. }
                | OrderCommand::ChangeAddress(_)
                | OrderCommand::OpenReturn(_)
                | OrderCommand::EndReturn { .. }
                | OrderCommand::Note { .. } => checks::not_found("order").into(),
            };
        };
        match command {
            OrderCommand::Place(_) => Decision::AlreadyDone,
            OrderCommand::OpenPayment { payment_id } => order.open_payment(*payment_id, facts),
            OrderCommand::RecordPaymentFailure { payment_id, reason } => order.record_failure(*payment_id, reason),
            OrderCommand::MarkPaid { payment_id } => order.mark_paid(*payment_id, facts),
            OrderCommand::Expire => order.expire(facts),
            OrderCommand::StartPreparation { shipment_id } => order.start_preparation(*shipment_id),
            OrderCommand::SendAgain { shipment_id } => order.send_again(*shipment_id),
            OrderCommand::Pack => order.pack(),
            OrderCommand::MarkShipped => order.mark_shipped(),
            OrderCommand::MarkDelivered => order.mark_delivered(facts),
            OrderCommand::Complete { by } => order.complete(*by),
            OrderCommand::Cancel { by, reason, payment_in_flight } => {
                order.cancel(*by, reason.as_ref(), *payment_in_flight, facts)
            }
            OrderCommand::CancelLines(asked) => order.cancel_lines(asked, facts),
            OrderCommand::FinishCancellation => order.finish_cancellation(),
            OrderCommand::Fail { reason } => order.fail(reason),
            OrderCommand::RecordLatePayment { payment_id, amount } => order.record_late_payment(*payment_id, *amount),
            OrderCommand::PutOnHold { reason } => order.put_on_hold(reason),
            OrderCommand::ReleaseHold { reason } => match &order.hold {
                Some(_) => Decision::one(OrderHoldReleased { reason: reason.clone() }),
                None => Decision::AlreadyDone,
            },
            OrderCommand::ChangeAddress(asked) => order.change_address(asked, facts),
            OrderCommand::OpenReturn(asked) => order.open_return(asked, facts),
            OrderCommand::EndReturn { return_id, lines } => order.end_return(*return_id, lines),
            OrderCommand::Note { note, by } => order.note(note, *by),
        }
    }

    fn evolve(&mut self, event: &OrderEvent) {
        self.fold(event);
    }
}

impl Standing {
    pub(super) fn refusal(&self, code: RefusalCode, detail: &str) -> Refusal {
        Refusal::new(code, detail).in_state(self.status.name(), self.status.allowed_commands())
    }

    pub(super) fn conflict(&self, detail: &str) -> Refusal {
        self.refusal(RefusalCode::OrderStateConflict, detail)
    }

    fn not_on_hold(&self) -> Result<(), Refusal> {
        match &self.hold {
            Some(_) => Err(self.conflict("the order is on hold")),
            None => Ok(()),
        }
    }

    fn open_payment(&self, payment_id: PaymentId, facts: &Facts) -> Decision<OrderEvent> {
        if self.open_payment == Some(payment_id) {
            return Decision::AlreadyDone;
        }
        match self.status {
            OrderStatus::Placed | OrderStatus::AwaitingPayment => {}
            OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => return self.conflict("the order cannot be paid in this state").into(),
        }
        if self.open_payment.is_some() {
            return self.refusal(RefusalCode::PaymentInProgress, "another payment of the order is under way").into();
        }
        if facts.now >= self.payment_deadline {
            return self.conflict("the time to pay is over").into();
        }
        if let Err(refusal) = self.not_on_hold() {
            return refusal.into();
        }
        Decision::one(OrderPaymentOpened { payment_id })
    }

    fn record_failure(&self, payment_id: PaymentId, reason: &str) -> Decision<OrderEvent> {
        if self.paid_by == Some(payment_id) {
            return self.conflict("the payment has paid the order").into();
        }
        if self.open_payment == Some(payment_id) {
            return Decision::one(OrderPaymentFailed { payment_id, reason: reason.to_owned() });
        }
        Decision::AlreadyDone
    }

    fn mark_paid(&self, payment_id: Option<PaymentId>, facts: &Facts) -> Decision<OrderEvent> {
        let now = to_millis(facts.now);
        let ship_by = Some(facts.policy.ship_by(now));
        let paid = || Decision::one(OrderPaid { payment_id, paid_at: Some(now), ship_by });
        match self.status {
            OrderStatus::Placed if payment_id.is_none() && self.total.is_zero() => paid(),
            OrderStatus::AwaitingPayment if payment_id.is_some() && self.open_payment == payment_id => paid(),
            OrderStatus::Placed | OrderStatus::AwaitingPayment => {
                self.conflict("the payment is not the order's open one").into()
            }
            OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
                if self.paid_by == payment_id =>
            {
                Decision::AlreadyDone
            }
            OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed => self.conflict("another payment has paid the order").into(),
            OrderStatus::Cancelling | OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Failed => {
                self.conflict("the order is not waiting for a payment any more").into()
            }
        }
    }

    fn expire(&self, facts: &Facts) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Expired => Decision::AlreadyDone,
            OrderStatus::Placed | OrderStatus::AwaitingPayment if facts.now < self.payment_deadline => {
                self.conflict("the time to pay is not over").into()
            }
            OrderStatus::Placed | OrderStatus::AwaitingPayment => Decision::one(OrderExpired {}),
            OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Failed => self.conflict("only an unpaid order expires").into(),
        }
    }

    fn start_preparation(&self, shipment_id: ShipmentId) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Paid => match self.not_on_hold() {
                Ok(()) => Decision::one(OrderPreparationStarted { shipment_id }),
                Err(refusal) => refusal.into(),
            },
            OrderStatus::Preparing | OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed
                if self.shipment_id == Some(shipment_id) =>
            {
                Decision::AlreadyDone
            }
            OrderStatus::Preparing | OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed => {
                self.conflict("the order has another parcel").into()
            }
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => self.conflict("only a paid order is sent").into(),
        }
    }

    fn send_again(&self, shipment_id: ShipmentId) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Preparing | OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed
                if self.shipment_id == Some(shipment_id) =>
            {
                Decision::AlreadyDone
            }
            OrderStatus::Shipped => match self.not_on_hold() {
                Ok(()) => Decision::one(OrderPreparationStarted { shipment_id }),
                Err(refusal) => refusal.into(),
            },
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => self.conflict("only an order that is on its way is sent again").into(),
        }
    }

    fn pack(&self) -> Decision<OrderEvent> {
        match (self.status, self.shipment_id) {
            (OrderStatus::Preparing, Some(_)) if self.packed => Decision::AlreadyDone,
            (OrderStatus::Preparing, Some(shipment_id)) => match self.not_on_hold() {
                Ok(()) => Decision::one(OrderPacked { shipment_id }),
                Err(refusal) => refusal.into(),
            },
            (OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed, _) => {
                self.refusal(RefusalCode::OrderAlreadyDispatched, "the order is on its way already").into()
            }
            (
                OrderStatus::Placed
                | OrderStatus::AwaitingPayment
                | OrderStatus::Paid
                | OrderStatus::Preparing
                | OrderStatus::Cancelling
                | OrderStatus::Cancelled
                | OrderStatus::Expired
                | OrderStatus::Failed,
                _,
            ) => self.conflict("the order has no parcel that could be packed").into(),
        }
    }

    fn mark_shipped(&self) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed => Decision::AlreadyDone,
            OrderStatus::Preparing => match self.not_on_hold() {
                Ok(()) => Decision::one(OrderShipped {}),
                Err(refusal) => refusal.into(),
            },
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => self.conflict("the order is not being prepared").into(),
        }
    }

    fn mark_delivered(&self, facts: &Facts) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Delivered | OrderStatus::Completed => Decision::AlreadyDone,
            OrderStatus::Shipped => Decision::one(OrderDelivered { delivered_at: Some(to_millis(facts.now)) }),
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => self.conflict("the order is not on its way").into(),
        }
    }

    fn complete(&self, by: CompletedBy) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Completed => Decision::AlreadyDone,
            OrderStatus::Delivered if self.returns.are_open() => self.conflict("goods of it are to come back").into(),
            OrderStatus::Delivered => match self.not_on_hold() {
                Ok(()) => Decision::one(OrderCompleted { by }),
                Err(refusal) => refusal.into(),
            },
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => self.conflict("the order is not delivered").into(),
        }
    }

    fn cancel(&self, by: CancelledBy, reason: Option<&Remark>, in_flight: bool, facts: &Facts) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Cancelling | OrderStatus::Cancelled => return Decision::AlreadyDone,
            OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed => {
                return self.refusal(RefusalCode::OrderAlreadyDispatched, "the order is on its way already").into();
            }
            OrderStatus::Expired | OrderStatus::Failed => return self.conflict("the order has ended").into(),
            OrderStatus::Placed | OrderStatus::AwaitingPayment | OrderStatus::Paid | OrderStatus::Preparing => {}
        }
        if let Err(refusal) = Self::check_reason(by, reason) {
            return refusal.into();
        }
        let reason = reason.cloned();
        let unpaid = matches!(self.status, OrderStatus::Placed | OrderStatus::AwaitingPayment);
        if unpaid && !in_flight {
            return Decision::one(OrderCancelled { by, reason });
        }
        if !unpaid && by == CancelledBy::Owner && !self.in_owner_window(facts) {
            return self.conflict("the time in which the owner may cancel is over").into();
        }
        Decision::one(OrderCancellationRequested { by, reason })
    }

    /// Staff have to say why, and whoever does says it in few words.
    pub(super) fn check_reason(by: CancelledBy, reason: Option<&Remark>) -> Result<(), Refusal> {
        match (by, reason) {
            (CancelledBy::Staff, None) => Err(checks::missing_reason()),
            (CancelledBy::Owner, None) => Ok(()),
            (CancelledBy::Staff | CancelledBy::Owner, Some(reason)) => checks::remark(reason),
        }
    }

    /// Whether the owner may still cancel: up to and including the window's last moment.
    pub(super) fn in_owner_window(&self, facts: &Facts) -> bool {
        let end = self.paid_at.and_then(|paid_at| paid_at.checked_add_signed(facts.policy.owner_cancel_window));
        end.is_some_and(|end| facts.now <= end)
    }

    fn finish_cancellation(&self) -> Decision<OrderEvent> {
        match (self.status, &self.cancellation) {
            (OrderStatus::Cancelled, _) => Decision::AlreadyDone,
            (OrderStatus::Cancelling, Some(asked)) => {
                Decision::one(OrderCancelled { by: asked.by, reason: asked.reason.clone() })
            }
            (_, _) => self.conflict("nobody called the order off").into(),
        }
    }

    fn fail(&self, reason: &str) -> Decision<OrderEvent> {
        match self.status {
            OrderStatus::Failed => Decision::AlreadyDone,
            // Awaiting payment: captured, but the stock is gone. Shipped: lost or returned,
            // and an operator decided to undo it.
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped => Decision::one(OrderFailed { reason: reason.to_owned() }),
            OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired => self.conflict("the order cannot fail in this state").into(),
        }
    }

    fn record_late_payment(&self, payment_id: PaymentId, amount: Money) -> Decision<OrderEvent> {
        if self.late_payments.contains(&payment_id) {
            return Decision::AlreadyDone;
        }
        match self.status {
            OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Failed => {
                Decision::one(OrderLatePaymentDetected { payment_id, amount })
            }
            OrderStatus::Placed
            | OrderStatus::AwaitingPayment
            | OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling => self.conflict("the order has not ended without payment").into(),
        }
    }

    fn put_on_hold(&self, reason: &Remark) -> Decision<OrderEvent> {
        if self.hold.is_some() {
            return Decision::AlreadyDone;
        }
        if self.status.is_final() {
            return self.conflict("the order has ended").into();
        }
        Decision::one(OrderPutOnHold { reason: reason.clone() })
    }

    /// In any state: what is written changes nothing. Of a sealed text the length was judged
    /// before it was sealed.
    fn note(&self, note: &Remark, by: UserId) -> Decision<OrderEvent> {
        let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= LONGEST_NOTE;
        if note.plain().is_some_and(|text| !fits(text)) {
            let detail = format!("a note has 1 to {LONGEST_NOTE} characters");
            return Refusal::new(RefusalCode::ValidationFailed, detail).at("/text").into();
        }
        if self.notes >= MOST_NOTES {
            let detail = format!("an order keeps at most {MOST_NOTES} notes");
            return Refusal::new(RefusalCode::TooManyNotes, detail).into();
        }
        Decision::one(OrderNoted { note: note.clone(), by })
    }
}
