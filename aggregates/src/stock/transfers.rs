//! Transfers: units that go from one location to another.

use jangbu_kernel::{Decision, Refusal, RefusalCode, TransferId};

use super::decide::invalid;
use super::event::{StockEvent, StockTransferLost, StockTransferReceived, StockTransferSent};
use super::places::MOST_TRANSFERS;
use super::state::Stock;
use crate::checks;
use crate::locations::LocationCode;

impl Stock {
    /// What is promised to orders does not go: on its way it could not be sent to anybody.
    pub(super) fn send(
        &self,
        transfer_id: TransferId,
        from: &LocationCode,
        to: &LocationCode,
        quantity: u32,
    ) -> Decision<StockEvent> {
        if self.places.transfer(transfer_id).is_some() {
            return Decision::AlreadyDone;
        }
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if from == to {
            return Refusal::new(RefusalCode::LocationConflict, "the goods are there already").at("/to").into();
        }
        if i64::from(quantity) > self.at(Some(from)) {
            return self.only_some_are_at(Some(from), "/quantity").into();
        }
        if i64::from(quantity) > self.removable() {
            return self.only_some_can_be_taken("/quantity").into();
        }
        if self.places.transfers() >= MOST_TRANSFERS {
            let detail = format!("{MOST_TRANSFERS} transfers of the product are on their way: receive one first");
            return Refusal::new(RefusalCode::LocationConflict, detail).into();
        }
        Decision::one(StockTransferSent { transfer_id, from: from.clone(), to: to.clone(), quantity })
    }

    pub(super) fn arrive(&self, transfer_id: TransferId, quantity: u32) -> Decision<StockEvent> {
        let Some(transfer) = self.places.transfer(transfer_id) else { return nothing_on_its_way().into() };
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if quantity > transfer.quantity {
            let detail = format!("only {} of the transfer are on their way", transfer.quantity);
            return Refusal::new(RefusalCode::InsufficientStock, detail).at("/quantity").into();
        }
        Decision::one(StockTransferReceived { transfer_id, to: transfer.to.clone(), quantity })
    }

    pub(super) fn lose(&self, transfer_id: TransferId, reason: &str) -> Decision<StockEvent> {
        let Some(transfer) = self.places.transfer(transfer_id) else { return nothing_on_its_way().into() };
        if let Err(refusal) = checks::reason(reason) {
            return refusal.into();
        }
        let quantity = transfer.quantity;
        Decision::one(StockTransferLost { transfer_id, quantity, reason: reason.to_owned() })
    }
}

/// Also the answer for a transfer that has arrived: the stock forgets it.
fn nothing_on_its_way() -> Refusal {
    checks::not_found("transfer on its way")
}
