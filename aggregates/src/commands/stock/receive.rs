//! Goods came in. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, StreamId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Goods came in.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveStock {
    /// Of which product.
    pub product_id: ProductId,
    /// How many, at least 1.
    pub quantity: u32,
}

impl Command for ReceiveStock {
    const RULES: Rules = Rules::new("receive_stock", Reach::Any(Permission::StockWrite), Key::Required, &[]);

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
        change(append, self.product_id, &StockCommand::Receive { quantity: self.quantity })
    }
}
