//! What the process knows of the order, its payments and its parcels.
//!
//! Inputs may arrive in any order. Where a later fact replaces an earlier one, both are from one
//! stream, and their places in that stream say which is later, not the time at which they were
//! taken in. So the same set of inputs gives the same knowledge in any order.

use std::collections::BTreeMap;

use jangbu_kernel::{Currency, Money, PaymentId, Position, RefundId, ReturnId, ShipmentId, Version, never};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{InputName, PaymentNews, ShipmentNews};

/// The place of a fact among those of its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    /// Nothing was told.
    #[default]
    Never,
    /// Taken in by a version that named events by their positions. Whatever is named by its
    /// version was taken in after all of those.
    Position(Position),
    Version(Version),
}

impl From<InputName> for At {
    fn from(input: InputName) -> Self {
        match input {
            InputName::Logged(logged) => Self::Position(logged.position),
            InputName::Event { version, .. } => Self::Version(version),
        }
    }
}

/// A value with the place of the fact that it was last told by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Latest<T> {
    pub value: T,
    pub at: At,
}

impl<T> Latest<T> {
    pub(super) fn tell(&mut self, value: T, at: At) {
        if at >= self.at {
            self.value = value;
            self.at = at;
        }
    }
}

/// How far the order has come, as far as the process cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OrderPhase {
    /// Not paid.
    #[default]
    Unpaid,
    /// Paid, not arrived.
    Paid,
    Delivered,
    Completed,
    Cancelling,
    Cancelled,
    Expired,
    Failed,
}

impl OrderPhase {
    pub(super) const fn has_ended(self) -> bool {
        match self {
            Self::Completed | Self::Cancelled | Self::Expired | Self::Failed => true,
            Self::Unpaid | Self::Paid | Self::Delivered | Self::Cancelling => false,
        }
    }
}

/// What is known of the order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct KnownOrder {
    pub phase: Latest<OrderPhase>,
    pub held: Latest<bool>,
    pub was_held: bool,
    pub paid_by: Option<PaymentId>,
    /// The returns of its goods, and whether each is open.
    pub returns: BTreeMap<ReturnId, Latest<bool>>,
}

impl KnownOrder {
    /// Whether goods of it are to come back.
    pub(super) fn has_open_returns(&self) -> bool {
        self.returns.values().any(|open| open.value)
    }
}

/// How far the charge of a payment has come while it is not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ChargePhase {
    /// Nothing is known but that somebody wants to pay.
    #[default]
    Requested,
    Challenge,
    Confirmed,
    /// The buyer pays elsewhere.
    Deposit,
    Unknown,
    Mismatch,
}

/// What is known of a refund.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct KnownRefund {
    pub id: RefundId,
    /// Unknown while only its end was told.
    pub amount: Option<Money>,
    pub settled: bool,
    pub refused: bool,
    /// How often the retry timer rang for it.
    pub rings: u32,
}

impl KnownRefund {
    pub(super) const fn is_open(&self) -> bool {
        self.amount.is_some() && !self.settled && !self.refused
    }
}

/// What is known of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct KnownPayment {
    pub id: PaymentId,
    pub requested: bool,
    pub charge: Latest<ChargePhase>,
    pub captured: Option<Money>,
    pub ended: Option<String>,
    pub net_cancel_requested: bool,
    /// How often the buyer said that a challenge is met.
    pub confirmations: u32,
    /// The order took note of its failure.
    pub failure_noted: bool,
    /// The order took note that its money came late.
    pub lateness_noted: bool,
    /// Inquiries in a row to which the gateway had never heard of it.
    pub not_found: u32,
    /// Inquiries that could not tell.
    pub undecided: u32,
    /// How often the inquiry timer rang for it.
    pub rings: u32,
    /// At which ring the first net-cancel went out.
    pub net_cancel_since: Option<u32>,
    pub refunds: Vec<KnownRefund>,
    /// Full refunds that were refused and tried again.
    pub refund_tries: u32,
    /// A person settled what is left by hand.
    pub written_off: bool,
}

impl KnownPayment {
    pub(super) fn new(id: PaymentId) -> Self {
        Self {
            id,
            requested: false,
            charge: Latest::default(),
            captured: None,
            ended: None,
            net_cancel_requested: false,
            confirmations: 0,
            failure_noted: false,
            lateness_noted: false,
            not_found: 0,
            undecided: 0,
            rings: 0,
            net_cancel_since: None,
            refunds: Vec::new(),
            refund_tries: 0,
            written_off: false,
        }
    }

    pub(super) fn learn(&mut self, news: &PaymentNews, at: At) {
        match news {
            PaymentNews::Requested => self.requested = true,
            PaymentNews::ChallengeRequired => self.charge.tell(ChargePhase::Challenge, at),
            PaymentNews::ChallengeConfirmed => {
                self.confirmations = self.confirmations.saturating_add(1);
                self.charge.tell(ChargePhase::Confirmed, at);
            }
            PaymentNews::DepositAwaited => self.charge.tell(ChargePhase::Deposit, at),
            PaymentNews::OutcomeUnknown => self.charge.tell(ChargePhase::Unknown, at),
            PaymentNews::InquiryUndecided { not_found } => {
                self.undecided = self.undecided.saturating_add(1);
                self.not_found = if *not_found { self.not_found.saturating_add(1) } else { 0 };
            }
            PaymentNews::NetCancelRequested => {
                self.net_cancel_requested = true;
                self.charge.tell(ChargePhase::Unknown, at);
            }
            PaymentNews::Captured { amount } => self.captured = Some(*amount),
            PaymentNews::Ended { reason } => self.ended = Some(reason.clone()),
            PaymentNews::Mismatch => self.charge.tell(ChargePhase::Mismatch, at),
            PaymentNews::RefundRequested { refund_id, amount } => {
                self.refund_mut(*refund_id).amount = Some(*amount);
            }
            PaymentNews::RefundSettled { refund_id } => self.refund_mut(*refund_id).settled = true,
            PaymentNews::RefundRefused { refund_id } => self.refund_mut(*refund_id).refused = true,
        }
    }

