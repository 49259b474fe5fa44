//! What is there of every product.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::stock::StockEvent;
use jangbu_kernel::{AggregateKind, ProductId};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, next};

/// The stock of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockRow {
    /// Of which product.
    pub product_id: ProductId,
    /// In the house.
    pub on_hand: i64,
    /// Kept for orders that are not paid yet.
    pub reserved: i64,
    /// Kept for paid orders.
    pub allocated: i64,
    /// What can be bought: `on_hand - reserved - allocated`.
    pub available: i64,
    /// The version of its stream that is folded in.
    pub version: u64,
}

impl StockRow {
    /// Nothing of a product.
    #[must_use]
    pub const fn empty(product_id: ProductId) -> Self {
        Self { product_id, on_hand: 0, reserved: 0, allocated: 0, available: 0, version: 0 }
    }
}

/// The view "stock".
pub struct StockView;

impl View for StockView {
    type Row = StockRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "stock",
        version: 2,
        key: &[column("product_id", Kind::Uuid)],
        columns: &[
            column("on_hand", Kind::Int),
            column("reserved", Kind::Int),
            column("allocated", Kind::Int),
            column("available", Kind::Int),
            column("version", Kind::Int),
        ],
        indexes: &[],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Stock);
    /// Small rows, and any product may be the next to be sold.
    const HOT_ROWS: usize = 16_384;

    fn fold(row: &mut Option<StockRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Stock(event) = &fact.event else { return Err(NOT_SHOWN) };
        if row.is_none() {
            first(row, fact)?;
            *row = Some(StockRow::empty(ProductId::new(fact.stream.id)));
        }
        let row = next(row, |row| row.version, fact)?;
        let (on_hand, reserved, allocated) = match event {
            StockEvent::Received(received) => (i64::from(received.quantity), 0, 0),
            StockEvent::Adjusted(adjusted) => (adjusted.delta, 0, 0),
            StockEvent::Reserved(kept) => (0, i64::from(kept.quantity), 0),
            StockEvent::Released(freed) => (0, -i64::from(freed.quantity), 0),
            StockEvent::Allocated(sold) => (0, -i64::from(sold.quantity), i64::from(sold.quantity)),
            StockEvent::Deallocated(freed) => (0, 0, -i64::from(freed.quantity)),
            StockEvent::Shipped(gone) => (-i64::from(gone.quantity), 0, -i64::from(gone.quantity)),
            StockEvent::Restocked(back) => (i64::from(back.quantity), 0, 0),
        };
        row.on_hand = row.on_hand.saturating_add(on_hand);
        row.reserved = row.reserved.saturating_add(reserved);
        row.allocated = row.allocated.saturating_add(allocated);
        row.available = row.on_hand.saturating_sub(row.reserved).saturating_sub(row.allocated);
        row.version = fact.version;
        Ok(())
    }

    fn columns(row: &StockRow) -> Vec<Value> {
        vec![
            Value::int(row.on_hand),
            Value::int(row.reserved),
            Value::int(row.allocated),
            Value::int(row.available),
            Value::count(row.version),
        ]
    }
}
