//! Refunds of a payment: how much of which leg, and their outcome.

use jangbu_kernel::gateway::RefundOutcome;
use jangbu_kernel::{Decision, Money, RefundId, Refusal, RefusalCode, Remark, never};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{conflict, ignore};
use super::event::{LegRefund, LegRefunded, PaymentEvent, RefundRefused, RefundRequested, RefundSettled, Source};
use super::methods::OwnBooks;
use super::state::{Payment, PaymentState};

/// Refunds of one payment that staff can request; this bounds the stream.
pub const MAX_REFUNDS: usize = 100;

/// What became of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for; what it claims is claimed.
    Requested,
    /// All of it is back.
    Settled,
    /// The gateway will not; nothing was returned and nothing is claimed.
    Refused,
}

/// What a leg gives back in a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundPart {
    /// Which leg.
    pub leg: u8,
    /// The part that goes back over this leg.
    pub amount: Money,
    /// Whether it is back.
    pub refunded: bool,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refund {
    /// The id under which it was requested.
    pub id: RefundId,
    /// How much in all.
    pub amount: Money,
    /// How much of which leg, at most one part a leg.
    pub parts: Vec<RefundPart>,
    /// What became of it.
    pub state: RefundState,
}

impl Refund {
    pub(super) fn requested(event: &RefundRequested) -> Self {
        let parts = event
            .allocation
            .iter()
            .map(|part| RefundPart { leg: part.leg, amount: part.amount, refunded: false })
            .collect();
        Self { id: event.refund_id, amount: event.amount, parts, state: RefundState::Requested }
    }

    pub(super) fn leg_refunded(&mut self, leg: u8) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.leg == leg) {
            part.refunded = true;
        }
    }

    /// What this refund takes from a leg.
    #[must_use]
    pub fn part(&self, leg: u8) -> Option<&RefundPart> {
        self.parts.iter().find(|part| part.leg == leg)
    }
}

impl Payment {
    /// What the gateway has to refund; none if the refund settles in the shop's own books alone.
    #[must_use]
    pub fn gateway_part(&self, refund_id: RefundId) -> Option<&RefundPart> {
        let (leg, _) = self.charge_leg()?;
        self.refund(refund_id)?.part(leg)
    }

    /// What a refund returns in the shop's own books, and in which of them.
    pub fn own_parts(&self, refund_id: RefundId) -> impl Iterator<Item = (&'static dyn OwnBooks, &RefundPart)> {
        let refund = self.refund(refund_id);
        self.own_legs().filter_map(move |(number, _, books)| Some((books, refund?.part(number)?)))
    }

    pub(super) fn request_refund(
        &self,
        refund_id: RefundId,
        amount: &Money,
        reason: &Remark,
    ) -> Decision<PaymentEvent> {
        if let Some(known) = self.refund(refund_id) {
            return if known.amount == *amount {
                Decision::AlreadyDone
            } else {
                Refusal::new(RefusalCode::ReferenceReused, "a refund of another amount has this id").into()
            };
        }
        if let Err(refusal) = self.must_be_captured() {
            return refusal.into();
        }
        if amount.currency() != self.total().currency() || !amount.is_positive() {
            return Refusal::new(
                RefusalCode::ValidationFailed,
                format!("the amount must be more than zero, in {}", self.total().currency()),
            )
            .at("/amount")
            .into();
        }
        if self.refunds().len() >= MAX_REFUNDS {
            return conflict(self, "the payment has too many refunds").into();
        }
        let refundable = self.refundable();
        if amount.amount() > refundable.amount() {
            return Refusal::new(
                RefusalCode::RefundExceedsCaptured,
                format!("{refundable} can be refunded and {amount} was asked for"),
            )
            .at("/amount")
            .into();
        }
        self.record_refund(refund_id, *amount, reason)
    }

