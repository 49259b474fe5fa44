//! The state of a payment.

use jangbu_kernel::{Currency, Money, OrderId, RefundId, UserId, never};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Leg, PaymentEvent, Source};
use super::methods::OwnBooks;
use super::refunds::{Refund, RefundPart, RefundState};

/// Where the charge of a payment stands. Refunds do not change it: see [`Payment::status_name`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// There is no such payment.
    #[default]
    None,
    /// Opened; nothing was asked of anybody.
    Requested,
    /// The gateway is being asked.
    Processing,
    /// The gateway wants something of the buyer.
    RequiresAction,
    /// The buyer has paid at a bank, and the money has not arrived at the gateway.
    AwaitingDeposit,
    /// The answer is lost, or a void is under way.
    Unknown,
    /// The gateway speaks of another amount. Money may have moved: a person has to look.
    Mismatched,
    /// The money is here.
    Captured,
    /// No money was taken and none will be.
    Failed,
    /// Called off before anything was asked of the gateway.
    Voided,
}

impl PaymentState {
    /// Every state, for tables.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Requested,
        Self::Processing,
        Self::RequiresAction,
        Self::AwaitingDeposit,
        Self::Unknown,
        Self::Mismatched,
        Self::Captured,
        Self::Failed,
        Self::Voided,
    ];

    /// The name that is shown. A mismatch is shown as `unknown`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requested => "requested",
            Self::Processing => "processing",
            Self::RequiresAction => "requires_action",
            Self::AwaitingDeposit => "awaiting_deposit",
            Self::Unknown | Self::Mismatched => "unknown",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Voided => "voided",
        }
    }
}

/// What was opened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Opened {
    pub order_id: OrderId,
    pub user_id: UserId,
    pub total: Money,
    pub legs: Vec<Leg>,
}

/// An ignored observation that is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Ignored {
    pub observed: String,
    pub reason: String,
    pub source: Source,
}

/// A payment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    pub(super) opened: Option<Opened>,
    pub(super) state: PaymentState,
    pub(super) capture_requested: bool,
    /// The gateway that was asked for the external leg.
    pub(super) gateway: Option<String>,
    pub(super) challenge_confirmed: bool,
    /// What is required of the buyer is done at a page of the gateway's, not confirmed here.
    pub(super) redirected: bool,
    pub(super) net_cancel_requested: bool,
    /// The gateway acknowledged that nothing is or will be charged.
    pub(super) net_cancelled: bool,
    /// It failed or was voided at some time, also when money came after that.
    pub(super) has_ended: bool,
    pub(super) reference: Option<String>,
    /// What the gateway says that it took, where that is not what was asked for.
    pub(super) reported: Option<Money>,
    /// That amount, once a person has taken it as enough.
    pub(super) accepted: Option<Money>,
    /// What each leg gave, by its number; empty before the capture.
    pub(super) captured: Vec<Money>,
    pub(super) refunds: Vec<Refund>,
    pub(super) ignored: Vec<Ignored>,
}

impl Payment {
    /// The state of the charge.
    #[must_use]
    pub const fn state(&self) -> PaymentState {
        self.state
    }