    fn refund_mut(&mut self, id: RefundId) -> &mut KnownRefund {
        let known = self.refunds.iter().position(|refund| refund.id == id);
        let index = known.unwrap_or(self.refunds.len());
        if known.is_none() {
            self.refunds.push(KnownRefund { id, amount: None, settled: false, refused: false, rings: 0 });
        }
        #[expect(clippy::indexing_slicing, reason = "the index was found or pushed just above")]
        &mut self.refunds[index]
    }

    pub(super) fn refund(&self, id: RefundId) -> Option<&KnownRefund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// Whether anything is known of its charge.
    pub(super) const fn was_asked(&self) -> bool {
        !matches!(self.charge.at, At::Never)
    }

    /// Whether money may still be taken. It may not if only a later part of the payment is known,
    /// such as that the order has noted its failure.
    pub(super) const fn is_undecided(&self) -> bool {
        let begun = self.requested || self.was_asked();
        begun && !self.failure_noted && self.captured.is_none() && self.ended.is_none()
    }

    /// Whether the money came after the payment had ended.
    pub(super) const fn is_late(&self) -> bool {
        self.captured.is_some() && self.ended.is_some()
    }

    /// What is captured, and neither refunded nor claimed by a refund.
    pub(super) fn unclaimed(&self) -> Money {
        self.captured_less(|refund| !refund.refused)
    }

    /// What is captured and not certainly refunded.
    pub(super) fn outstanding(&self) -> Money {
        self.captured_less(|refund| refund.settled)
    }

    fn captured_less(&self, counts: impl Fn(&KnownRefund) -> bool) -> Money {
        let captured = self.captured.unwrap_or(Money::zero(Currency::KRW));
        self.refunds
            .iter()
            .filter(|refund| counts(refund))
            .filter_map(|refund| refund.amount)
            .fold(captured, |left, amount| {
                left.checked_sub(&amount).unwrap_or_else(|_| never("a refund is of another currency", left))
            })
    }

    /// Whether it has money that was not refunded.
    pub(super) fn has_money(&self) -> bool {
        !self.written_off && self.captured.is_some() && self.outstanding().is_positive()
    }
}

/// What is known of a parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct KnownShipment {
    pub id: ShipmentId,
    pub status: Latest<ShipmentNews>,
    pub refusals: u32,
    /// How often the label timer rang.
    pub label_rings: u32,
    /// How often the timer for calling it off rang.
    pub cancel_rings: u32,
    /// A person knows that it is lost or returned, and waits.
    pub acknowledged: bool,
    /// A person took it as arrived.
    pub taken_as_delivered: bool,
    /// A person took it as called off.
    pub taken_as_cancelled: bool,
    /// Lines that it was to hold were cancelled, and another parcel replaces it.
    pub replaced: bool,
}

impl KnownShipment {
    pub(super) const fn new(id: ShipmentId) -> Self {
        Self {
            id,
            status: Latest { value: ShipmentNews::Requested, at: At::Never },
            refusals: 0,
            label_rings: 0,
            cancel_rings: 0,
            acknowledged: false,
            taken_as_delivered: false,
            taken_as_cancelled: false,
            replaced: false,
        }
    }

    pub(super) fn learn(&mut self, news: ShipmentNews, at: At) {
        match news {
            ShipmentNews::Refused { attempt } => self.refusals = self.refusals.max(attempt),
            ShipmentNews::Lost | ShipmentNews::Returned => {
                self.acknowledged &= self.status.at > at;
                self.status.tell(news, at);
            }
            ShipmentNews::Requested
            | ShipmentNews::Ready
            | ShipmentNews::Dispatched
            | ShipmentNews::Delivered
            | ShipmentNews::Cancelled => self.status.tell(news, at),
        }
    }

    /// Whether the carrier has it, or had it.
    pub(super) const fn left(&self) -> bool {
        match self.status.value {
            ShipmentNews::Dispatched | ShipmentNews::Delivered | ShipmentNews::Returned | ShipmentNews::Lost => true,
            ShipmentNews::Requested | ShipmentNews::Refused { .. } | ShipmentNews::Ready | ShipmentNews::Cancelled => {
                false
            }
        }
    }

    pub(super) fn is_gone_astray(&self) -> bool {
        matches!(self.status.value, ShipmentNews::Lost | ShipmentNews::Returned)
    }

    /// Whether nothing of it has to be cancelled any more.
    pub(super) fn is_undone(&self) -> bool {
        self.taken_as_cancelled || self.is_gone_astray() || self.status.value == ShipmentNews::Cancelled
    }
}
