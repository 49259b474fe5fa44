//! What a payment decides.

use jangbu_kernel::gateway::ChargeOutcome;
use jangbu_kernel::{AggregateKind, Decider, Decision, Money, OrderId, Refusal, RefusalCode, Remark, UserId};

use super::command::PaymentCommand;
use super::event::{
    CaptureRequested, ChallengeConfirmed, ChallengeRequired, DepositAwaited, InquiryUndecided, Leg, MismatchAccepted,
    MismatchDetected, NetCancelRequested, ObservationIgnored, OutcomeUnknown, PaymentCaptured, PaymentEvent,
    PaymentFailed, PaymentRequested, PaymentVoided, RedirectRequired, Source,
};
use super::methods::validate_legs;
use super::state::{Payment, PaymentState};
use crate::checks;
use crate::facts::Facts;

/// The reason of a failure that the gateway's void caused. The fold reads it.
pub(super) const NET_CANCELLED: &str = "net_cancelled";

impl Decider for Payment {
    const KIND: AggregateKind = AggregateKind::Payment;
    // 2: the gateway that was asked. 3: the amount that the gateway took, if it is another one. 4:
    // the fields of a method are one sealed text. 5: payments at a page and by transfer.
    const STATE_VERSION: u16 = 5;
    type Event = PaymentEvent;
    type Command = PaymentCommand;
    type Facts = Facts;

    fn decide(&self, command: &PaymentCommand, facts: &Facts) -> Decision<PaymentEvent> {
        match command {
            PaymentCommand::Request { order_id, user_id, total, legs } => {
                self.request(*order_id, *user_id, *total, legs)
            }
            PaymentCommand::RequestCapture => self.request_capture(&facts.policy.gateway),
            PaymentCommand::Observe { outcome, source } => self.observe(outcome, *source),
            PaymentCommand::ConfirmChallenge => self.confirm_challenge(),
            PaymentCommand::RequestNetCancel { reason } => self.request_net_cancel(reason),
            PaymentCommand::Void { reason } => self.void(reason),
            PaymentCommand::AcceptMismatch { reason } => self.accept_mismatch(reason),
            PaymentCommand::RequestRefund { refund_id, amount, reason } => {
                self.request_refund(*refund_id, amount, reason)
            }
            PaymentCommand::RequestFullRefund { refund_id, reason } => self.request_full_refund(*refund_id, reason),
            PaymentCommand::ObserveRefund { refund_id, outcome, source } => {
                self.observe_refund(*refund_id, outcome, *source)
            }
        }
    }

    fn evolve(&mut self, event: &PaymentEvent) {
        self.apply(event);
    }
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "no such payment")
}

pub(super) fn conflict(payment: &Payment, detail: &str) -> Refusal {
    let allowed: &[&'static str] = match payment.state() {
        PaymentState::Requested => &["cancel_payment"],
        PaymentState::RequiresAction if !payment.redirected => &["confirm_payment", "cancel_payment"],
        PaymentState::RequiresAction | PaymentState::AwaitingDeposit => &["cancel_payment"],
        PaymentState::Captured => &["refund_payment"],
        PaymentState::None
        | PaymentState::Processing
        | PaymentState::Unknown
        | PaymentState::Mismatched
        | PaymentState::Failed
        | PaymentState::Voided => &[],
    };
    Refusal::new(RefusalCode::PaymentStateConflict, detail).in_state(payment.status_name(), allowed)
}

/// Records that an observation changes nothing, once for each of its kind.
pub(super) fn ignore(payment: &Payment, observed: &str, reason: &str, source: Source) -> Decision<PaymentEvent> {
    let Some(order_id) = payment.order_id() else {
        return not_found().into();
    };
    if payment.has_ignored(observed, reason, source) {
        return Decision::AlreadyDone;
    }
    Decision::one(ObservationIgnored { order_id, observed: observed.to_owned(), reason: reason.to_owned(), source })
}

const fn observed_name(outcome: &ChargeOutcome) -> &'static str {
    match outcome {
        ChargeOutcome::Captured { .. } => "captured",
        ChargeOutcome::Declined { .. } => "declined",
        ChargeOutcome::ChallengeRequired { .. } => "challenge_required",
        ChargeOutcome::RedirectRequired { .. } => "redirect_required",
        ChargeOutcome::DepositAwaited { .. } => "deposit_awaited",
        ChargeOutcome::Pending { .. } => "pending",
        ChargeOutcome::NotFound => "not_found",
        ChargeOutcome::Voided => "voided",
        ChargeOutcome::Unknown { .. } => "unknown",
    }
}

