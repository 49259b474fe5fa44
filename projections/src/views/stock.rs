//! The stock of every product.

use std::collections::BTreeMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::locations::LocationCode;
use jangbu_aggregates::stock::{StockEvent, StockLevel};
use jangbu_kernel::{AggregateKind, ProductId, Timestamp, TransferId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Index, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, next};

/// Units on their way from one location to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferRow {
    /// Where they were.
    pub from: LocationCode,
    /// Where they go.
    pub to: LocationCode,
    /// How many have not arrived yet.
    pub quantity: u32,
    /// When they were sent.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub sent_at: Timestamp,
}

/// The stock of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockRow {
    /// The product.
    pub product_id: ProductId,
    /// Units that are the shop's: at its locations, and on their way between them.
    pub on_hand: i64,
    /// Units on their way.
    pub in_transit: i64,
    /// Units at the locations other than `main` that have some.
    pub elsewhere: BTreeMap<LocationCode, i64>,
    /// What has not arrived yet.
    pub transfers: BTreeMap<TransferId, TransferRow>,
    /// Reserved for orders that are not paid yet.
    pub reserved: i64,
    /// Allocated to paid orders.
    pub allocated: i64,
    /// `on_hand - in_transit - reserved - allocated`: negative while more is promised than is here.
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

    /// Units at `main`: what is at no other location and not on its way.
    #[must_use]
    pub fn at_main(&self) -> i64 {
        let here = self.on_hand.saturating_sub(self.in_transit);
        self.elsewhere.values().fold(here, |rest, units| rest.saturating_sub(*units))
    }

    /// Where the units are.
    fn take_places(&mut self, event: &StockEvent, at: Timestamp) {
        for (code, units) in event.moves().into_iter().filter(|(code, _)| !code.is_main()) {
            let held = self.elsewhere.get(&code).copied().unwrap_or(0).saturating_add(units);
            if held == 0 {
                self.elsewhere.remove(&code);
            } else {
                self.elsewhere.insert(code, held);
            }
        }
        let arrived = if let StockEvent::TransferReceived(received) = event {
            Some((received.transfer_id, received.quantity))
        } else if let StockEvent::TransferLost(lost) = event {
            Some((lost.transfer_id, lost.quantity))
        } else {
            None
        };
        if let StockEvent::TransferSent(sent) = event {
            let (from, to, quantity) = (sent.from.clone(), sent.to.clone(), sent.quantity);
            self.transfers.insert(sent.transfer_id, TransferRow { from, to, quantity, sent_at: at });
        }
        if let Some((transfer_id, quantity)) = arrived
            && let Some(transfer) = self.transfers.get_mut(&transfer_id)
        {
            transfer.quantity = transfer.quantity.saturating_sub(quantity);
            if transfer.quantity == 0 {
                self.transfers.remove(&transfer_id);
            }
        }
    }

    /// A product without stock.
    #[must_use]
    pub const fn empty(product_id: ProductId) -> Self {
        Self {
            product_id,
            on_hand: 0,
            in_transit: 0,
            elsewhere: BTreeMap::new(),
            transfers: BTreeMap::new(),
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
        // 6: locations.
        version: 6,
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
        row.in_transit = row.in_transit.saturating_add(change.in_transit);
        row.take_places(event, fact.at);
        row.available =
            row.on_hand.saturating_sub(row.in_transit).saturating_sub(row.reserved).saturating_sub(row.allocated);
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
