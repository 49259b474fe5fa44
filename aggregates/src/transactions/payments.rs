//! Opening a payment, calling it off, and taking note of its failure.
//!
//! Each writes `payment` (but for the failure, which the payment has recorded itself),
//! `order` and, when points are a leg, `points`: an order names one open payment, and
//! points are held exactly as long as that payment can still take them. And `buyer`: whether
//! the order waits for a payment changes with each of them.

use jangbu_kernel::{Money, OrderId, PaymentId, Refusal, RefusalCode, UserId};

use super::append::{Append, Stop, decide};
use super::waiting::note_changed;
use crate::checks;
use crate::command::{Outcome, WantedPayment};
use crate::facts::Facts;
use crate::order::{Order, OrderCommand};
use crate::payment::{MethodName, Payment, PaymentCommand, PaymentState};
use crate::points::{Points, PointsCommand};
use crate::state::{Missing, States};

/// The reason that is written when somebody calls a payment off.
const CALLED_OFF: &str = "called_off";

/// Pays an order that stands.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn request_payment(
    states: &impl States,
    facts: &Facts,
    order_id: OrderId,
    payment: &WantedPayment,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let order = append.before::<Order>(order_id)?;
        match (order.user_id(), order.total()) {
            (Some(user_id), Some(total)) => {
                open_payment(append, order_id, user_id, total, payment)?;
                note_changed(append, facts, order_id)
            }
            (_, _) => Err(checks::not_found("order").into()),
        }
    })
}

/// The order opens the payment, the payment is requested, its points are held.
pub(super) fn open_payment<S: States>(
    append: &mut Append<'_, S>,
    order_id: OrderId,
    user_id: UserId,
    total: Money,
    payment: &WantedPayment,
) -> Result<(), Stop> {
    let payment_id = payment.payment_id;
    append.ask::<Order>(order_id, &OrderCommand::OpenPayment { payment_id })?;
    let legs = payment.legs.clone();
    append.ask::<Payment>(payment_id, &PaymentCommand::Request { order_id, user_id, total, legs })?;
    for (index, leg) in payment.legs.iter().enumerate() {
        match leg.method {
            MethodName::Card => {}
            MethodName::Points => {
                let hold = PointsCommand::Hold { payment_id, order_id, amount: leg.amount };
                append.ask::<Points>(user_id, &hold).map_err(|stop| match stop {
                    Stop::Refused(refusal) => Stop::Refused(refusal.at(format!("/legs/{index}"))),
                    Stop::Missing(missing) => Stop::Missing(missing),
                })?;
            }
        }
    }
    Ok(())
}

/// Calls a payment off. Before anything was asked of the gateway that ends it here and
/// now; when the gateway knows of it, the intent to void it is all that is recorded, and
/// what follows is the gateway's word.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn cancel_payment(states: &impl States, facts: &Facts, payment_id: PaymentId) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let reason = CALLED_OFF.to_owned();
        append.ask::<Payment>(payment_id, &PaymentCommand::Void { reason: reason.clone() })?;
        let payment = append.after::<Payment>(payment_id)?;
        if let (PaymentState::Voided, Some(order_id)) = (payment.state(), payment.order_id()) {
            append.ask::<Order>(order_id, &OrderCommand::RecordPaymentFailure { payment_id, reason })?;
            release_points(append, payment_id, CALLED_OFF)?;
            note_changed(append, facts, order_id)?;
        }
        Ok(())
    })
}

/// The order notes that a payment failed or was voided, and its points are free. Refused
/// while the payment may still take money: an unknown outcome is not a failure.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn record_payment_failure(
    states: &impl States,
    facts: &Facts,
    order_id: OrderId,
    payment_id: PaymentId,
    reason: &str,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let payment = payment_of(append, order_id, payment_id)?;
        if !payment.has_ended() {
            let refusal = Refusal::new(RefusalCode::PaymentInProgress, "the payment has not failed");
            return Err(refusal.in_state(payment.status_name(), []).into());
        }
        let failed = OrderCommand::RecordPaymentFailure { payment_id, reason: reason.to_owned() };
        append.ask::<Order>(order_id, &failed)?;
        release_points(append, payment_id, "payment_failed")?;
        note_changed(append, facts, order_id)
    })
}

/// A payment, when it is one of this order.
pub(super) fn payment_of<'a, S: States>(
    append: &Append<'a, S>,
    order_id: OrderId,
    payment_id: PaymentId,
) -> Result<&'a Payment, Stop> {
    let payment = append.before::<Payment>(payment_id)?;
    if payment.order_id() == Some(order_id) { Ok(payment) } else { Err(checks::not_found("payment").into()) }
}

/// Frees the points that a payment holds, if points are a leg of it.
pub(super) fn release_points<S: States>(
    append: &mut Append<'_, S>,
    payment_id: PaymentId,
    reason: &str,
) -> Result<(), Stop> {
    let payment = append.before::<Payment>(payment_id)?;
    if let (Some(_), Some(user_id)) = (payment.points_leg(), payment.user_id()) {
        append.ask::<Points>(user_id, &PointsCommand::Release { payment_id, reason: reason.to_owned() })?;
    }
    Ok(())
}
