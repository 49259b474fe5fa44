//! Payments with their legs and refunds.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::payment::{Method, PaymentCaptured, PaymentEvent, PaymentRequested, RefundRequested};
use jangbu_kernel::{AggregateKind, Money, OrderId, PaymentId, RefundId, Remark, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// The status of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PaymentStatus {
    /// Opened; no capture was requested yet.
    Requested,
    /// The buyer has to do something at the gateway.
    RequiresAction,
    /// To be paid at a bank; the money has not arrived.
    AwaitingDeposit,
    /// The gateway was asked for the money.
    Processing,
    /// The gateway's result is not known.
    Unknown,
    /// The money was captured.
    Captured,
    /// Some of it was refunded.
    PartiallyRefunded,
    /// All of it was refunded.
    Refunded,
    /// No money was taken.
    Failed,
    /// Cancelled before any money was taken.
    Voided,
}

jangbu_kernel::named!(PaymentStatus);

/// The status of a leg of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LegStatus {
    /// To be captured.
    Requested,
    /// Captured.
    Captured,
    /// Some of it was refunded.
    PartiallyRefunded,
    /// All of it was refunded.
    Refunded,
    /// Not captured.
    Failed,
    /// Cancelled.
    Voided,
}

jangbu_kernel::named!(LegStatus);

/// The status of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RefundStatus {
    /// Under way.
    Requested,
    /// All of it was paid back.
    Settled,
    /// The gateway refused it.
    Refused,
}

jangbu_kernel::named!(RefundStatus);

/// A part of a payment by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegRow {
    /// The name of the payment method.
    pub method: String,
    /// Its amount.
    pub amount: Money,
    /// Its status.
    pub status: LegStatus,
    /// The gateway's id of the charge.
    pub gateway_reference: Option<String>,
    /// How much of it was refunded.
    pub refunded: Money,
}

/// What a refund takes from one leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllocationRow {
    /// The leg's number, from 0.
    pub leg: u8,
    /// The amount.
    pub amount: Money,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefundRow {
    /// Its id.
    pub id: RefundId,
    /// Its amount.
    pub amount: Money,
    /// Why.
    pub reason: Remark,
    /// Its status.
    pub status: RefundStatus,
    /// What it takes from which leg.
    pub allocation: Vec<AllocationRow>,
    /// When it was requested.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub requested_at: Timestamp,
    /// When all of it was paid back.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub settled_at: Option<Timestamp>,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// Its id.
    pub id: PaymentId,
    /// The order that it pays for.
    pub order_id: OrderId,
    /// The payer.
    pub user_id: UserId,
    /// Its status.
    pub status: PaymentStatus,
    /// Its total.
    pub total: Money,
    /// Its parts, by method.
    pub legs: Vec<LegRow>,
    /// The captured amount.
    pub captured: Money,
    /// The amount that is certainly refunded.
    pub refunded: Money,
    /// The refunds, in the order in which they were requested.
    pub refunds: Vec<RefundRow>,
    /// The page that the buyer has to open, while the payment waits for that.
    #[serde(default)]
    pub redirect_url: Option<String>,
    /// Why it failed or was cancelled.
    pub failure_reason: Option<String>,
    /// When it was opened.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
}

/// The view "payments".
pub struct PaymentsView;

