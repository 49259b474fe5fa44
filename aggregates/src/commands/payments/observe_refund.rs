//! Somebody told something about a refund. Writes `payment` and, when points are given back,
//! `points`: a settled refund has returned all of its legs, the points among them.

use jangbu_kernel::gateway::RefundOutcome;
use jangbu_kernel::{PaymentId, RefundId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop, add_payment};
use crate::payment::{Payment, PaymentCommand, RefundState, Source};
use crate::state::{Missing, States};

/// Somebody told something about a refund; when its legs are back, points are
/// restored and it is settled, in one append.
#[derive(Clone, Debug, PartialEq)]
pub struct ObserveRefund {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The refund that was asked for.
    pub refund_id: RefundId,
    /// The state of the refund as it was told.
    pub observation: RefundOutcome,
    /// Whether an answer, an inquiry, a webhook or the shop itself told it.
    pub source: Source,
}

impl Command for ObserveRefund {
    const RULES: Rules = Rules::internal("observe_refund");

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_payment(states, self.payment_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (payment_id, refund_id) = (self.payment_id, self.refund_id);
        let (outcome, source) = (self.observation.clone(), self.source);
        append.ask::<Payment>(payment_id, &PaymentCommand::ObserveRefund { refund_id, outcome, source })?;
        let before = append.before::<Payment>(payment_id)?;
        let after = append.after::<Payment>(payment_id)?;
        let is_settled =
            |payment: &Payment| payment.refund(refund_id).is_some_and(|refund| refund.state == RefundState::Settled);
        let Some(user_id) = after.user_id() else { return Ok(()) };
        if is_settled(before) || !is_settled(&after) {
            return Ok(());
        }
        for (books, part) in after.own_parts(refund_id) {
            books.restore(append, user_id, payment_id, refund_id, part.amount)?;
        }
        Ok(())
    }
}
