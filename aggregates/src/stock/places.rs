//! Where the units of a stock are: at which location, or on their way between two.

use std::collections::BTreeMap;

use jangbu_kernel::TransferId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{StockEvent, StockTaken};
use crate::locations::LocationCode;

/// Transfers of a product that are on their way at a time.
pub(super) const MOST_TRANSFERS: usize = 100;

/// Where the units are. What is at `main` is what is at no other location, so that a stock that knows of
/// no locations keeps nothing of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Places {
    /// Units at the locations other than `main` that have some.
    elsewhere: BTreeMap<LocationCode, i64>,
    /// What has not arrived yet.
    transfers: BTreeMap<TransferId, Transfer>,
    /// The sum of that.
    in_transit: i64,
}

/// Units on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Transfer {
    pub(super) to: LocationCode,
    /// How many have not arrived yet.
    pub(super) quantity: u32,
}

impl Places {
    pub(super) const fn in_transit(&self) -> i64 {
        self.in_transit
    }

    /// Units at a location, of so many at all of them.
    pub(super) fn at(&self, location: Option<&LocationCode>, here: i64) -> i64 {
        match location.filter(|code| !code.is_main()) {
            Some(code) => self.elsewhere.get(code).copied().unwrap_or(0),
            None => self.elsewhere.values().fold(here, |rest, units| rest.saturating_sub(*units)),
        }
    }

    pub(super) fn transfer(&self, transfer_id: TransferId) -> Option<&Transfer> {
        self.transfers.get(&transfer_id)
    }

    pub(super) fn transfers(&self) -> usize {
        self.transfers.len()
    }

    /// From where so many units are taken, of so many at all locations: from `main` first, then from the
    /// others in the order of their codes. Empty where `main` has all of them.
    pub(super) fn taken(&self, quantity: u32, here: i64) -> Vec<StockTaken> {
        let mut rest = i64::from(quantity);
        let mut taken = Vec::new();
        let mut take = |location: LocationCode, units: i64| {
            let some = rest.min(units.max(0));
            rest -= some;
            if let (Ok(quantity), true) = (u32::try_from(some), some > 0) {
                taken.push(StockTaken { location, quantity });
            }
        };
        take(LocationCode::main(), self.at(None, here));
        for (code, units) in &self.elsewhere {
            take(code.clone(), *units);
        }
        if taken.iter().all(|part| part.location.is_main()) { Vec::new() } else { taken }
    }

    pub(super) fn fold(&mut self, event: &StockEvent) {
        for (code, units) in event.moves() {
            self.add(code, units);
        }
        self.in_transit = self.in_transit.saturating_add(event.change().in_transit);
        if let StockEvent::TransferSent(sent) = event {
            let transfer = Transfer { to: sent.to.clone(), quantity: sent.quantity };
            self.transfers.insert(sent.transfer_id, transfer);
        }
        if let StockEvent::TransferReceived(received) = event {
            self.take(received.transfer_id, received.quantity);
        }
        if let StockEvent::TransferLost(lost) = event {
            self.take(lost.transfer_id, lost.quantity);
        }
    }

    /// Units of a transfer are not on their way any more.
    fn take(&mut self, transfer_id: TransferId, quantity: u32) {
        if let Some(transfer) = self.transfers.get_mut(&transfer_id) {
            transfer.quantity = transfer.quantity.saturating_sub(quantity);
            if transfer.quantity == 0 {
                self.transfers.remove(&transfer_id);
            }
        }
    }

    /// What is at `main` follows from the rest.
    fn add(&mut self, code: LocationCode, units: i64) {
        if code.is_main() {
            return;
        }
        let held = self.elsewhere.get(&code).copied().unwrap_or(0).saturating_add(units);
        if held == 0 {
            self.elsewhere.remove(&code);
        } else {
            self.elsewhere.insert(code, held);
        }
    }
}
