//! Goods that came in, went out, or were counted differently. Reservations for orders are not
//! movements.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::locations::LocationCode;
use jangbu_aggregates::stock::{
    StockAdjusted, StockCounted, StockEvent, StockReceived, StockRestocked, StockShipped, StockTransferLost,
    StockTransferReceived, StockTransferSent, StockWrittenOff,
};
use jangbu_kernel::{AggregateKind, OrderId, ProductId, Timestamp, TransferId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Key, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, fixed};

/// The kind of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MovementKind {
    /// Goods came in.
    Received,
    /// The count was corrected.
    Adjusted,
    /// Goods were counted.
    Counted,
    /// Goods can never be sold.
    WrittenOff,
    /// Goods left with a parcel.
    Shipped,
    /// Goods came back and can be sold again.
    Restocked,
    /// Goods left one location for another.
    TransferSent,
    /// Goods arrived from another location.
    TransferReceived,
    /// Goods never arrived from another location.
    TransferLost,
}

jangbu_kernel::named!(MovementKind);

/// A movement of a product's stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovementRow {
    /// The product.
    pub product_id: ProductId,
    /// The version of the stock's stream at this movement. Numbers rise, with gaps.
    pub number: Version,
    /// Its kind.
    pub kind: MovementKind,
    /// What it adds to the units on hand, negative if it takes.
    pub delta: i64,
    /// What it adds to the units at each location that it is about.
    pub places: Vec<(LocationCode, i64)>,
    /// The transfer, if it belongs to one.
    pub transfer_id: Option<TransferId>,
    /// Why, if somebody gave a reason.
    pub reason: Option<String>,
    /// The order, if it belongs to one.
    pub order_id: Option<OrderId>,
    /// The time at which it was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub at: Timestamp,
}

/// The view "stock_movements".
pub struct StockMovementsView;

impl View for StockMovementsView {
    type Row = MovementRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "stock_movements",
        // 2: locations.
        version: 2,
        key: &[column("product_id", Kind::Uuid), column("number", Kind::Int)],
        columns: &[fixed("kind", Kind::Text), fixed("delta", Kind::Int), fixed("at", Kind::Time)],
        indexes: &[],
    };
    const SHOWS: Shows = Shows::Only(
        AggregateKind::Stock,
        &[
            StockReceived::TYPE,
            StockAdjusted::TYPE,
            StockCounted::TYPE,
            StockWrittenOff::TYPE,
            StockShipped::TYPE,
            StockRestocked::TYPE,
            StockTransferSent::TYPE,
            StockTransferReceived::TYPE,
            StockTransferLost::TYPE,
        ],
    );

    fn key(fact: &Fact) -> Key {
        Key::number(fact.stream.id, fact.version)
    }

    fn builds_on_row(_: &Fact) -> bool {
        false
    }

    fn fold(row: &mut Option<MovementRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Stock(event) = &fact.event else { return Err(NOT_SHOWN) };
        let (kind, reason, order_id) = movement(event).ok_or(NOT_SHOWN)?;
        *row = Some(MovementRow {
            product_id: ProductId::new(fact.stream.id),
            number: fact.version,
            kind,
            delta: event.change().on_hand,
            places: event.moves(),
            transfer_id: event.transfer_id(),
            reason,
            order_id,
            at: fact.at,
        });
        Ok(())
    }

    fn columns(row: &MovementRow) -> Vec<Value> {
        vec![Value::name(row.kind.name()), Value::int(row.delta), Value::time(row.at)]
    }
}

/// The kind of a movement, with its reason and order; none for what moves nothing.
fn movement(event: &StockEvent) -> Option<(MovementKind, Option<String>, Option<OrderId>)> {
    let of = |kind, reason: Option<&String>, order_id| Some((kind, reason.cloned(), order_id));
    match event {
        StockEvent::Received(_) => of(MovementKind::Received, None, None),
        StockEvent::Adjusted(adjusted) => of(MovementKind::Adjusted, Some(&adjusted.reason), None),
        StockEvent::Counted(count) => of(MovementKind::Counted, count.reason.as_ref(), None),
        StockEvent::WrittenOff(gone) => of(MovementKind::WrittenOff, Some(&gone.reason), None),
        StockEvent::Shipped(gone) => of(MovementKind::Shipped, None, Some(gone.order_id)),
        StockEvent::Restocked(back) => of(MovementKind::Restocked, Some(&back.reason), Some(back.order_id)),
        StockEvent::TransferSent(_) => of(MovementKind::TransferSent, None, None),
        StockEvent::TransferReceived(_) => of(MovementKind::TransferReceived, None, None),
        StockEvent::TransferLost(lost) => of(MovementKind::TransferLost, Some(&lost.reason), None),
        StockEvent::Reserved(_)
        | StockEvent::Released(_)
        | StockEvent::Allocated(_)
        | StockEvent::Deallocated(_)
        | StockEvent::ThresholdSet(_)
        | StockEvent::BackOrderSet(_)
        | StockEvent::BuyerLimitSet(_)
        | StockEvent::RanLow(_)
        | StockEvent::Depleted(_)
        | StockEvent::Replenished(_) => None,
    }
}
