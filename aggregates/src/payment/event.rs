//! What happened to a payment. Storage format.
//!
//! Every payload names the order, so that a reader of the log needs no second
//! look to know whom it concerns.

use jangbu_kernel::{Money, OrderId, RefundId, Remark, Sealed, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::methods::Method;
use crate::event::in_the_clear;

events! {
    /// What happened to a payment.
    pub enum PaymentEvent {
        "payment.requested" v 2 => Requested(PaymentRequested) { 1 => closed_instruments },
        "payment.capture_requested" v 2 => CaptureRequested(CaptureRequested) { 1 => asked_the_sandbox },
        "payment.challenge_required" v 1 => ChallengeRequired(ChallengeRequired),
        "payment.challenge_confirmed" v 1 => ChallengeConfirmed(ChallengeConfirmed),
        "payment.redirect_required" v 1 => RedirectRequired(RedirectRequired),
        "payment.deposit_awaited" v 1 => DepositAwaited(DepositAwaited),
        "payment.outcome_unknown" v 1 => OutcomeUnknown(OutcomeUnknown),
        "payment.inquiry_undecided" v 1 => InquiryUndecided(InquiryUndecided),
        "payment.net_cancel_requested" v 1 => NetCancelRequested(NetCancelRequested),
        "payment.captured" v 1 => Captured(PaymentCaptured),
        "payment.failed" v 1 => Failed(PaymentFailed),
        "payment.voided" v 1 => Voided(PaymentVoided),
        "payment.mismatch_detected" v 1 => MismatchDetected(MismatchDetected),
        "payment.mismatch_accepted" v 1 => MismatchAccepted(MismatchAccepted),
        "payment.observation_ignored" v 1 => ObservationIgnored(ObservationIgnored),
        "payment.refund_requested" v 2 => RefundRequested(RefundRequested) { 1 => in_the_clear },
        "payment.leg_refunded" v 1 => LegRefunded(LegRefunded),
        "payment.refund_settled" v 1 => RefundSettled(RefundSettled),
        "payment.refund_refused" v 1 => RefundRefused(RefundRefused),
    }
}

/// What a method needs to know to take the money: an object whose members are texts, its
/// method's fields, sealed as a whole. Only the gateway's adapter reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instrument {
    /// The object's JSON text, sealed.
    pub sealed: Sealed,
    /// Version 1 sealed no object but the value of its only member, as the field
    /// `payment.<member>`: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

impl From<Sealed> for Instrument {
    fn from(sealed: Sealed) -> Self {
        Self { sealed, member: None }
    }
}

/// A part of a payment by one method. Its number is its place, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// How.
    pub method: Method,
    /// How much.
    pub amount: Money,
    /// With what; none by a method that needs nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Instrument>,
}

/// Version 1 knew the instruments: `"points"`, and `{"card": {"card_token": <sealed>}}`.
fn closed_instruments(payload: &mut Map<String, Value>) {
    let legs = payload.get_mut("legs").and_then(Value::as_array_mut);
    for leg in legs.into_iter().flatten().filter_map(Value::as_object_mut) {
        let members = leg.remove("instrument").and_then(|known| known.as_object()?.values().next().cloned());
        let member = members.as_ref().and_then(|members| members.as_object()?.iter().next());
        if let Some((name, sealed)) = member {
            leg.insert("instrument".to_owned(), json!({"sealed": sealed, "member": name}));
        }
    }
}

/// Who told us something about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The gateway, in answer to our call.
    Answer,
    /// The gateway, on its own account.
    Webhook,
    /// The gateway, when we asked later.
    Inquiry,
    /// A person of the shop.
    Operator,
    /// The shop itself: a leg that needs nobody outside.
    Shop,
}

/// Somebody wants to pay; internal legs are held with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRequested {
    /// For which order.
    pub order_id: OrderId,
    /// Who pays.
    pub user_id: UserId,
    /// How much, the order's total.
    pub total: Money,
    /// By what: 1-4 legs whose amounts sum to `total`.
    pub legs: Vec<Leg>,
}

/// The gateway is about to be asked to take the external leg's money. The id of
/// this event is the idempotency key at the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureRequested {
    /// Of which order.
    pub order_id: OrderId,
    /// The external leg; none when every leg is internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<u8>,
    /// Who is asked for the external leg, by the gateway's name: whatever is to be asked
    /// about this charge from now on is asked there, and nobody else may tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// How much of it.
    pub amount: Money,
}

