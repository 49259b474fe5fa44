//! How much of a product one buyer may have in open orders. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, StreamId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Sets how many units of a product one buyer may have in open orders: in an order that is being
/// placed, together with those that wait for their payment. Orders that stand keep what they have.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBuyerLimit {
    /// Of which product.
    pub product_id: ProductId,
    /// How many; 0: no limit of the product's own.
    pub limit: u32,
}

impl Command for SetBuyerLimit {
    const RULES: Rules = Rules::new("set_buyer_limit", Reach::Any(Permission::StockWrite), Key::Optional, &[]);

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
        change(append, self.product_id, &StockCommand::SetBuyerLimit { limit: self.limit })
    }
}