    /// The payment's status as it is shown: the charge's state, refined by the refunds.
    #[must_use]
    pub fn status_name(&self) -> &'static str {
        let refunded = self.refunded();
        if self.state != PaymentState::Captured || refunded.is_zero() {
            self.state.name()
        } else if refunded == self.captured() {
            "refunded"
        } else {
            "partially_refunded"
        }
    }

    /// Whether it exists.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.opened.is_some()
    }

    /// The order that it pays.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.opened.as_ref().map(|opened| opened.order_id)
    }

    /// The payer.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.opened.as_ref().map(|opened| opened.user_id)
    }

    /// The total to be paid; zero won before the payment exists.
    #[must_use]
    pub fn total(&self) -> Money {
        self.opened.as_ref().map_or(Money::zero(Currency::KRW), |opened| opened.total)
    }

    /// The legs, by their numbers.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        self.opened.as_ref().map_or(&[], |opened| &opened.legs)
    }

    /// The leg that a gateway charges, with its number.
    #[must_use]
    pub fn charge_leg(&self) -> Option<(u8, &Leg)> {
        self.numbered_legs().find(|(_, leg)| leg.method.own_books().is_none())
    }

    /// The legs that are moved in the shop's own books, with their numbers and those books.
    pub fn own_legs(&self) -> impl Iterator<Item = (u8, &Leg, &'static dyn OwnBooks)> {
        self.numbered_legs().filter_map(|(number, leg)| Some((number, leg, leg.method.own_books()?)))
    }

    /// The legs with their numbers.
    pub fn numbered_legs(&self) -> impl Iterator<Item = (u8, &Leg)> {
        (0_u8..).zip(self.legs())
    }

    /// The gateway that was asked for the external leg, by its name; none before that.
    #[must_use]
    pub fn gateway(&self) -> Option<&str> {
        self.gateway.as_deref()
    }

    /// The gateway's id of the charge, once it was reported.
    #[must_use]
    pub fn gateway_reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether this payment may still take money, so that nothing that is held for it may be
    /// released.
    #[must_use]
    pub const fn in_flight(&self) -> bool {
        match self.state {
            PaymentState::Requested
            | PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Mismatched => true,
            PaymentState::None | PaymentState::Captured | PaymentState::Failed | PaymentState::Voided => false,
        }
    }

    /// Whether the gateway's result is not known.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.state, PaymentState::Unknown | PaymentState::Mismatched)
    }

    /// Whether it was captured, even if late.
    #[must_use]
    pub const fn is_captured(&self) -> bool {
        matches!(self.state, PaymentState::Captured)
    }

    /// Whether it failed or was voided at some time, even if money came after that. What was held
    /// for it is to be released, and it can never pay the order.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the money came after the payment had failed or was voided; all of it is refunded.
    #[must_use]
    pub const fn captured_late(&self) -> bool {
        self.is_captured() && self.has_ended
    }

    /// Whether the capture was requested and the gateway's first answer is missing: the charge is
    /// to be sent, or sent again under the same key.
    #[must_use]
    pub fn needs_charge(&self) -> bool {
        self.state == PaymentState::Processing && !self.challenge_confirmed && self.charge_leg().is_some()
    }

    /// Whether the challenge is met and the gateway has to be told, or told again.
    #[must_use]
    pub fn needs_confirm(&self) -> bool {
        self.state == PaymentState::Processing && self.challenge_confirmed
    }

    /// Whether an inquiry can be useful: a charge was requested and is not decided.
    #[must_use]
    pub const fn needs_inquiry(&self) -> bool {
        self.capture_requested && self.in_flight()
    }

    /// Whether a void was requested and is not acknowledged.
    #[must_use]
    pub const fn needs_net_cancel(&self) -> bool {
        self.net_cancel_requested && self.in_flight()
    }

    /// What was captured of all legs.
    #[must_use]
    pub fn captured(&self) -> Money {
        self.add_up(self.captured.iter().copied())
    }

    /// What was captured of a leg.
    #[must_use]
    pub fn leg_captured(&self, leg: u8) -> Money {
        self.captured.get(usize::from(leg)).copied().unwrap_or(self.nothing())
    }

    /// What is certainly refunded.
    #[must_use]
    pub fn refunded(&self) -> Money {
        self.add_up(self.parts().filter(|part| part.refunded).map(|part| part.amount))
    }

    /// What is captured and claimed by no refund, whether settled or under way.
    #[must_use]
    pub fn refundable(&self) -> Money {
        let left = self.numbered_legs().map(|(leg, _)| self.leg_refundable(leg));
        self.add_up(left)
    }

    /// The amount that a person accepted for the external leg, if the gateway took less than was
    /// requested.
    #[must_use]
    pub const fn accepted(&self) -> Option<Money> {
        self.accepted
    }

    /// Whether money was captured and refunds claim all of it.
    #[must_use]
    pub fn is_given_back(&self) -> bool {
        self.captured().is_positive() && self.refundable().is_zero()
    }

    /// What is captured of one leg and claimed by no refund.
    #[must_use]
    pub fn leg_refundable(&self, leg: u8) -> Money {
        let claimed = self.add_up(self.parts().filter(|part| part.leg == leg).map(|part| part.amount));
        self.leg_captured(leg)
            .checked_sub(&claimed)
            .unwrap_or_else(|_| never("a refund is of another currency", self.nothing()))
    }

    /// A refund.
    #[must_use]
    pub fn refund(&self, refund_id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == refund_id)
    }

    /// All refunds, in the order in which they were requested.
    #[must_use]
    pub fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    fn parts(&self) -> impl Iterator<Item = &RefundPart> {
        self.refunds.iter().filter(|refund| refund.state != RefundState::Refused).flat_map(|refund| &refund.parts)
    }

    pub(super) fn nothing(&self) -> Money {
        Money::zero(self.total().currency())
    }

    // Amounts of one payment have one currency and are at most its total, so that no sum can fail.
    fn add_up(&self, amounts: impl Iterator<Item = Money>) -> Money {
        amounts.fold(self.nothing(), |sum, amount| {
            sum.checked_add(&amount).unwrap_or_else(|_| never("amounts of a payment cannot be summed", sum))
        })
    }

    /// Whether this ignored observation is recorded already.
    pub(super) fn has_ignored(&self, observed: &str, reason: &str, source: Source) -> bool {
        self.ignored.iter().any(|seen| seen.observed == observed && seen.reason == reason && seen.source == source)
    }

    pub(super) fn apply(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Requested(opened) => {
                self.opened = Some(Opened {
                    order_id: opened.order_id,
                    user_id: opened.user_id,
                    total: opened.total,
                    legs: opened.legs.clone(),
                });
                self.state = PaymentState::Requested;
            }
            PaymentEvent::CaptureRequested(requested) => {
                self.capture_requested = true;
                self.gateway.clone_from(&requested.gateway);
                self.state = PaymentState::Processing;
            }
            PaymentEvent::ChallengeRequired(challenge) => {
                self.redirected = false;
                self.wait(PaymentState::RequiresAction, &challenge.reference);
            }
            PaymentEvent::RedirectRequired(redirect) => {
                self.redirected = true;
                self.wait(PaymentState::RequiresAction, &redirect.reference);
            }
            PaymentEvent::DepositAwaited(deposit) => self.wait(PaymentState::AwaitingDeposit, &deposit.reference),
            PaymentEvent::ChallengeConfirmed(_) => {
                self.challenge_confirmed = true;
                self.state = PaymentState::Processing;
            }
            PaymentEvent::OutcomeUnknown(_) => self.state = PaymentState::Unknown,
            PaymentEvent::NetCancelRequested(_) => {
                self.net_cancel_requested = true;
                self.state = PaymentState::Unknown;
            }
            PaymentEvent::Captured(captured) => self.apply_capture(captured.reference.as_ref()),
            PaymentEvent::Failed(failed) => {
                self.net_cancelled = failed.reason == super::decide::NET_CANCELLED;
                self.has_ended = true;
                self.state = PaymentState::Failed;
            }
            PaymentEvent::Voided(_) => {
                self.has_ended = true;
                self.state = PaymentState::Voided;
            }
            PaymentEvent::MismatchDetected(mismatch) => {
                self.reference = Some(mismatch.reference.clone());
                self.reported = Some(mismatch.reported);
                self.state = PaymentState::Mismatched;
            }
            PaymentEvent::MismatchAccepted(mismatch) => self.accepted = Some(mismatch.accepted),
            PaymentEvent::ObservationIgnored(ignored) => self.ignored.push(Ignored {
                observed: ignored.observed.clone(),
                reason: ignored.reason.clone(),
                source: ignored.source,
            }),
            PaymentEvent::RefundRequested(requested) => self.refunds.push(Refund::requested(requested)),
            PaymentEvent::LegRefunded(leg) => {
                if let Some(refund) = self.refund_mut(leg.refund_id) {
                    refund.leg_refunded(leg.leg);
                }
            }
            PaymentEvent::RefundSettled(settled) => self.end_refund(settled.refund_id, RefundState::Settled),
            PaymentEvent::RefundRefused(refused) => self.end_refund(refused.refund_id, RefundState::Refused),
            PaymentEvent::InquiryUndecided(_) => {}
        }
    }

    /// The buyer, or the buyer's bank, has to act first.
    fn wait(&mut self, state: PaymentState, reference: &str) {
        self.reference = Some(reference.to_owned());
        self.challenge_confirmed = false;
        self.state = state;
    }

    fn end_refund(&mut self, id: RefundId, state: RefundState) {
        if let Some(refund) = self.refund_mut(id) {
            refund.state = state;
        }
    }

    /// All legs are captured together. A late capture is of the external leg alone, because the
    /// holds of the internal legs were released when the payment ended.
    fn apply_capture(&mut self, reference: Option<&String>) {
        let (late, nothing) = (self.has_ended, self.nothing());
        let external = self.charge_leg().map(|(leg, _)| leg);
        self.captured = self
            .numbered_legs()
            .map(|(number, leg)| match external {
                Some(external) if external == number => self.accepted.unwrap_or(leg.amount),
                Some(_) | None if late => nothing,
                Some(_) | None => leg.amount,
            })
            .collect();
        self.reference = reference.cloned().or_else(|| self.reference.take());
        self.state = PaymentState::Captured;
    }

    fn refund_mut(&mut self, refund_id: RefundId) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.id == refund_id)
    }
}
