//! The stock of every product.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::stock::{StockEvent, StockLevel};
use jangbu_kernel::{AggregateKind, ProductId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Index, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, next};

/// The stock of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockRow {
    /// The product.
    pub product_id: ProductId,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Reserved for orders that are not paid yet.
    pub reserved: i64,
    /// Allocated to paid orders.
    pub allocated: i64,
    /// `on_hand - reserved - allocated`: negative while more is promised than is here.
    pub available: i64,
    /// At so many available units or fewer it is low; 0: never.
    pub low: u32,
    /// How much of it can be sold, measured by that.
    pub level: StockLevel,
    /// Since when; none for a product that never had any.
    #[serde(with = "jangbu_kernel::time::millis::option")]
    pub level_since: Option<Timestamp>,
    /// By how many units reservations may exceed what is available.
    pub back_order: u32,
    /// Units that one buyer may have in open orders; 0: no limit of the product's own.
    pub buyer_limit: u32,
    /// The version of its stream that is folded in.
    pub version: Version,
}

impl StockRow {
    /// What staff have set.
    fn take_terms(&mut self, event: &StockEvent) {
        if let StockEvent::ThresholdSet(set) = event {
            self.low = set.low;
        }
        if let StockEvent::BackOrderSet(set) = event {
            self.back_order = set.limit;
        }
        if let StockEvent::BuyerLimitSet(set) = event {
            self.buyer_limit = set.limit;
        }
    }

    /// What can be ordered: what is available, and what may be promised before it is here.
    #[must_use]
    pub fn orderable(&self) -> i64 {
        self.available.saturating_add(i64::from(self.back_order)).max(0)
    }

    /// A product without stock.
    #[must_use]
    pub const fn empty(product_id: ProductId) -> Self {
        Self {
            product_id,
            on_hand: 0,
            reserved: 0,
            allocated: 0,
            available: 0,
            low: 0,
            level: StockLevel::Depleted,
            level_since: None,
            back_order: 0,
            buyer_limit: 0,
            version: Version::ZERO,
        }
    }
}

/// The view "stock".
pub struct StockView;

impl View for StockView {
    type Row = StockRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "stock",
        version: 5,
        key: &[column("product_id", Kind::Uuid)],
        columns: &[
            column("on_hand", Kind::Int),
            column("reserved", Kind::Int),
            column("allocated", Kind::Int),
            column("available", Kind::Int),
            column("level", Kind::Text),
            column("version", Kind::Int),
        ],
        // Most products have enough: they are not in it, and a sale leaves it alone.
        indexes: &[Index { name: "scarce", columns: "level, product_id", only: "level <> 'enough'" }],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Stock);
    /// Rows are small, and any product may be the next to be sold.
    const HOT_ROWS: usize = 16_384;

    fn fold(row: &mut Option<StockRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Stock(event) = &fact.event else { return Err(NOT_SHOWN) };
        if row.is_none() {
            first(row, fact)?;
            *row = Some(StockRow::empty(ProductId::new(fact.stream.id)));
        }
        let row = next(row, |row| row.version, fact)?;
        let change = event.change();
        row.on_hand = row.on_hand.saturating_add(change.on_hand);
        row.reserved = row.reserved.saturating_add(change.reserved);
        row.allocated = row.allocated.saturating_add(change.allocated);
        row.available = row.on_hand.saturating_sub(row.reserved).saturating_sub(row.allocated);
        row.take_terms(event);
        // By the numbers, not by what was told: a log from before levels were told has them too.
        let level = StockLevel::of(row.available, row.low);
        if level != row.level || row.level_since.is_none() {
            (row.level, row.level_since) = (level, Some(fact.at));
        }
        row.version = fact.version;
        Ok(())
    }

    fn columns(row: &StockRow) -> Vec<Value> {
        vec![
            Value::int(row.on_hand),
            Value::int(row.reserved),
            Value::int(row.allocated),
            Value::int(row.available),
            Value::name(row.level.name()),
            Value::count(row.version),
        ]
    }
}
