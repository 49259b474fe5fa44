//! Asks the gateway for a payment's money.

use jangbu_aggregates::payment::{Instrument, Leg, Source};
use jangbu_kernel::gateway::{ChargeOutcome, ChargeRequest, Details};
use jangbu_kernel::{PaymentId, SealedAt, StreamId};

use super::work::Work;
use super::{DATA_UNREADABLE, Step};
use crate::process::payment::PaymentHistory;
use crate::process::told::{Charge, Told};
use crate::sealing;

/// The id of the stored intent is the gateway's idempotency key, so that asking twice, after a
/// crash in between, charges once.
pub(super) async fn make(work: &Work<'_>, payment_id: PaymentId) -> Step<()> {
    let charge = match &work.issued.told {
        Some(Told::Charge(charge)) => Some(charge.clone()),
        Some(Told::Parcel(_)) | None => charge_of(&work.payment(payment_id).await?),
    };
    let Some(Charge { key, gateway, buyer, leg }) = charge else { return Ok(()) };
    let Some(details) = details(work, payment_id, &leg).await? else {
        // The gateway was not asked and never can be: nothing is charged.
        let observation = ChargeOutcome::Declined { code: DATA_UNREADABLE.to_owned() };
        return work.observe(payment_id, observation, Source::Shop).await;
    };
    let (idempotency_key, order_id, amount) = (key, work.issued.order_id, leg.amount);
    let method = leg.method.name();
    let request = ChargeRequest { idempotency_key, order_id, payment_id, amount, method, details };
    let gateway = work.shared.deps.gateways.holding(&gateway);
    let outcome = work.outside(buyer, gateway.charge(request)).await?;
    work.observe(payment_id, outcome, Source::Answer).await
}

/// What a leg's method needs to know; none when it can never be read again.
async fn details(work: &Work<'_>, payment_id: PaymentId, leg: &Leg) -> Step<Option<Details>> {
    let Some(Instrument { sealed, member }) = &leg.instrument else { return Ok(Some(Details::default())) };
    let Some(member) = member else {
        let opened = work.open(sealing::instrument(payment_id), sealed).await?;
        return Ok(opened.and_then(|json| Details::from_json(&json).ok()));
    };
    let field = format!("payment.{member}");
    let opened = work.open(SealedAt { field: &field, stream: StreamId::payment(payment_id) }, sealed).await?;
    Ok(opened.map(|value| Details::from_iter([(member.clone(), value)])))
}

/// The charge that a payment still has to ask for.
fn charge_of(payment: &PaymentHistory) -> Option<Charge> {
    let (key, (_, leg)) = (payment.charge_key()?, payment.state.charge_leg()?);
    let (gateway, buyer) = (payment.state.gateway()?.to_owned(), payment.state.user_id());
    payment.state.needs_charge().then(|| Charge { key, gateway, buyer, leg: leg.clone() })
}
