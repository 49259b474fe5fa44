//! Records a count of a location. Writes `stock`, reads `product` and `locations`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::{change, checked};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::LocationCode;
use crate::state::{Missing, States};
use crate::stock::StockCommand;

/// Records a count: what is at the location becomes the number that was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct CountStock {
    /// Of which product.
    pub product_id: ProductId,
    /// How many there are.
    pub counted: u32,
    /// Why there was a count, or what explains the difference.
    pub reason: Option<String>,
    /// Where; none is `main`.
    pub location: Option<LocationCode>,
}

impl Command for CountStock {
    const RULES: Rules =
        Rules::new("count_stock", Reach::Any(Permission::StockWrite), Key::Required, &[RefusalCode::InsufficientStock]);

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
        let (counted, reason) = (self.counted, self.reason.clone());
        let location = checked(append, self.location.as_ref(), false, "/location")?;
        change(append, self.product_id, &StockCommand::Count { counted, reason, location })
    }
}
