//! What all ends of an order have in common: none happens while its payment may still take money,
//! and an order that has ended holds nothing from that moment on.

use jangbu_kernel::{Money, OrderId, RefundId, Refusal, RefusalCode, Remark};
use uuid::Uuid;

use crate::command::{Append, Stop};
use crate::commands::payments::release_holds;
use crate::order::Order;
use crate::payment::{Payment, PaymentCommand};
use crate::stock::{Stock, StockCommand};

/// Refuses while the order's open payment may still take money.
pub(super) fn nothing_in_flight(append: &Append<'_>, order_id: OrderId) -> Result<(), Stop> {
    let order = append.before::<Order>(order_id)?;
    match order.open_payment() {
        Some(payment_id) if append.before::<Payment>(payment_id)?.in_flight() => {
            Err(in_progress(order, "a payment of the order is under way").into())
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn in_progress(order: &Order, detail: &str) -> Refusal {
    let refusal = Refusal::new(RefusalCode::PaymentInProgress, detail);
    match order.status() {
        Some(status) => refusal.in_state(status.name(), status.allowed_commands()),
        None => refusal,
    }
}

/// Releases what the order holds: reservations, allocations, and what its payment holds in the
/// shop's own books and has not captured. What it does not hold is not touched, so this may be
/// repeated.
pub(super) fn free_everything(append: &mut Append<'_>, order_id: OrderId, reason: &str) -> Result<(), Stop> {
    let order = append.before::<Order>(order_id)?;
    for line in order.lines() {
        append.ask::<Stock>(line.product_id, &StockCommand::Release { order_id, reason: reason.to_owned() })?;
        append.ask::<Stock>(line.product_id, &StockCommand::Deallocate { order_id, reason: reason.to_owned() })?;
    }
    for payment_id in order.open_payment().into_iter().chain(order.paid_by()) {
        release_holds(append, payment_id, reason)?;
    }
    give_back_replaced(append, order_id, reason)
}

/// An order that was sent for goods that came back costs nothing. If it ends, the money of those goods
/// goes back instead, as far as it is left of the payment that they were paid with.
fn give_back_replaced(append: &mut Append<'_>, order_id: OrderId, reason: &str) -> Result<(), Stop> {
    let order = append.before::<Order>(order_id)?;
    let Some(payment_id) = order.replaces().and_then(|replaces| replaces.payment_id) else { return Ok(()) };
    let payment = append.before::<Payment>(payment_id)?;
    let refund_id = RefundId::new(Uuid::new_v5(&order_id.uuid(), b"replaced_goods"));
    let left = payment.refundable();
    let goods = Money::sum(order.lines().iter().map(|line| &line.line_total), left.currency());
    let amount = goods.map_or(left, |goods| if goods.amount() > left.amount() { left } else { goods });
    if payment.refund(refund_id).is_some() || !amount.is_positive() {
        return Ok(());
    }
    let reason = Remark::code(reason);
    append.only::<Payment>(payment_id, &PaymentCommand::RequestRefund { refund_id, amount, reason })
}
