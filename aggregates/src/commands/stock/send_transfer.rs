//! Sends units from one location to another. Writes `stock`, reads `product` and `locations`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId, TransferId};

use super::{change, checked};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::LocationCode;
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Sends units from one location to another. Until they arrive they are on hand, and cannot be sold.
#[derive(Clone, Debug, PartialEq)]
pub struct SendTransfer {
    /// Of which product.
    pub product_id: ProductId,
    /// The id that the transfer gets.
    pub transfer_id: TransferId,
    /// Where they are.
    pub from: LocationCode,
    /// Where they go.
    pub to: LocationCode,
    /// How many, at least 1.
    pub quantity: u32,
}

impl Command for SendTransfer {
    const RULES: Rules = Rules::new(
        "send_transfer",
        Reach::Any(Permission::StockWrite),
        Key::Required,
        &[RefusalCode::InsufficientStock, RefusalCode::LocationConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::stock(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::product(self.product_id));
        streams.push(StreamId::locations());
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        checked(append, Some(&self.from), false, "/from")?;
        checked(append, Some(&self.to), true, "/to")?;
        let (from, to) = (self.from.clone(), self.to.clone());
        let send = StockCommand::Send { transfer_id: self.transfer_id, from, to, quantity: self.quantity };
        change(append, self.product_id, &send)
    }
}
