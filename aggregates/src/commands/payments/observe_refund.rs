//! Something was reported about a refund. Writes `payment` and, if points are returned, `points`: a
//! settled refund has returned all of its legs, including points.

use jangbu_kernel::gateway::RefundOutcome;
use jangbu_kernel::{PaymentId, RefundId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop, add_payment};
use crate::payment::{Payment, PaymentCommand, RefundState, Source};
use crate::state::{Missing, States};

/// Something was reported about a refund. Once its legs are refunded, points are restored and it is
/// settled, in one append.
#[derive(Clone, Debug, PartialEq)]
pub struct ObserveRefund {
    /// The payment.
    pub payment_id: PaymentId,
    /// The refund.
    pub refund_id: RefundId,
    /// The reported state of the refund.
    pub observation: RefundOutcome,
    /// Where the report comes from, such as an answer, an inquiry or a webhook.
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
