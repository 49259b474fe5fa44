//! Asks the gateway what became of a charge.

use jangbu_aggregates::payment::Source;
use jangbu_kernel::PaymentId;

use super::Step;
use super::work::Work;

pub(super) async fn make(work: &Work<'_>, payment_id: PaymentId) -> Step<()> {
    let payment = work.payment(payment_id).await?;
    let (true, Some(key)) = (payment.state.needs_inquiry(), payment.charge_key()) else { return Ok(()) };
    let outcome = work.outside(payment.state.user_id(), work.gateway(&payment.state).inquire(key)).await?;
    work.observe(payment_id, outcome, Source::Inquiry).await
}