    pub(super) fn request_full_refund(&self, refund_id: RefundId, reason: &Remark) -> Decision<PaymentEvent> {
        if self.refund(refund_id).is_some() {
            return Decision::AlreadyDone;
        }
        if let Err(refusal) = self.must_be_captured() {
            return refusal.into();
        }
        let refundable = self.refundable();
        if refundable.is_zero() {
            return Decision::AlreadyDone;
        }
        self.record_refund(refund_id, refundable, reason)
    }

    fn must_be_captured(&self) -> Result<(), Refusal> {
        match self.state {
            PaymentState::Captured => Ok(()),
            PaymentState::None => Err(super::decide::not_found()),
            PaymentState::Requested
            | PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Mismatched
            | PaymentState::Failed
            | PaymentState::Voided => Err(conflict(self, "nothing is captured that could be refunded")),
        }
    }

    /// Takes the gateway's leg first, then the internal ones, each up to what is left of it.
    fn record_refund(&self, refund_id: RefundId, amount: Money, reason: &Remark) -> Decision<PaymentEvent> {
        let Some(order_id) = self.order_id() else {
            return super::decide::not_found().into();
        };
        let gateway = self.charge_leg().map(|(leg, _)| leg);
        let others = self.numbered_legs().map(|(leg, _)| leg).filter(|leg| Some(*leg) != gateway);
        let mut left = amount;
        let mut allocation = Vec::new();
        for leg in gateway.into_iter().chain(others) {
            let available = self.leg_refundable(leg);
            let part = if available.amount() < left.amount() { available } else { left };
            if part.is_positive() {
                allocation.push(LegRefund { leg, amount: part });
                left = left.checked_sub(&part).unwrap_or_else(|_| never("a part is of another currency", left));
            }
        }
        Decision::one(RefundRequested { order_id, refund_id, amount, allocation, reason: reason.clone() })
    }

    pub(super) fn observe_refund(
        &self,
        refund_id: RefundId,
        outcome: &RefundOutcome,
        source: Source,
    ) -> Decision<PaymentEvent> {
        let (Some(order_id), Some(refund)) = (self.order_id(), self.refund(refund_id)) else {
            return Refusal::new(RefusalCode::NotFound, "no such refund").into();
        };
        match (refund.state, outcome) {
            // A lost answer says nothing; the same key is asked again.
            (_, RefundOutcome::Unknown { .. })
            | (RefundState::Settled, RefundOutcome::Settled { .. })
            | (RefundState::Refused, RefundOutcome::Refused { .. }) => Decision::AlreadyDone,
            (RefundState::Requested, RefundOutcome::Settled { reference }) => self.settle(refund, reference, source),
            (RefundState::Requested, RefundOutcome::Refused { code }) => {
                Decision::one(RefundRefused { order_id, refund_id, reason: code.clone() })
            }
            // What the refusal freed may be claimed by another refund already. A person has to
            // compare the books.
            (RefundState::Refused, RefundOutcome::Settled { .. }) => {
                ignore(self, "refund_settled", "refund_was_refused", source)
            }
            (RefundState::Settled, RefundOutcome::Refused { .. }) => {
                ignore(self, "refund_refused", "refund_is_settled", source)
            }
        }
    }

    fn settle(&self, refund: &Refund, reference: &str, source: Source) -> Decision<PaymentEvent> {
        let Some(order_id) = self.order_id() else {
            return super::decide::not_found().into();
        };
        let external = self.charge_leg().map(|(leg, _)| leg);
        let mut events: Vec<PaymentEvent> = refund
            .parts
            .iter()
            .filter(|part| !part.refunded)
            .map(|part| {
                let outside = external == Some(part.leg);
                LegRefunded {
                    order_id,
                    refund_id: refund.id,
                    leg: part.leg,
                    amount: part.amount,
                    reference: outside.then(|| reference.to_owned()),
                    source: if outside { source } else { Source::Shop },
                }
                .into()
            })
            .collect();
        events.push(RefundSettled { order_id, refund_id: refund.id, amount: refund.amount }.into());
        Decision::Record(events)
    }
}
