//! Goods came in. Writes `stock`, reads `product` and `locations`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::{change, checked};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::LocationCode;
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Goods came in.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveStock {
    /// Of which product.
    pub product_id: ProductId,
    /// How many, at least 1.
    pub quantity: u32,
    /// Where; none is `main`.
    pub location: Option<LocationCode>,
}

impl Command for ReceiveStock {
    const RULES: Rules = Rules::new(
        "receive_stock",
        Reach::Any(Permission::StockWrite),
        Key::Required,
        &[RefusalCode::LocationConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::stock(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::product(self.product_id));
        streams.extend(self.location.as_ref().map(|_| StreamId::locations()));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let location = checked(append, self.location.as_ref(), true, "/location")?;
        change(append, self.product_id, &StockCommand::Receive { quantity: self.quantity, location })
    }
}
