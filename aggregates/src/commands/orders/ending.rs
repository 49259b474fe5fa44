//! What all ends of an order have in common: none happens while its payment may still take money,
//! and an order that has ended holds nothing from that moment on.

use jangbu_kernel::{OrderId, Refusal, RefusalCode};

use crate::command::{Append, Stop};
use crate::commands::payments::release_holds;
use crate::order::Order;
use crate::payment::Payment;
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
    Ok(())
}