impl Payment {
    fn request(&self, order_id: OrderId, user_id: UserId, total: Money, legs: &[Leg]) -> Decision<PaymentEvent> {
        if let Some(opened) = &self.opened {
            return if opened.order_id == order_id && opened.total == total && opened.legs == legs {
                Decision::AlreadyDone
            } else {
                conflict(self, "a payment with this id exists").into()
            };
        }
        match validate_legs(legs, &total) {
            Ok(()) => Decision::one(PaymentRequested { order_id, user_id, total, legs: legs.to_vec() }),
            Err(refusal) => refusal.into(),
        }
    }

    fn request_capture(&self, gateway: &str) -> Decision<PaymentEvent> {
        let Some(opened) = &self.opened else {
            return not_found().into();
        };
        if self.capture_requested {
            return Decision::AlreadyDone;
        }
        if self.state != PaymentState::Requested {
            return conflict(self, "the payment was called off").into();
        }
        let order_id = opened.order_id;
        if let Some((number, leg)) = self.charge_leg() {
            return Decision::one(CaptureRequested {
                order_id,
                leg: Some(number),
                gateway: Some(gateway.to_owned()),
                amount: leg.amount,
            });
        }
        let amount = opened.total;
        Decision::Record(vec![
            CaptureRequested { order_id, leg: None, gateway: None, amount }.into(),
            PaymentCaptured { order_id, amount, reference: None, source: Source::Shop }.into(),
        ])
    }

    fn confirm_challenge(&self) -> Decision<PaymentEvent> {
        let Some(order_id) = self.order_id() else {
            return not_found().into();
        };
        if self.challenge_confirmed {
            return if self.has_ended || self.net_cancel_requested {
                conflict(self, "the payment was called off").into()
            } else {
                Decision::AlreadyDone
            };
        }
        if self.state != PaymentState::RequiresAction || self.redirected {
            return conflict(self, "the payment waits for no confirmation").into();
        }
        Decision::one(ChallengeConfirmed { order_id })
    }

    fn request_net_cancel(&self, reason: &str) -> Decision<PaymentEvent> {
        let Some(order_id) = self.order_id() else {
            return not_found().into();
        };
        let reason = reason.to_owned();
        match self.state {
            PaymentState::None => not_found().into(),
            // Nothing was requested from the gateway, and nothing will be.
            PaymentState::Requested => Decision::one(PaymentVoided { order_id, reason }),
            PaymentState::Failed | PaymentState::Voided => Decision::AlreadyDone,
            PaymentState::Captured => conflict(self, "the money is taken, it can be refunded").into(),
            PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Mismatched => {
                if self.net_cancel_requested {
                    Decision::AlreadyDone
                } else {
                    Decision::one(NetCancelRequested { order_id, reason })
                }
            }
        }
    }

    fn void(&self, reason: &str) -> Decision<PaymentEvent> {
        match self.state {
            PaymentState::None => not_found().into(),
            PaymentState::Voided => Decision::AlreadyDone,
            PaymentState::Requested | PaymentState::RequiresAction | PaymentState::AwaitingDeposit => {
                self.request_net_cancel(reason)
            }
            PaymentState::Processing | PaymentState::Unknown | PaymentState::Mismatched => {
                if self.net_cancel_requested {
                    return Decision::AlreadyDone;
                }
                Refusal::new(RefusalCode::PaymentInProgress, "the gateway's answer is awaited")
                    .in_state(self.status_name(), Vec::new())
                    .into()
            }
            PaymentState::Captured => conflict(self, "the money is taken, it can be refunded").into(),
            PaymentState::Failed => conflict(self, "the payment has failed").into(),
        }
    }

