//! What happened to a parcel. Storage format.

use jangbu_kernel::{OrderId, Remark, Sealed, Timestamp, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::in_the_clear;
use crate::order::OrderLine;

events! {
    /// What happened to a parcel.
    pub enum ShipmentEvent {
        "shipment.requested" v 2 => Requested(ShipmentRequested) { 1 => goes_by_the_sandbox },
        "shipment.refused" v 1 => Refused(ShipmentRefused),
        "shipment.ready" v 1 => Ready(ShipmentReady),
        "shipment.dispatched" v 1 => Dispatched(ShipmentDispatched),
        "shipment.scan_recorded" v 2 => ScanRecorded(ScanRecorded) { 1 => in_the_clear },
        "shipment.in_transit" v 1 => InTransit(ShipmentInTransit),
        "shipment.out_for_delivery" v 1 => OutForDelivery(ShipmentOutForDelivery),
        "shipment.attempt_failed" v 1 => AttemptFailed(ShipmentAttemptFailed),
        "shipment.exception_reported" v 1 => ExceptionReported(ShipmentExceptionReported),
        "shipment.delivered" v 1 => Delivered(ShipmentDelivered),
        "shipment.returned" v 1 => Returned(ShipmentReturned),
        "shipment.lost" v 1 => Lost(ShipmentLost),
        "shipment.cancelled" v 1 => Cancelled(ShipmentCancelled),
        "shipment.tracking_number_corrected" v 2 => TrackingNumberCorrected(TrackingNumberCorrected) { 1 => in_the_clear },
    }
}

/// A parcel is to be sent; the carrier is about to be asked for a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentRequested {
    /// For which order.
    pub order_id: OrderId,
    /// Who receives it.
    pub user_id: UserId,
    /// What is in it.
    pub lines: Vec<OrderLine>,
    /// Where it goes: the order's sealed address as it stands there.
    pub shipping_address: Sealed,
    /// Which carrier is asked for the label, by its name: it is called off there, and scans of
    /// other carriers do not count.
    pub carrier: String,
}

/// Version 1 did not say who was asked: there was one carrier.
fn goes_by_the_sandbox(payload: &mut Map<String, Value>) {
    payload.insert("carrier".to_owned(), "sandbox".into());
}

/// The carrier would not take it, this time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentRefused {
    /// Of which order.
    pub order_id: OrderId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The carrier's reason code.
    pub reason: String,
}

/// There is a label; it can be handed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentReady {
    /// Of which order.
    pub order_id: OrderId,
    /// The carrier.
    pub carrier: String,
    /// The number that follows the parcel.
    pub tracking_number: String,
}

/// The carrier has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDispatched {
    /// Of which order.
    pub order_id: OrderId,
    /// The carrier.
    pub carrier: String,
    /// The number that follows the parcel.
    pub tracking_number: String,
}

/// The states of a parcel that a scan can tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanStatus {
    /// Moving.
    InTransit,
    /// On the last vehicle.
    OutForDelivery,
    /// Nobody opened.
    AttemptFailed,
    /// Something is wrong: damage, customs, address.
    Exception,
    /// Handed over.
    Delivered,
    /// Back at the shop.
    Returned,
    /// Gone.
    Lost,
}

/// A scan, raw, as it was told; each is kept, also when it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanRecorded {
    /// Of which order.
    pub order_id: OrderId,
    /// By whom: a carrier's name, or `staff`.
    pub carrier: String,
    /// The number that follows the parcel.
    pub tracking_number: String,
    /// What it tells.
    pub status: ScanStatus,
    /// The carrier's own code.
    pub code: String,
    /// Where.
    pub place: String,
    /// When, by the carrier's clock.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub at: Timestamp,
    /// Our time, when the carrier's was too far ahead of it to be true: the scan counts, but
    /// its time puts no other scan behind it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub received_at: Option<Timestamp>,
    /// A remark of the shop's staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Remark>,
    /// Why it changed nothing, when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_because: Option<String>,
}

macro_rules! order_only {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// Of which order.
            pub order_id: OrderId,
        }
    )+};
}

order_only! {
    /// It is moving.
    ShipmentInTransit;
    /// It is on the last vehicle.
    ShipmentOutForDelivery;
    /// Nobody opened; another attempt follows.
    ShipmentAttemptFailed;
    /// Something is wrong with it.
    ShipmentExceptionReported;
    /// It is handed over.
    ShipmentDelivered;
    /// It is back at the shop.
    ShipmentReturned;
    /// It is gone.
    ShipmentLost;
}

/// It is called off before the carrier had it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentCancelled {
    /// Of which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: String,
}

/// The number that was written down was not the parcel's. Scans under the old one stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrackingNumberCorrected {
    /// Of which order.
    pub order_id: OrderId,
    /// The number until now.
    pub previous: String,
    /// The parcel's number.
    pub tracking_number: String,
    /// Why, in staff's words.
    pub reason: Remark,
}
