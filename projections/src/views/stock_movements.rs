//! Goods that came in, went out, or were counted differently. Reservations for orders are not
//! movements.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::stock::{
    StockAdjusted, StockCounted, StockEvent, StockReceived, StockRestocked, StockShipped, StockWrittenOff,
};
use jangbu_kernel::{AggregateKind, OrderId, ProductId, Timestamp, Version};
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
        version: 1,
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
        let (kind, delta, reason, order_id) = match event {
            StockEvent::Received(received) => (MovementKind::Received, i64::from(received.quantity), None, None),
            StockEvent::Adjusted(adjusted) => {
                (MovementKind::Adjusted, adjusted.delta, Some(adjusted.reason.clone()), None)
            }
            StockEvent::Counted(count) => (MovementKind::Counted, count.difference(), count.reason.clone(), None),
            StockEvent::WrittenOff(gone) => {
                (MovementKind::WrittenOff, -i64::from(gone.quantity), Some(gone.reason.clone()), None)
            }
            StockEvent::Shipped(gone) => (MovementKind::Shipped, -i64::from(gone.quantity), None, Some(gone.order_id)),
            StockEvent::Restocked(back) => {
                let reason = Some(back.reason.clone());
                (MovementKind::Restocked, i64::from(back.quantity), reason, Some(back.order_id))
            }
            StockEvent::Reserved(_)
            | StockEvent::Released(_)
            | StockEvent::Allocated(_)
            | StockEvent::Deallocated(_)
            | StockEvent::ThresholdSet(_)
            | StockEvent::BackOrderSet(_)
            | StockEvent::BuyerLimitSet(_)
            | StockEvent::RanLow(_)
            | StockEvent::Depleted(_)
            | StockEvent::Replenished(_) => {
                return Err(NOT_SHOWN);
            }
        };
        let product_id = ProductId::new(fact.stream.id);
        *row = Some(MovementRow { product_id, number: fact.version, kind, delta, reason, order_id, at: fact.at });
        Ok(())
    }

    fn columns(row: &MovementRow) -> Vec<Value> {
        vec![Value::name(row.kind.name()), Value::int(row.delta), Value::time(row.at)]
    }
}
