//! What happened to an order. Storage format.

use jangbu_kernel::{
    Money, OrderId, PaymentId, ProductId, RefundId, Remark, ReturnId, Sealed, ShipmentId, Timestamp, UserId, events,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::in_the_clear;

events! {
    /// What happened to an order.
    pub enum OrderEvent {
        "order.placed" v 1 => Placed(OrderPlaced),
        "order.payment_opened" v 1 => PaymentOpened(OrderPaymentOpened),
        "order.payment_failed" v 1 => PaymentFailed(OrderPaymentFailed),
        "order.paid" v 1 => Paid(OrderPaid),
        "order.expired" v 1 => Expired(OrderExpired),
        "order.preparation_started" v 1 => PreparationStarted(OrderPreparationStarted),
        "order.lines_cancelled" v 1 => LinesCancelled(OrderLinesCancelled),
        "order.packed" v 1 => Packed(OrderPacked),
        "order.shipped" v 1 => Shipped(OrderShipped),
        "order.delivered" v 1 => Delivered(OrderDelivered),
        "order.completed" v 1 => Completed(OrderCompleted),
        "order.cancellation_requested" v 2 => CancellationRequested(OrderCancellationRequested) { 1 => in_the_clear },
        "order.cancelled" v 2 => Cancelled(OrderCancelled) { 1 => in_the_clear },
        "order.failed" v 1 => Failed(OrderFailed),
        "order.late_payment_detected" v 1 => LatePaymentDetected(OrderLatePaymentDetected),
        "order.put_on_hold" v 2 => PutOnHold(OrderPutOnHold) { 1 => in_the_clear },
        "order.hold_released" v 2 => HoldReleased(OrderHoldReleased) { 1 => in_the_clear },
        "order.noted" v 1 => Noted(OrderNoted),
        "order.address_changed" v 1 => AddressChanged(OrderAddressChanged),
        "order.return_opened" v 1 => ReturnOpened(OrderReturnOpened),
        "order.return_ended" v 1 => ReturnEnded(OrderReturnEnded),
    }
}

/// A line as it was sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// What.
    pub product_id: ProductId,
    /// What it was called.
    pub name: String,
    /// What one cost.
    pub unit_price: Money,
    /// How many, 1-999.
    pub quantity: u32,
    /// `unit_price` times `quantity`.
    pub line_total: Money,
}

/// The order stands and its stock is reserved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPlaced {
    /// The number that people use.
    pub number: String,
    /// Who buys.
    pub user_id: UserId,
    /// What, one line a product.
    pub lines: Vec<OrderLine>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What sending it costs.
    pub shipping_fee: Money,
    /// `subtotal - discount + shipping_fee`.
    pub total: Money,
    /// Where it goes: a postal address as JSON, sealed.
    pub shipping_address: Sealed,
    /// Unpaid at this moment, it expires.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub payment_deadline: Timestamp,
    /// The exchange that it is sent for, if it is: its goods replace others and cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
}

/// The exchange that an order is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replaces {
    /// The order whose goods came back.
    pub order_id: OrderId,
    /// The return by which they came back.
    pub return_id: ReturnId,
    /// The payment that paid for the goods, if anything was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
}

/// A payment for the order is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaymentOpened {
    /// Which.
    pub payment_id: PaymentId,
}

/// The payment failed; another may be opened until the deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaymentFailed {
    /// Which.
    pub payment_id: PaymentId,
    /// The reason code.
    pub reason: String,
}

/// The order is paid and its stock is allocated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPaid {
    /// By which payment; none when there was nothing to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// When: the owner's time to cancel runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub paid_at: Option<Timestamp>,
    /// Not sent at this moment, it is late.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub ship_by: Option<Timestamp>,
}

/// It was not paid in time; everything held is free again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderExpired {}

/// A parcel is being prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPreparationStarted {
    /// Which.
    pub shipment_id: ShipmentId,
}

/// Some of its lines, or some units of them, are cancelled; the rest stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLinesCancelled {
    /// By whom.
    pub by: CancelledBy,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
    /// What is cancelled, at the prices of the order, one line per product.
    pub lines: Vec<OrderLine>,
    /// Sum of the remaining lines.
    pub subtotal: Money,
    /// What the remaining lines cost with discount and shipping fee, which do not change.
    pub total: Money,
    /// The refund of the cancelled lines, if they were paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<RefundId>,
    /// The parcel that was to hold the lines. It is to be cancelled, and another one is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_shipment_id: Option<ShipmentId>,
}

/// It goes elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderAddressChanged {
    /// Who changed it.
    pub by: CancelledBy,
    /// Where it goes: a postal address as JSON, sealed.
    pub shipping_address: Sealed,
    /// What shipping costs.
    pub shipping_fee: Money,
    /// What it costs with that.
    pub total: Money,
    /// The parcel that was to go to the former address. It is to be cancelled, and another one is
    /// begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_shipment_id: Option<ShipmentId>,
}

/// Its goods are in the parcel, which waits to be handed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPacked {
    /// Which parcel.
    pub shipment_id: ShipmentId,
}

/// Every parcel is on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderShipped {}

/// Every parcel arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderDelivered {
    /// When: the buyer's time to return goods runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub delivered_at: Option<Timestamp>,
}

/// Units of a product that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnedUnits {
    /// The product.
    pub product_id: ProductId,
    /// How many, at least 1.
    pub quantity: u32,
}

/// Some of its goods are to come back. Until that has ended, the order is not completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderReturnOpened {
    /// The return.
    pub return_id: ReturnId,
    /// What is to come back, one line per product.
    pub lines: Vec<ReturnedUnits>,
}

/// A return of its goods has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderReturnEnded {
    /// The return.
    pub return_id: ReturnId,
    /// What came back, one line per product; nothing if it was rejected or withdrawn.
    pub lines: Vec<ReturnedUnits>,
}

/// It is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCompleted {
    /// Who closed it.
    pub by: CompletedBy,
}

/// Who closed an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletedBy {
    /// The buyer confirmed the delivery.
    Buyer,
    /// The time to object ran out.
    Timer,
}

/// Who called an order off, or changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// The buyer.
    Owner,
    /// Somebody of the shop.
    Staff,
}

/// The order is to be called off; money and goods are being returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancellationRequested {
    /// By whom.
    pub by: CancelledBy,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// The order is called off; nothing is held and nothing is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    /// By whom.
    pub by: CancelledBy,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// The shop could not carry the order out; nothing is held and nothing is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderFailed {
    /// Why, a code.
    pub reason: String,
}

/// Money arrived for an order that had ended; all of it goes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLatePaymentDetected {
    /// By which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
}

/// Nothing goes on before somebody has looked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPutOnHold {
    /// Why: staff's words, or the code of the process.
    pub reason: Remark,
}

/// Somebody looked; it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderHoldReleased {
    /// Why, in staff's words.
    pub reason: Remark,
}

/// Staff wrote something down about the order. It changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderNoted {
    /// What they wrote.
    pub note: Remark,
    /// Who wrote it.
    pub by: UserId,
}
