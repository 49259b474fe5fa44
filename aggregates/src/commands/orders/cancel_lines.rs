//! Cancels some of an order's lines; the rest stands. Writes `order` and `stock` per line; `payment` if
//! the lines are paid, `shipment` if a parcel is being prepared, and `buyer` if nothing is paid.
//!
//! In one append the cancelled units become available again, their refund is requested, and the
//! parcel that was to hold them is replaced. The process then cancels the replaced parcel, and
//! requests the label of the further one when that is done.

use jangbu_kernel::{
    Money, OrderId, PaymentId, ProductId, RefundId, Refusal, RefusalCode, Remark, ShipmentId, StreamId,
};

use super::part::part_of;
use super::send_again::request;
use super::waiting::note_fewer;
use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_lines, add_open_payment};
use crate::order::{CancelledBy, LinesToCancel, Order, OrderCommand, OrderLine, OrderStatus};
use crate::payment::{Payment, PaymentCommand};
use crate::shipment::Shipment;
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};

/// The reason for the units that become available, and for the refund if nobody gave another one.
const LINES_CANCELLED: &str = "lines_cancelled";

/// A line that is to be cancelled, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineToCancel {
    /// Which product of the order.
    pub product_id: ProductId,
    /// How many units of it; none means all that are left.
    pub quantity: Option<u32>,
}

/// Cancels some of an order's lines.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelLines {
    /// Which order.
    pub order_id: OrderId,
    /// The buyer or staff: they have different windows.
    pub by: CancelledBy,
    /// What is cancelled, each product once; not the whole order.
    pub lines: Vec<LineToCancel>,
    /// Why; staff must say.
    pub reason: Option<Remark>,
    /// The id that the refund gets, if there is one.
    pub refund_id: RefundId,
    /// The id that the further parcel gets, if there is one.
    pub shipment_id: ShipmentId,
}

impl Command for CancelLines {
    const RULES: Rules = Rules::new(
        "cancel_lines",
        Reach::OwnOrAny { own: Permission::OrdersCancelOwn, any: Permission::OrdersCancelAny },
        Key::Required,
        &[
            RefusalCode::OrderStateConflict,
            RefusalCode::OrderAlreadyDispatched,
            RefusalCode::PaymentInProgress,
            RefusalCode::PaymentStateConflict,
            RefusalCode::RefundExceedsCaptured,
            RefusalCode::ValidationFailed,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_lines(states, self.order_id, streams);
        add_open_payment(states, self.order_id, streams);
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::shipment(self.shipment_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = self.order_id;
        if self.is_done(append)? {
            append.unmoved::<Order>(order_id)?;
            return Ok(());
        }
        let order = append.before::<Order>(order_id)?;
        order.may_lose_lines()?;
        check_parcel(append, order)?;
        let Some(total) = order.total() else { return Err(checks::not_found("order").into()) };
        let lines = part_of(order, self.lines.iter().map(|line| (line.product_id, line.quantity)))?;
        let amount = Money::sum(lines.iter().map(|line| &line.line_total), total.currency())
            .map_err(|error| Refusal::new(RefusalCode::ValidationFailed, error.to_string()).at("/lines"))?;
        let refunded = order.paid_by().filter(|_| amount.is_positive());
        append.ask::<Order>(order_id, &self.asked(lines.clone(), refunded))?;
        for OrderLine { product_id, quantity, .. } in &lines {
            let (quantity, reason) = (*quantity, LINES_CANCELLED.to_owned());
            append.ask::<Stock>(*product_id, &StockCommand::GiveBack { order_id, quantity, reason })?;
        }
        if let Some(payment_id) = refunded {
            self.refund(append, payment_id, amount)?;
        }
        if order.status() == Some(OrderStatus::Preparing) {
            let left = append.after::<Order>(order_id)?.lines().to_vec();
            request(append, order_id, self.shipment_id, order, left)?;
        }
        note_fewer(append, order_id)
    }
}

/// Checks that the parcel that is being prepared is the whole order: of an order that is sent again in
/// part, nothing is kept for the rest, which is with the buyer or was lost.
fn check_parcel(append: &Append<'_>, order: &Order) -> Result<(), Stop> {
    let Some(shipment_id) = order.shipment_id() else { return Ok(()) };
    if append.before::<Shipment>(shipment_id)?.lines() == order.lines() {
        return Ok(());
    }
    let detail = "a part of the order is being sent again: refund what is not to be sent";
    let state = order.status().map_or("", OrderStatus::name);
    Err(Refusal::new(RefusalCode::OrderStateConflict, detail).in_state(state, ["refund_payment"]).into())
}

impl CancelLines {
    /// Whether its refund or its parcel exists. Without either, only the idempotency key tells a
    /// repeat from another command.
    fn is_done(&self, append: &Append<'_>) -> Result<bool, Stop> {
        if append.before::<Shipment>(self.shipment_id)?.order_id().is_some() {
            return Ok(true);
        }
        match append.before::<Order>(self.order_id)?.paid_by() {
            Some(payment_id) => Ok(append.before::<Payment>(payment_id)?.refund(self.refund_id).is_some()),
            None => Ok(false),
        }
    }

    fn asked(&self, lines: Vec<OrderLine>, refunded: Option<PaymentId>) -> OrderCommand {
        let refund_id = refunded.map(|_| self.refund_id);
        let (by, reason, shipment_id) = (self.by, self.reason.clone(), self.shipment_id);
        OrderCommand::CancelLines(Box::new(LinesToCancel { by, reason, lines, refund_id, shipment_id }))
    }

    /// Requests the refund. A part of the order's money has to stay, because an order that is fully
    /// refunded is not sent.
    fn refund(&self, append: &mut Append<'_>, payment_id: PaymentId, amount: Money) -> Result<(), Stop> {
        let refundable = append.before::<Payment>(payment_id)?.refundable();
        if amount.amount() >= refundable.amount() {
            let detail = format!(
                "{refundable} of the order's money is here and {amount} would go back: nothing would pay for the rest"
            );
            return Err(Refusal::new(RefusalCode::RefundExceedsCaptured, detail).at("/lines").into());
        }
        let reason = self.reason.clone().unwrap_or_else(|| Remark::code(LINES_CANCELLED));
        append.only::<Payment>(payment_id, &PaymentCommand::RequestRefund { refund_id: self.refund_id, amount, reason })
    }
}