impl View for PaymentsView {
    type Row = PaymentRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "payments",
        // 3: the accepted amount of a leg. 4: the page where a buyer pays.
        version: 4,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            fixed("order_id", Kind::Uuid),
            fixed("user_id", Kind::Uuid),
            column("status", Kind::Text),
            fixed("created_at", Kind::Time),
            fixed("currency", Kind::Text),
            fixed("total_minor", Kind::Int),
            column("captured_minor", Kind::Int),
            column("refunded_minor", Kind::Int),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("created", "created_at, id"),
            index("order_created", "order_id, created_at, id"),
            index("user_created", "user_id, created_at, id"),
            index("status_created", "status, created_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Payment);

    fn fold(row: &mut Option<PaymentRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Payment(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let PaymentEvent::Requested(requested) = event {
            first(row, fact)?;
            *row = Some(requested_row(requested, fact));
            return Ok(());
        }
        let row = next(row, |row| row.version, fact)?;
        change(row, event, fact.at)?;
        row.version = fact.version;
        row.updated_at = fact.at;
        Ok(())
    }

    fn columns(row: &PaymentRow) -> Vec<Value> {
        vec![
            Value::id(row.order_id),
            Value::id(row.user_id),
            Value::name(row.status.name()),
            Value::time(row.created_at),
            Value::name(row.total.currency().code()),
            Value::int(row.total.minor_units()),
            Value::int(row.captured.minor_units()),
            Value::int(row.refunded.minor_units()),
            Value::count(row.version),
        ]
    }
}

fn requested_row(requested: &PaymentRequested, fact: &Fact) -> PaymentRow {
    let nothing = Money::zero(requested.total.currency());
    let legs = requested.legs.iter().map(|leg| LegRow {
        method: leg.method.name().to_owned(),
        amount: leg.amount,
        status: LegStatus::Requested,
        gateway_reference: None,
        refunded: nothing,
    });
    PaymentRow {
        id: PaymentId::new(fact.stream.id),
        order_id: requested.order_id,
        user_id: requested.user_id,
        status: PaymentStatus::Requested,
        total: requested.total,
        legs: legs.collect(),
        captured: nothing,
        refunded: nothing,
        refunds: Vec::new(),
        redirect_url: None,
        failure_reason: None,
        created_at: fact.at,
        version: fact.version,
        updated_at: fact.at,
    }
}

/// Whether a gateway moves a leg's money.
fn is_gateways(leg: &LegRow) -> bool {
    Method::named(&leg.method).is_some_and(|method| method.own_books().is_none())
}

fn change(row: &mut PaymentRow, event: &PaymentEvent, at: Timestamp) -> Result<(), FoldError> {
    match event {
        PaymentEvent::CaptureRequested(_) | PaymentEvent::ChallengeConfirmed(_) => {
            row.status = PaymentStatus::Processing
        }
        PaymentEvent::ChallengeRequired(challenge) => {
            set_reference(row, &challenge.reference);
            row.status = PaymentStatus::RequiresAction;
        }
        PaymentEvent::RedirectRequired(redirect) => {
            set_reference(row, &redirect.reference);
            row.status = PaymentStatus::RequiresAction;
            row.redirect_url = Some(redirect.url.clone());
        }
        PaymentEvent::DepositAwaited(deposit) => {
            set_reference(row, &deposit.reference);
            row.status = PaymentStatus::AwaitingDeposit;
        }
        // While a void is under way, and when amounts differ, it is not known what was captured.
        PaymentEvent::OutcomeUnknown(_) | PaymentEvent::NetCancelRequested(_) => row.status = PaymentStatus::Unknown,
        PaymentEvent::MismatchDetected(mismatch) => {
            set_reference(row, &mismatch.reference);
            row.status = PaymentStatus::Unknown;
        }
        PaymentEvent::MismatchAccepted(mismatch) => {
            if let Some(leg) = row.legs.iter_mut().find(|leg| is_gateways(leg)) {
                leg.amount = mismatch.accepted;
            }
        }
        PaymentEvent::Captured(captured) => capture(row, captured),
        PaymentEvent::Failed(failed) => end(row, PaymentStatus::Failed, LegStatus::Failed, &failed.reason),
        PaymentEvent::Voided(voided) => end(row, PaymentStatus::Voided, LegStatus::Voided, &voided.reason),
        PaymentEvent::RefundRequested(requested) => row.refunds.push(refund_row(requested, at)),
        PaymentEvent::LegRefunded(back) => give_back(row, back.leg, back.amount)?,
        PaymentEvent::RefundSettled(settled) => {
            if let Some(refund) = row.refunds.iter_mut().find(|refund| refund.id == settled.refund_id) {
                refund.status = RefundStatus::Settled;
                refund.settled_at = Some(at);
            }
        }
        PaymentEvent::RefundRefused(refused) => {
            if let Some(refund) = row.refunds.iter_mut().find(|refund| refund.id == refused.refund_id) {
                refund.status = RefundStatus::Refused;
            }
        }
        // These do not change the status; the creation is folded before.
        PaymentEvent::InquiryUndecided(_) | PaymentEvent::ObservationIgnored(_) | PaymentEvent::Requested(_) => {}
    }
    if row.status != PaymentStatus::RequiresAction {
        row.redirect_url = None;
    }
    Ok(())
}

fn refund_row(requested: &RefundRequested, at: Timestamp) -> RefundRow {
    let allocation = requested.allocation.iter().map(|part| AllocationRow { leg: part.leg, amount: part.amount });
    RefundRow {
        id: requested.refund_id,
        amount: requested.amount,
        reason: requested.reason.clone(),
        status: RefundStatus::Requested,
        allocation: allocation.collect(),
        requested_at: at,
        settled_at: None,
    }
}

fn set_reference(row: &mut PaymentRow, reference: &str) {
    if let Some(leg) = row.legs.iter_mut().find(|leg| is_gateways(leg)) {
        leg.gateway_reference = Some(reference.to_owned());
    }
}

fn end(row: &mut PaymentRow, status: PaymentStatus, leg_status: LegStatus, reason: &str) {
    row.status = status;
    row.failure_reason = Some(reason.to_owned());
    for leg in &mut row.legs {
        leg.status = leg_status;
    }
}

/// All legs are captured together. After the payment has ended, only the gateway's leg is captured,
/// because the holds for the shop's own legs were released.
fn capture(row: &mut PaymentRow, captured: &PaymentCaptured) {
    let late = matches!(row.status, PaymentStatus::Failed | PaymentStatus::Voided);
    if let Some(reference) = &captured.reference {
        set_reference(row, reference);
    }
    for leg in &mut row.legs {
        if !late || is_gateways(leg) {
            leg.status = LegStatus::Captured;
        }
    }
    row.captured = captured.amount;
    row.status = PaymentStatus::Captured;
}

fn give_back(row: &mut PaymentRow, leg: u8, amount: Money) -> Result<(), FoldError> {
    let refunded = row.refunded.checked_add(&amount)?;
    let leg = row.legs.get_mut(usize::from(leg)).ok_or(FoldError::Unfit("a refund names a leg that is not there"))?;
    leg.refunded = leg.refunded.checked_add(&amount)?;
    leg.status = if leg.refunded == leg.amount { LegStatus::Refunded } else { LegStatus::PartiallyRefunded };
    row.refunded = refunded;
    row.status = if row.refunded == row.captured { PaymentStatus::Refunded } else { PaymentStatus::PartiallyRefunded };
    Ok(())
}
