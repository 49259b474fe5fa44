//! Ends of an order that nobody asked for: expiry, failure, and money that comes after
//! an end. Expiry and failure write `order`, `stock` per line and, when points are a
//! leg of its payment, `points`, and `buyer` when nobody was paying it: what has ended holds
//! nothing, from that moment on.

use jangbu_kernel::{OrderId, PaymentId, Refusal, RefusalCode};

use super::append::{Append, Stop, decide};
use super::payments::{payment_of, release_points};
use super::waiting::note_changed;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::order::{Order, OrderCommand};
use crate::payment::Payment;
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};

/// Expires an order that was not paid in time. Refused while its open payment may still
/// take money or has taken it.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn expire_order(states: &impl States, facts: &Facts, order_id: OrderId) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let order = append.before::<Order>(order_id)?;
        if let Some(payment_id) = order.open_payment() {
            let payment = append.before::<Payment>(payment_id)?;
            if !payment.has_ended() {
                return Err(in_progress(order, "a payment of the order is not decided").into());
            }
        }
        append.ask::<Order>(order_id, &OrderCommand::Expire)?;
        free_everything(append, order_id, "order_expired")?;
        note_changed(append, facts, order_id)
    })
}

/// Gives an order up. Refused while its open payment may still take money; money that
/// was taken is the process's to return, before this.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn fail_order(states: &impl States, facts: &Facts, order_id: OrderId, reason: &str) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        nothing_in_flight(append, order_id)?;
        append.ask::<Order>(order_id, &OrderCommand::Fail { reason: reason.to_owned() })?;
        free_everything(append, order_id, "order_failed")?;
        note_changed(append, facts, order_id)
    })
}

/// Notes money for an order that has ended. Writes `order`, reads `payment` for the amount.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn record_late_payment(
    states: &impl States,
    facts: &Facts,
    order_id: OrderId,
    payment_id: PaymentId,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let payment = payment_of(append, order_id, payment_id)?;
        if !payment.is_captured() {
            let refusal = Refusal::new(RefusalCode::PaymentStateConflict, "the money is not here");
            return Err(refusal.in_state(payment.status_name(), []).into());
        }
        append.ask::<Order>(order_id, &OrderCommand::RecordLatePayment { payment_id, amount: payment.captured() })?;
        Ok(())
    })
}

/// Refuses while the order's open payment may still take money.
pub(super) fn nothing_in_flight<S: States>(append: &Append<'_, S>, order_id: OrderId) -> Result<(), Stop> {
    let order = append.before::<Order>(order_id)?;
    match order.open_payment() {
        Some(payment_id) if append.before::<Payment>(payment_id)?.in_flight() => {
            Err(in_progress(order, "a payment of the order is under way").into())
        }
        Some(_) | None => Ok(()),
    }
}

fn in_progress(order: &Order, detail: &str) -> Refusal {
    let refusal = Refusal::new(RefusalCode::PaymentInProgress, detail);
    match order.status() {
        Some(status) => refusal.in_state(status.name(), status.allowed_commands()),
        None => refusal,
    }
}

/// Frees what the order holds: reservations, allocations, and points that its payment
/// has not spent. What it does not hold is not touched, so this can be asked again.
pub(super) fn free_everything<S: States>(
    append: &mut Append<'_, S>,
    order_id: OrderId,
    reason: &str,
) -> Result<(), Stop> {
    let order = append.before::<Order>(order_id)?;
    for line in order.lines() {
        append.ask::<Stock>(line.product_id, &StockCommand::Release { order_id, reason: reason.to_owned() })?;
        append.ask::<Stock>(line.product_id, &StockCommand::Deallocate { order_id, reason: reason.to_owned() })?;
    }
    for payment_id in order.open_payment().into_iter().chain(order.paid_by()) {
        release_points(append, payment_id, reason)?;
    }
    Ok(())
}
