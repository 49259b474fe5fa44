//! Has the gateway void a charge.

use jangbu_aggregates::payment::Source;
use jangbu_kernel::PaymentId;

use super::Step;
use super::work::Work;

pub(super) async fn make(work: &Work<'_>, payment_id: PaymentId) -> Step<()> {
    let payment = work.payment(payment_id).await?;
    let (true, Some(key)) = (payment.state.needs_net_cancel(), payment.charge_key()) else { return Ok(()) };
    let outcome = work.outside(payment.state.user_id(), work.gateway(&payment.state).net_cancel(key)).await?;
    work.observe(payment_id, outcome, Source::Answer).await
}
