//! What became of a refund. Writes `payment` and, when points are given back, `points`:
//! a settled refund has returned all of its legs, the points among them.

use jangbu_kernel::gateway::RefundOutcome;
use jangbu_kernel::{PaymentId, RefundId};

use super::append::decide;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::payment::{Payment, PaymentCommand, RefundState, Source};
use crate::points::{Points, PointsCommand};
use crate::state::{Missing, States};

/// Takes an answer about a refund in; what settles it restores the points.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn observe_refund(
    states: &impl States,
    facts: &Facts,
    payment_id: PaymentId,
    refund_id: RefundId,
    outcome: &RefundOutcome,
    source: Source,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let observe = PaymentCommand::ObserveRefund { refund_id, outcome: outcome.clone(), source };
        append.ask::<Payment>(payment_id, &observe)?;
        let before = append.before::<Payment>(payment_id)?;
        let after = append.after::<Payment>(payment_id)?;
        let is_settled =
            |payment: &Payment| payment.refund(refund_id).is_some_and(|refund| refund.state == RefundState::Settled);
        let (Some(part), Some(user_id)) = (after.points_part(refund_id), after.user_id()) else {
            return Ok(());
        };
        if is_settled(before) || !is_settled(&after) {
            return Ok(());
        }
        // The payment took its points when it was captured; when the order was never
        // confirmed the ledger only holds them. Spent and restored in one append, the
        // ledger and the payment tell the same story.
        if append.before::<Points>(user_id)?.held_for(payment_id) > 0 {
            append.ask::<Points>(user_id, &PointsCommand::Capture { payment_id })?;
        }
        append.ask::<Points>(user_id, &PointsCommand::Restore { payment_id, refund_id, amount: part.amount })?;
        Ok(())
    })
}
