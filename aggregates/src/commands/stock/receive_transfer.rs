//! Units of a transfer arrived. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId, TransferId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Units of a transfer arrived, all of them or a part.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveTransfer {
    /// Of which product.
    pub product_id: ProductId,
    /// Which transfer.
    pub transfer_id: TransferId,
    /// How many, at least 1.
    pub quantity: u32,
}

impl Command for ReceiveTransfer {
    const RULES: Rules = Rules::new(
        "receive_transfer",
        Reach::Any(Permission::StockWrite),
        Key::Required,
        &[RefusalCode::InsufficientStock],
    );

    fn subject(&self) -> StreamId {
        StreamId::stock(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::product(self.product_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (transfer_id, quantity) = (self.transfer_id, self.quantity);
        change(append, self.product_id, &StockCommand::Arrive { transfer_id, quantity })
    }
}
