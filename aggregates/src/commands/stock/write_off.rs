//! Writes units off. Writes `stock`, reads `product` and `locations`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::{change, checked};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::LocationCode;
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Writes units off that can never be sold: broken, spoilt, lost.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOffStock {
    /// Of which product.
    pub product_id: ProductId,
    /// How many, at least 1.
    pub quantity: u32,
    /// What became of them.
    pub reason: String,
    /// Where; none is `main`.
    pub location: Option<LocationCode>,
}

impl Command for WriteOffStock {
    const RULES: Rules = Rules::new(
        "write_off_stock",
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
        streams.extend(self.location.as_ref().map(|_| StreamId::locations()));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (quantity, reason) = (self.quantity, self.reason.clone());
        let location = checked(append, self.location.as_ref(), false, "/location")?;
        change(append, self.product_id, &StockCommand::WriteOff { quantity, reason, location })
    }
}
