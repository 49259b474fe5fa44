//! Finishes a charge whose challenge the buyer has met.

use jangbu_aggregates::payment::Source;
use jangbu_kernel::PaymentId;

use super::Step;
use super::work::Work;

pub(super) async fn make(work: &Work<'_>, payment_id: PaymentId) -> Step<()> {
    let payment = work.payment(payment_id).await?;
    let (true, Some(reference)) = (payment.state.needs_confirm(), payment.state.gateway_reference()) else {
        return Ok(());
    };
    let outcome = work.outside(payment.state.user_id(), work.gateway(&payment.state).confirm(reference)).await?;
    work.observe(payment_id, outcome, Source::Answer).await
}
