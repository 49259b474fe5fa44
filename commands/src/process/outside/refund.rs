//! Gives the money of a requested refund back.

use jangbu_aggregates::commands::ObserveRefund;
use jangbu_aggregates::payment::{RefundState, Source};
use jangbu_kernel::gateway::{RefundOutcome, RefundRequest};
use jangbu_kernel::{PaymentId, RefundId, Refusal, RefusalCode};

use super::work::Work;
use super::{Halt, Step};

/// Gives money back: the gateway's part by the gateway, the rest in our own books.
pub(super) async fn make(work: &Work<'_>, payment_id: PaymentId, refund_id: RefundId) -> Step<()> {
    let payment = work.payment(payment_id).await?;
    let Some(refund) = payment.state.refund(refund_id) else {
        return Err(Halt::Refused(Refusal::new(RefusalCode::NotFound, "no such refund")));
    };
    if refund.state != RefundState::Requested {
        return Ok(());
    }
    let Some(part) = payment.state.gateway_part(refund_id) else {
        let observation = RefundOutcome::Settled { reference: String::new() };
        let command = ObserveRefund { payment_id, refund_id, observation, source: Source::Shop };
        return work.note(command).await;
    };
    let (Some(idempotency_key), Some(reference)) =
        (payment.refund_key(refund_id), payment.state.gateway_reference().map(str::to_owned))
    else {
        let detail = "the gateway never gave the charge an id";
        return Err(Halt::Refused(Refusal::new(RefusalCode::PaymentStateConflict, detail)));
    };
    let request = RefundRequest { idempotency_key, reference, amount: part.amount };
    let observation = work.outside(payment.state.user_id(), work.gateway(&payment.state).refund(request)).await?;
    work.note(ObserveRefund { payment_id, refund_id, observation, source: Source::Answer }).await
}