/// Version 1 did not say who was asked: there was one gateway.
fn asked_the_sandbox(payload: &mut Map<String, Value>) {
    if payload.get("leg").is_some_and(|leg| !leg.is_null()) {
        payload.insert("gateway".to_owned(), "sandbox".into());
    }
}

/// The buyer has to do something at the gateway first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeRequired {
    /// Of which order.
    pub order_id: OrderId,
    /// The gateway's id of the charge.
    pub reference: String,
    /// Who said so.
    pub source: Source,
}

/// The buyer says it is done; the gateway is about to be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeConfirmed {
    /// Of which order.
    pub order_id: OrderId,
}

/// The buyer pays at a page of the gateway's or of a bank; the gateway tells when it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RedirectRequired {
    /// Of which order.
    pub order_id: OrderId,
    /// The gateway's id of the charge.
    pub reference: String,
    /// The page that the buyer is to open.
    pub url: String,
    /// Who said so.
    pub source: Source,
}

/// The buyer did what there was to do, and the money is on its way to the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DepositAwaited {
    /// Of which order.
    pub order_id: OrderId,
    /// The gateway's id of the charge.
    pub reference: String,
    /// Who said so.
    pub source: Source,
}

/// The gateway's answer is lost, or it is still working. Not a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeUnknown {
    /// Of which order.
    pub order_id: OrderId,
    /// What went wrong, a code.
    pub detail: String,
}

/// The gateway was asked and could not tell either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InquiryUndecided {
    /// Of which order.
    pub order_id: OrderId,
    /// What it said: `not_found`, `pending`, `no_answer`.
    pub answer: String,
}

/// The gateway is about to be asked to void whatever happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetCancelRequested {
    /// Of which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: String,
}

/// The money is taken, all legs of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentCaptured {
    /// Of which order.
    pub order_id: OrderId,
    /// How much in all.
    pub amount: Money,
    /// The gateway's id of the charge of the external leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who said so.
    pub source: Source,
}

/// No money was taken and none will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentFailed {
    /// Of which order.
    pub order_id: OrderId,
    /// The reason code, such as `declined`, `insufficient_funds`, `net_cancelled`.
    pub reason: String,
    /// Who said so.
    pub source: Source,
}

/// It was called off before any money was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentVoided {
    /// Of which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: String,
}

/// The gateway speaks of another amount or currency than was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MismatchDetected {
    /// Of which order.
    pub order_id: OrderId,
    /// What was asked for.
    pub expected: Money,
    /// What the gateway says.
    pub reported: Money,
    /// The gateway's id of the charge.
    pub reference: String,
    /// Who said so.
    pub source: Source,
}

/// A person takes the smaller amount that the gateway took as enough. The capture follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MismatchAccepted {
    /// Of which order.
    pub order_id: OrderId,
    /// What was asked of the gateway.
    pub expected: Money,
    /// What it took, less than that.
    pub accepted: Money,
    /// Why, in staff's words.
    pub reason: Remark,
}

/// Somebody told us what we knew, or what came too late to matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservationIgnored {
    /// Of which order.
    pub order_id: OrderId,
    /// What was said: `captured`, `declined`, `challenge_required`, `redirect_required`, `deposit_awaited`, `pending`, `not_found`, `voided`, `unknown`.
    pub observed: String,
    /// Why it changes nothing.
    pub reason: String,
    /// Who said so.
    pub source: Source,
}

/// What one leg gives back in a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegRefund {
    /// Which leg.
    pub leg: u8,
    /// How much.
    pub amount: Money,
}

/// Money is to go back. The id of this event is the idempotency key at the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundRequested {
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund.
    pub refund_id: RefundId,
    /// How much in all.
    pub amount: Money,
    /// How much from which leg: the gateway's leg first, then points.
    pub allocation: Vec<LegRefund>,
    /// Why: staff's words, or the code of the process.
    pub reason: Remark,
}

/// One leg's part of a refund is back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LegRefunded {
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund.
    pub refund_id: RefundId,
    /// Which leg.
    pub leg: u8,
    /// How much.
    pub amount: Money,
    /// The gateway's id of the refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who said so.
    pub source: Source,
}

/// All of a refund is back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundSettled {
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund.
    pub refund_id: RefundId,
    /// How much in all.
    pub amount: Money,
}

/// The gateway will not give the money back; nothing of this refund was returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundRefused {
    /// Of which order.
    pub order_id: OrderId,
    /// Which refund.
    pub refund_id: RefundId,
    /// The gateway's reason code.
    pub reason: String,
}
