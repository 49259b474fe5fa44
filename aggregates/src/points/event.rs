//! What happened in a user's points ledger. Storage format.
//!
//! One point is one won; amounts are [`Money`] in KRW. Points are used first in,
//! first out by expiry; every hold names the entries it takes from, so that a return
//! goes back to the original expiry.

use jangbu_kernel::{Money, OrderId, PaymentId, RefundId, Remark, Timestamp, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::in_the_clear;

events! {
    /// What happened in a points ledger.
    pub enum PointsEvent {
        "points.granted" v 2 => Granted(PointsGranted) { 1 => in_the_clear },
        "points.held" v 1 => Held(PointsHeld),
        "points.captured" v 1 => Captured(PointsCaptured),
        "points.released" v 1 => Released(PointsReleased),
        "points.restored" v 1 => Restored(PointsRestored),
        "points.expired" v 1 => Expired(PointsExpired),
    }
}

/// Points were given. The entry's number is its place among the grants, from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsGranted {
    /// How many.
    pub amount: Money,
    /// What for: staff's words, or a code; the same reference is one entry.
    pub reference: Remark,
    /// A keyed hash of the owner and the words, by which the same ones are known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_hash: Option<Uuid>,
    /// When what is left of them lapses.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub expires_at: Option<Timestamp>,
}

/// A part of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointsPart {
    /// Number of the grant, from 1.
    pub entry: u32,
    /// How many of it.
    pub amount: Money,
    /// For points that a refund gives back to a grant that had lapsed by then: until when what
    /// is free of that grant can be used.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub extended_to: Option<Timestamp>,
}

/// Points are kept for a payment that is not captured yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsHeld {
    /// For which payment.
    pub payment_id: PaymentId,
    /// Of which order.
    pub order_id: OrderId,
    /// How many.
    pub amount: Money,
    /// From which grants.
    pub parts: Vec<PointsPart>,
}

/// Held points were spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsCaptured {
    /// For which payment.
    pub payment_id: PaymentId,
    /// How many.
    pub amount: Money,
}

/// Held points are free again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsReleased {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How many.
    pub amount: Money,
    /// Why.
    pub reason: String,
}

/// Spent points came back by a refund, to the grants they were taken from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsRestored {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// By which refund.
    pub refund_id: RefundId,
    /// How many.
    pub amount: Money,
    /// To which grants.
    pub parts: Vec<PointsPart>,
}

/// What was left of a grant lapsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsExpired {
    /// Number of the grant.
    pub entry: u32,
    /// How many lapsed.
    pub amount: Money,
}
