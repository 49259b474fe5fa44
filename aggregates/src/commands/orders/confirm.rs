//! Confirms an order whose money was captured. Writes `order`, `stock` per line and, if points are
//! a leg, `points`; reads `payment`.
//!
//! One append, so that a paid order always has its goods, and points are spent with the sale or not
//! at all. After a refusal the process undoes the payment.

use jangbu_kernel::{Money, OrderId, PaymentId, Refusal, RefusalCode, StreamId, never};

use crate::command::{Append, Command, Owner, Rules, Stop, add_lines, add_payment};
use crate::commands::payments::payment_of;
use crate::order::{Order, OrderCommand, OrderLine};
use crate::payment::Payment;
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};

/// Marks the order as paid, allocates its stock and captures its points, in one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmOrder {
    /// The order.
    pub order_id: OrderId,
    /// The payment that paid it.
    pub payment_id: PaymentId,
}

impl Command for ConfirmOrder {
    const RULES: Rules = Rules::internal("confirm_order");

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_lines(states, self.order_id, streams);
        add_payment(states, self.payment_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, payment_id) = (self.order_id, self.payment_id);
        let order = append.before::<Order>(order_id)?;
        let paid = OrderCommand::MarkPaid { payment_id: Some(payment_id) };
        if order.paid_by() == Some(payment_id) {
            return append.only::<Order>(order_id, &paid);
        }
        let payment = payment_of(append, order_id, payment_id)?;
        let total = order.total().unwrap_or(payment.total());
        check_money(payment, &total)?;
        append.ask::<Order>(order_id, &paid)?;
        allocate(append, order_id, order, order.lines())?;
        let Some(user_id) = payment.user_id() else { return Ok(()) };
        for (_, _, books) in payment.own_legs() {
            books.capture(append, user_id, payment_id)?;
        }
        Ok(())
    }
}

fn check_money(payment: &Payment, total: &Money) -> Result<(), Refusal> {
    let conflict =
        |detail| Err(Refusal::new(RefusalCode::PaymentStateConflict, detail).in_state(payment.status_name(), []));
    if !payment.is_captured() {
        return conflict("the money is not here");
    }
    // The points of a failed payment were released, so money that came later cannot pay the order.
    if payment.has_ended() {
        return conflict("the payment had ended before the money came");
    }
    if payment.captured() != *total && payment.accepted().is_none() {
        let detail = format!("{} is captured, the total is {total}", payment.captured());
        return Err(Refusal::new(RefusalCode::PaymentTotalMismatch, detail));
    }
    if payment.refundable() != payment.captured() {
        return conflict("the money is on its way back");
    }
    Ok(())
}

/// Allocates these lines of an order. If a reservation is gone, it is made again in the same
/// append, provided that there is stock.
pub(super) fn allocate(
    append: &mut Append<'_>,
    order_id: OrderId,
    order: &Order,
    lines: &[OrderLine],
) -> Result<(), Stop> {
    let now = append.facts().now;
    for line in lines {
        let stock = append.before::<Stock>(line.product_id)?;
        if stock.reserved_for(order_id) == 0 && stock.allocated_for(order_id) == 0 {
            let deadline = order.payment_deadline();
            let expires_at = deadline.unwrap_or_else(|| never("a placed order has no deadline", now));
            let reserve = StockCommand::Reserve { order_id, quantity: line.quantity, expires_at };
            append.ask::<Stock>(line.product_id, &reserve)?;
        }
        append.ask::<Stock>(line.product_id, &StockCommand::Allocate { order_id })?;
    }
    Ok(())
}
