//! The data of a payment that a call to the gateway needs: its state, and the ids of the events
//! that are the gateway's idempotency keys.

use jangbu_aggregates::commands::ObservePayment;
use jangbu_aggregates::payment::{Payment, PaymentEvent, Source};
use jangbu_aggregates::{DomainEvent, Scope};
use jangbu_kernel::log::LogError;
use jangbu_kernel::{
    CommandId, CorrelationId, Decider as _, PaymentId, Position, RecordedEvent, RefundId, Refusal, RefusalCode,
    StreamId, Version, never,
};
use uuid::Uuid;

use super::Shared;
use crate::reader::decode;
use crate::request::{Answer, Caller, CommandError, Request};

/// A payment folded from its whole stream.
#[derive(Debug, Default)]
pub(crate) struct PaymentHistory {
    pub state: Payment,
    charge_key: Option<Uuid>,
    refund_keys: Vec<(RefundId, Uuid)>,
}

impl PaymentHistory {
    /// Folds a payment's stream.
    pub fn fold(events: &[RecordedEvent]) -> Result<Self, LogError> {
        let mut payment = Self::default();
        for recorded in events {
            let DomainEvent::Payment(event) = decode(recorded)? else { continue };
            let event_id = recorded.event_id.uuid();
            if let PaymentEvent::CaptureRequested(_) = &event {
                payment.charge_key = Some(event_id);
            }
            if let PaymentEvent::RefundRequested(refund) = &event {
                payment.refund_keys.push((refund.refund_id, event_id));
            }
            payment.state.evolve(&event);
        }
        Ok(payment)
    }

    /// The gateway's idempotency key of the charge: the id of the event that asked for it. None if
    /// the gateway has no part in this payment, or was not asked yet.
    pub fn charge_key(&self) -> Option<Uuid> {
        self.charge_key.filter(|_| self.state.charge_leg().is_some())
    }

    /// The gateway's idempotency key of a refund: the id of the event that asked for it.
    pub fn refund_key(&self, refund_id: RefundId) -> Option<Uuid> {
        self.refund_keys.iter().find(|(known, _)| *known == refund_id).map(|(_, key)| *key)
    }
}

/// Asks the gateway now and records its answer.
pub(super) async fn sync(
    shared: &Shared,
    payment_id: PaymentId,
    caller: Caller,
    correlation_id: CorrelationId,
) -> Result<Answer, CommandError> {
    let stream = StreamId::payment(payment_id);
    let unreadable = |error| CommandError::reading(stream, error);
    let events = shared.deps.commands.history(stream, None).await.map_err(unreadable)?;
    let payment = PaymentHistory::fold(&events).map_err(unreadable)?;
    let mine = match caller.scope {
        Scope::Any => payment.state.exists(),
        Scope::Own(user_id) => payment.state.user_id() == Some(user_id),
    };
    if !mine {
        return Err(CommandError::Refused(Refusal::new(RefusalCode::NotFound, "no such payment")));
    }
    let Some(key) = payment.charge_key() else {
        let (version, position) =
            events.last().map_or((Version::ZERO, Position::ZERO), |last| (last.version, last.position));
        return Ok(Answer { stream, version, position, replayed: false, events: [].into() });
    };
    let observation = {
        let place = shared.outside.take(payment.state.user_id()).await;
        let Some(_place) = place else { return Err(CommandError::ShuttingDown) };
        let gateway = payment.state.gateway().unwrap_or_else(|| never("a charge without a gateway", ""));
        shared.deps.gateways.holding(gateway).inquire(key).await
    };
    let command = ObservePayment { payment_id, observation, source: Source::Inquiry };
    let command_id = CommandId::new(shared.deps.world.ids.new_id());
    // The caller asked for this and counts as the actor; the caller's scope was checked above.
    let caller = Caller { actor: caller.actor, scope: Scope::Any };
    shared.deps.commands.execute(Request::new(command, caller, command_id, correlation_id)).await
}
