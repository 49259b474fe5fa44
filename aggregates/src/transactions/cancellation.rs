//! Calling an order off, and finishing that once everything is returned. Writes `order`,
//! and when nothing stands in the way `payment`, `stock` per line, `points` and `buyer`: a
//! cancelled order holds nothing, from that moment on.

use jangbu_kernel::OrderId;

use super::append::decide;
use super::ending::{free_everything, nothing_in_flight};
use super::waiting::note_changed;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::order::{CancelledBy, Order, OrderCommand, OrderStatus};
use crate::payment::{Payment, PaymentCommand, PaymentState};
use crate::state::{Missing, States};

/// Why what an order held is free.
const ORDER_CANCELLED: &str = "order_cancelled";

/// Calls an order off. Unpaid, it ends at once, and with it a payment of which nothing was
/// asked of the gateway yet. Paid, or with a payment at the gateway, it is cancelling, and
/// the process returns what there is to return.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn cancel_order(
    states: &impl States,
    facts: &Facts,
    order_id: OrderId,
    by: CancelledBy,
    reason: Option<&str>,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let open = match append.before::<Order>(order_id)?.open_payment() {
            Some(payment_id) => Some((payment_id, append.before::<Payment>(payment_id)?)),
            None => None,
        };
        let unsent = open.filter(|(_, payment)| payment.state() == PaymentState::Requested);
        let payment_in_flight = unsent.is_none() && open.is_some_and(|(_, payment)| !payment.has_ended());
        let cancel = OrderCommand::Cancel { by, reason: reason.map(str::to_owned), payment_in_flight };
        append.ask::<Order>(order_id, &cancel)?;
        let was = append.before::<Order>(order_id)?.status();
        let is = append.after::<Order>(order_id)?.status();
        if is == Some(OrderStatus::Cancelled) && was != is {
            if let Some((payment_id, _)) = unsent {
                append.ask::<Payment>(payment_id, &PaymentCommand::Void { reason: ORDER_CANCELLED.to_owned() })?;
            }
            free_everything(append, order_id, ORDER_CANCELLED)?;
        }
        note_changed(append, facts, order_id)
    })
}

/// Everything is returned: the order is cancelled and holds nothing. Refused while its
/// open payment may still take money.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn finish_cancellation(states: &impl States, facts: &Facts, order_id: OrderId) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        nothing_in_flight(append, order_id)?;
        append.ask::<Order>(order_id, &OrderCommand::FinishCancellation)?;
        free_everything(append, order_id, ORDER_CANCELLED)
    })
}