    /// A person may accept a smaller amount than the one requested. A larger one can only be
    /// refunded, because the excess is not the shop's, and so can an amount that came after the
    /// payment had ended.
    fn accept_mismatch(&self, reason: &Remark) -> Decision<PaymentEvent> {
        let (Some(order_id), Some((_, leg))) = (self.order_id(), self.charge_leg()) else {
            return not_found().into();
        };
        if self.accepted.is_some() {
            return Decision::AlreadyDone;
        }
        let (PaymentState::Mismatched, Some(reported), false) = (self.state, self.reported, self.has_ended) else {
            return conflict(self, "the payment waits for nobody's word about its amount").into();
        };
        if let Err(refusal) = checks::remark(reason) {
            return refusal.into();
        }
        let (expected, total) = (leg.amount, self.total());
        let missing = expected.checked_sub(&reported).ok().filter(Money::is_positive);
        let captured = missing.filter(|_| reported.is_positive()).and_then(|missing| total.checked_sub(&missing).ok());
        let Some(amount) = captured else {
            let detail = format!("{reported} was taken and {expected} was asked for: only less can be taken as enough");
            return Refusal::new(RefusalCode::PaymentTotalMismatch, detail)
                .in_state(self.status_name(), vec!["refund_order"])
                .into();
        };
        let reference = self.reference.clone();
        Decision::Record(vec![
            MismatchAccepted { order_id, expected, accepted: reported, reason: reason.clone() }.into(),
            PaymentCaptured { order_id, amount, reference, source: Source::Operator }.into(),
        ])
    }

    fn observe(&self, outcome: &ChargeOutcome, source: Source) -> Decision<PaymentEvent> {
        let Some(order_id) = self.order_id() else {
            return not_found().into();
        };
        // Without a requested capture there is no charge that could be reported. A payment that was
        // cancelled is the exception: its money would be real.
        if !self.capture_requested && self.state == PaymentState::Requested {
            return ignore(self, observed_name(outcome), "no_capture_requested", source);
        }
        match outcome {
            ChargeOutcome::Captured { reference, amount } => self.observe_capture(order_id, reference, amount, source),
            ChargeOutcome::Declined { code } => self.observe_decline(order_id, code, source),
            ChargeOutcome::Voided => self.observe_void(order_id, source),
            ChargeOutcome::ChallengeRequired { reference } => self.observe_challenge(order_id, reference, source),
            ChargeOutcome::RedirectRequired { reference, url } => {
                self.observe_redirect(order_id, reference, url, source)
            }
            ChargeOutcome::DepositAwaited { reference } => self.observe_deposit(order_id, reference, source),
            ChargeOutcome::Pending { .. } | ChargeOutcome::NotFound | ChargeOutcome::Unknown { .. } => {
                self.observe_undecided(order_id, outcome, source)
            }
        }
    }

    fn observe_capture(
        &self,
        order_id: OrderId,
        reference: &str,
        amount: &Money,
        source: Source,
    ) -> Decision<PaymentEvent> {
        let Some((_, leg)) = self.charge_leg() else {
            return ignore(self, "captured", "no_external_leg", source);
        };
        match self.state {
            PaymentState::Captured => return ignore(self, "captured", "already_captured", source),
            PaymentState::Mismatched => return ignore(self, "captured", "mismatch_detected", source),
            _ if self.net_cancelled && source != Source::Operator => {
                return ignore(self, "captured", "voided_at_gateway", source);
            }
            _ if self.needs_net_cancel() => return ignore(self, "captured", "net_cancel_pending", source),
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Failed
            | PaymentState::Voided => {}
        }
        let expected = leg.amount;
        let reference = reference.to_owned();
        if *amount != expected {
            return Decision::one(MismatchDetected { order_id, expected, reported: *amount, reference, source });
        }
        let amount = if self.has_ended { expected } else { self.total() };
        Decision::one(PaymentCaptured { order_id, amount, reference: Some(reference), source })
    }

    fn observe_decline(&self, order_id: OrderId, code: &str, source: Source) -> Decision<PaymentEvent> {
        match self.state {
            PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown => Decision::one(PaymentFailed { order_id, reason: code.to_owned(), source }),
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::Mismatched
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => ignore(self, "declined", self.rank_reason(), source),
        }
    }

    fn observe_void(&self, order_id: OrderId, source: Source) -> Decision<PaymentEvent> {
        match self.state {
            PaymentState::Processing
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Mismatched => {
                Decision::one(PaymentFailed { order_id, reason: NET_CANCELLED.to_owned(), source })
            }
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => ignore(self, "voided", self.rank_reason(), source),
        }
    }

