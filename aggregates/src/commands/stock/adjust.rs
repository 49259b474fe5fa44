//! Somebody counted. Writes `stock`, reads `product`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::change;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Corrects the count.
#[derive(Clone, Debug, PartialEq)]
pub struct AdjustStock {
    /// Of which product.
    pub product_id: ProductId,
    /// By how many, not 0.
    pub delta: i64,
    /// The reason, such as `count` or `damage`, for the audit trail.
    pub reason: String,
}

impl Command for AdjustStock {
    const RULES: Rules = Rules::new(
        "adjust_stock",
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
        change(append, self.product_id, &StockCommand::Adjust { delta: self.delta, reason: self.reason.clone() })
    }
}
