//! When the stock of a product counts as low. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, StreamId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Sets the number of available units at which the stock counts as low.
#[derive(Clone, Debug, PartialEq)]
pub struct SetStockThreshold {
    /// Of which product.
    pub product_id: ProductId,
    /// At so many or fewer it is low; 0: never, it is only depleted.
    pub low: u32,
}

impl Command for SetStockThreshold {
    const RULES: Rules = Rules::new("set_stock_threshold", Reach::Any(Permission::StockWrite), Key::Optional, &[]);

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
        change(append, self.product_id, &StockCommand::SetThreshold { low: self.low })
    }
}