    /// A challenge is new before it was met. After that only an inquiry can report it again, which
    /// means that the gateway never got the confirmation.
    fn observe_challenge(&self, order_id: OrderId, reference: &str, source: Source) -> Decision<PaymentEvent> {
        let never_arrived = self.state == PaymentState::Unknown && matches!(source, Source::Inquiry | Source::Operator);
        let news = match self.state {
            PaymentState::Processing | PaymentState::Unknown => !self.challenge_confirmed || never_arrived,
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Mismatched
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => false,
        };
        if self.needs_net_cancel() {
            return ignore(self, "challenge_required", "net_cancel_pending", source);
        }
        if !news {
            return ignore(self, "challenge_required", self.rank_reason(), source);
        }
        Decision::one(ChallengeRequired { order_id, reference: reference.to_owned(), source })
    }

    /// A redirect is new only while the charge is processed or its outcome is unknown.
    fn observe_redirect(
        &self,
        order_id: OrderId,
        reference: &str,
        url: &str,
        source: Source,
    ) -> Decision<PaymentEvent> {
        match self.state {
            _ if self.needs_net_cancel() => ignore(self, "redirect_required", "net_cancel_pending", source),
            PaymentState::Processing | PaymentState::Unknown => {
                let (reference, url) = (reference.to_owned(), url.to_owned());
                Decision::one(RedirectRequired { order_id, reference, url, source })
            }
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Mismatched
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => ignore(self, "redirect_required", self.rank_reason(), source),
        }
    }

    fn observe_deposit(&self, order_id: OrderId, reference: &str, source: Source) -> Decision<PaymentEvent> {
        match self.state {
            _ if self.needs_net_cancel() => ignore(self, "deposit_awaited", "net_cancel_pending", source),
            PaymentState::Processing | PaymentState::RequiresAction | PaymentState::Unknown => {
                Decision::one(DepositAwaited { order_id, reference: reference.to_owned(), source })
            }
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::AwaitingDeposit
            | PaymentState::Mismatched
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => ignore(self, "deposit_awaited", self.rank_reason(), source),
        }
    }

    fn observe_undecided(&self, order_id: OrderId, outcome: &ChargeOutcome, source: Source) -> Decision<PaymentEvent> {
        let (observed, answer) = match outcome {
            ChargeOutcome::NotFound => ("not_found", "not_found"),
            ChargeOutcome::Pending { .. } => ("pending", "pending"),
            ChargeOutcome::Unknown { .. }
            | ChargeOutcome::Captured { .. }
            | ChargeOutcome::Declined { .. }
            | ChargeOutcome::ChallengeRequired { .. }
            | ChargeOutcome::RedirectRequired { .. }
            | ChargeOutcome::DepositAwaited { .. }
            | ChargeOutcome::Voided => ("unknown", "no_answer"),
        };
        let asked = matches!(source, Source::Inquiry | Source::Operator);
        match self.state {
            // The call may still be on its way, so it means nothing that the gateway does not know
            // of it.
            PaymentState::Processing if observed == "not_found" => ignore(self, observed, "charge_under_way", source),
            PaymentState::Processing => Decision::one(OutcomeUnknown { order_id, detail: answer.to_owned() }),
            PaymentState::Unknown if asked => Decision::one(InquiryUndecided { order_id, answer: answer.to_owned() }),
            PaymentState::None
            | PaymentState::Requested
            | PaymentState::RequiresAction
            | PaymentState::AwaitingDeposit
            | PaymentState::Unknown
            | PaymentState::Mismatched
            | PaymentState::Captured
            | PaymentState::Failed
            | PaymentState::Voided => ignore(self, observed, self.rank_reason(), source),
        }
    }

    /// Why an observation of the same or of lower rank changes nothing.
    const fn rank_reason(&self) -> &'static str {
        match self.state {
            PaymentState::None | PaymentState::Requested => "no_capture_requested",
            PaymentState::Processing => "charge_under_way",
            PaymentState::RequiresAction => "challenge_is_open",
            PaymentState::AwaitingDeposit => "deposit_is_awaited",
            PaymentState::Unknown => "outcome_is_unknown",
            PaymentState::Mismatched => "mismatch_detected",
            PaymentState::Captured => "already_captured",
            PaymentState::Failed => "already_failed",
            PaymentState::Voided => "already_voided",
        }
    }
}
