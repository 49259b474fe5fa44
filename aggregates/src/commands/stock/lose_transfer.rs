//! What has not arrived of a transfer never will. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, StreamId, TransferId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Writes off what has not arrived of a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct LoseTransfer {
    /// Of which product.
    pub product_id: ProductId,
    /// Which transfer.
    pub transfer_id: TransferId,
    /// What became of it.
    pub reason: String,
}

impl Command for LoseTransfer {
    const RULES: Rules = Rules::new("lose_transfer", Reach::Any(Permission::StockWrite), Key::Required, &[]);

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
        let (transfer_id, reason) = (self.transfer_id, self.reason.clone());
        change(append, self.product_id, &StockCommand::Lose { transfer_id, reason })
    }
}
