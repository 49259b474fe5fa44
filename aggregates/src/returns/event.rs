//! What happened to a return. Storage format.

use jangbu_kernel::{Money, OrderId, PaymentId, ProductId, RefundId, Remark, Sealed, Timestamp, UserId, events, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::OrderLine;

events! {
    /// What happened to a return.
    pub enum ReturnEvent {
        "return.requested" v 1 => Requested(ReturnRequested),
        "return.approved" v 1 => Approved(ReturnApproved),
        "return.rejected" v 1 => Rejected(ReturnRejected),
        "return.withdrawn" v 1 => Withdrawn(ReturnWithdrawn),
        "return.sent" v 1 => Sent(ReturnSent),
        "return.received" v 1 => Received(ReturnReceived),
        "return.inspected" v 1 => Inspected(ReturnInspected),
        "return.closed" v 1 => Closed(ReturnClosed),
    }
}

/// Why goods come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReturnReason {
    /// The buyer does not want them.
    ChangedMind,
    /// They are broken, or not what was ordered or described.
    Defect,
    /// The carrier brought them back.
    ReturnedToSender,
}

/// What the buyer gets for goods that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Remedy {
    /// The money.
    Refund,
    /// The same goods again.
    Exchange,
}

/// Who pays for the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WayBack {
    /// The buyer does.
    Buyer,
    /// The shop does.
    Shop,
}

/// Who gave up a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WithdrawnBy {
    /// The buyer.
    Buyer,
    /// Staff.
    Staff,
    /// The time to send the goods back is over.
    Timer,
}

named!(ReturnReason, Remedy, WayBack, WithdrawnBy);

/// The further order that an exchange leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replacement {
    /// Its id.
    pub order_id: OrderId,
    /// The number that people use for it.
    pub number: String,
    /// The address that it goes to: a postal address as JSON, sealed for that order.
    pub shipping_address: Sealed,
}

/// Somebody wants to return goods of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnRequested {
    /// The order.
    pub order_id: OrderId,
    /// The buyer.
    pub user_id: UserId,
    /// Why the goods come back.
    pub reason: ReturnReason,
    /// What the buyer gets for them.
    pub remedy: Remedy,
    /// Who pays for the way back.
    pub way_back: WayBack,
    /// The goods, at the prices of the order, one line per product.
    pub lines: Vec<OrderLine>,
    /// What was written about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Remark>,
    /// The further order, for an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
}

/// The goods may be sent back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnApproved {
    /// What is taken off the refund for the way back; zero if nothing is.
    pub fee: Money,
    /// The return lapses if the goods are not on their way by then.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub send_by: Timestamp,
}

/// The shop does not take the goods back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnRejected {
    /// Why.
    pub reason: Remark,
}

/// The goods stay with the buyer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnWithdrawn {
    /// Who gave it up.
    pub by: WithdrawnBy,
    /// Why, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// The goods are on their way back. A second one corrects the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnSent {
    /// The carrier's name.
    pub carrier: String,
    /// The carrier's number of the parcel.
    pub tracking_number: String,
}

/// The goods are at the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnReceived {
    /// The refund is late if it is not requested by then.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub refund_due_at: Timestamp,
}

/// What was found of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectedLine {
    /// Of which product.
    pub product_id: ProductId,
    /// Units that can be sold again; they are in stock from now on.
    pub restocked: u32,
    /// Units that came back and cannot be sold.
    pub written_off: u32,
}

impl InspectedLine {
    /// The units that came back.
    #[must_use]
    pub const fn came_back(&self) -> u32 {
        self.restocked.saturating_add(self.written_off)
    }
}

/// Somebody looked at the goods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnInspected {
    /// What was found, one line per product; what is not named did not come back.
    pub lines: Vec<InspectedLine>,
    /// What was written about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Remark>,
}

/// The buyer gets the money or the goods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnClosed {
    /// Which of them.
    pub remedy: Remedy,
    /// What is refunded; zero for an exchange, or if nothing came back.
    pub refunded: Money,
    /// The refund, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<RefundId>,
    /// The payment that it is refunded from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The further order, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement_order_id: Option<OrderId>,
}
