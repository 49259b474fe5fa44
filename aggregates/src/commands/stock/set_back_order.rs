//! How much of a product may be promised before it is here. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, StreamId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Sets how many units may be promised to orders before they are here. What is promised already
/// stays promised when the limit is lowered.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBackOrder {
    /// Of which product.
    pub product_id: ProductId,
    /// By how many units reservations may exceed what is available; 0: not at all.
    pub limit: u32,
}

impl Command for SetBackOrder {
    const RULES: Rules = Rules::new("set_back_order", Reach::Any(Permission::StockWrite), Key::Optional, &[]);

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
        change(append, self.product_id, &StockCommand::SetBackOrder { limit: self.limit })
    }
}
