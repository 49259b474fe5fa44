//! Parcels with their scans.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::shipment::{ScanRecorded, ScanStatus, ShipmentEvent, ShipmentRequested, number_key};
use jangbu_kernel::{AggregateKind, OrderId, Remark, Sealed, ShipmentId, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use super::orders::OrderLineRow;
use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// The status of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ShipmentStatus {
    /// The carrier was asked for a label.
    Requested,
    /// There is a label.
    Ready,
    /// The carrier has it.
    Dispatched,
    /// It is moving.
    InTransit,
    /// On the vehicle that delivers it.
    OutForDelivery,
    /// A delivery attempt failed.
    AttemptFailed,
    /// Something is wrong with it.
    Exception,
    /// It was handed over.
    Delivered,
    /// It is back at the shop.
    Returned,
    /// It is lost.
    Lost,
    /// It was cancelled.
    Cancelled,
}

jangbu_kernel::named!(ShipmentStatus);

/// A scan, as it was reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanRow {
    /// The status that it reports.
    pub status: ShipmentStatus,
    /// The carrier's own code.
    pub code: String,
    /// The place of the scan, as the carrier names it.
    pub place: String,
    /// The time of the scan, by the carrier's clock.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub at: Timestamp,
    /// The shop's time, if the carrier's was too far ahead of it to be true.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    pub received_at: Option<Timestamp>,
    /// A remark of the shop's staff.
    pub note: Option<Remark>,
    /// The carrier that reported it, or `staff`.
    pub carrier: String,
    /// Why it was ignored; none if it was not.
    pub ignored_because: Option<String>,
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShipmentRow {
    /// Its id.
    pub id: ShipmentId,
    /// The order whose goods are in it.
    pub order_id: OrderId,
    /// Who receives it.
    pub user_id: UserId,
    /// Its status.
    pub status: ShipmentStatus,
    /// The carrier.
    pub carrier: Option<String>,
    /// The tracking number.
    pub tracking_number: Option<String>,
    /// What is in it.
    pub lines: Vec<OrderLineRow>,
    /// The delivery address, sealed.
    pub shipping_address: Sealed,
    /// Its scans, in the order they were recorded.
    pub scans: Vec<ScanRow>,
    /// When it was requested.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// When the carrier took it.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub dispatched_at: Option<Timestamp>,
    /// When it was handed over.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub delivered_at: Option<Timestamp>,
    /// The version of its stream that is folded in.
    pub version: Version,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
}

/// The view "shipments".
pub struct ShipmentsView;

impl View for ShipmentsView {
    type Row = ShipmentRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "shipments",
        // 3: parcels are found by their tracking number, however it is written.
        version: 3,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            fixed("order_id", Kind::Uuid),
            fixed("user_id", Kind::Uuid),
            column("status", Kind::Text),
            column("tracking_key", Kind::Text),
            fixed("created_at", Kind::Time),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("created", "created_at, id"),
            index("order_created", "order_id, created_at, id"),
            index("user_created", "user_id, created_at, id"),
            index("status_created", "status, created_at, id"),
            index("tracking", "tracking_key, created_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Shipment);

    fn fold(row: &mut Option<ShipmentRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Shipment(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let ShipmentEvent::Requested(requested) = event {
            first(row, fact)?;
            *row = Some(requested_row(requested, fact));
            return Ok(());
        }
        let row = next(row, |row| row.version, fact)?;
        change(row, event, fact.at);
        row.version = fact.version;
        row.updated_at = fact.at;
        Ok(())
    }

    fn columns(row: &ShipmentRow) -> Vec<Value> {
        vec![
            Value::id(row.order_id),
            Value::id(row.user_id),
            Value::name(row.status.name()),
            Value::Text(row.tracking_number.as_deref().map(number_key)),
            Value::time(row.created_at),
            Value::count(row.version),
        ]
    }
}

fn requested_row(requested: &ShipmentRequested, fact: &Fact) -> ShipmentRow {
    ShipmentRow {
        id: ShipmentId::new(fact.stream.id),
        order_id: requested.order_id,
        user_id: requested.user_id,
        status: ShipmentStatus::Requested,
        carrier: None,
        tracking_number: None,
        lines: requested.lines.iter().map(OrderLineRow::from).collect(),
        shipping_address: requested.shipping_address.clone(),
        scans: Vec::new(),
        created_at: fact.at,
        dispatched_at: None,
        delivered_at: None,
        version: fact.version,
        updated_at: fact.at,
    }
}

fn change(row: &mut ShipmentRow, event: &ShipmentEvent, at: Timestamp) {
    let status = match event {
        ShipmentEvent::Ready(ready) => {
            row.carrier = Some(ready.carrier.clone());
            row.tracking_number = Some(ready.tracking_number.clone());
            ShipmentStatus::Ready
        }
        ShipmentEvent::Dispatched(dispatched) => {
            row.carrier = Some(dispatched.carrier.clone());
            row.tracking_number = Some(dispatched.tracking_number.clone());
            row.dispatched_at = Some(at);
            ShipmentStatus::Dispatched
        }
        ShipmentEvent::ScanRecorded(scan) => {
            row.scans.push(scan_row(scan));
            row.status
        }
        ShipmentEvent::InTransit(_) => ShipmentStatus::InTransit,
        ShipmentEvent::OutForDelivery(_) => ShipmentStatus::OutForDelivery,
        ShipmentEvent::AttemptFailed(_) => ShipmentStatus::AttemptFailed,
        ShipmentEvent::ExceptionReported(_) => ShipmentStatus::Exception,
        ShipmentEvent::Delivered(_) => {
            row.delivered_at = Some(at);
            ShipmentStatus::Delivered
        }
        ShipmentEvent::Returned(_) => ShipmentStatus::Returned,
        ShipmentEvent::Lost(_) => ShipmentStatus::Lost,
        ShipmentEvent::Cancelled(_) => ShipmentStatus::Cancelled,
        ShipmentEvent::TrackingNumberCorrected(corrected) => {
            row.tracking_number = Some(corrected.tracking_number.clone());
            row.status
        }
        // After a refusal another attempt follows, or the order fails; the creation is folded
        // before.
        ShipmentEvent::Refused(_) | ShipmentEvent::Requested(_) => row.status,
    };
    row.status = status;
}

fn scan_row(scan: &ScanRecorded) -> ScanRow {
    let status = match scan.status {
        ScanStatus::InTransit => ShipmentStatus::InTransit,
        ScanStatus::OutForDelivery => ShipmentStatus::OutForDelivery,
        ScanStatus::AttemptFailed => ShipmentStatus::AttemptFailed,
        ScanStatus::Exception => ShipmentStatus::Exception,
        ScanStatus::Delivered => ShipmentStatus::Delivered,
        ScanStatus::Returned => ShipmentStatus::Returned,
        ScanStatus::Lost => ShipmentStatus::Lost,
    };
    ScanRow {
        status,
        code: scan.code.clone(),
        place: scan.place.clone(),
        at: scan.at,
        received_at: scan.received_at,
        note: scan.note.clone(),
        carrier: scan.carrier.clone(),
        ignored_because: scan.ignored_because.clone(),
    }
}
