//! Somebody counted. Writes `stock`, reads `product` and `locations`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::{change, checked};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::LocationCode;
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
    /// Where; none is `main`.
    pub location: Option<LocationCode>,
}

impl Command for AdjustStock {
    const RULES: Rules = Rules::new(
        "adjust_stock",
        Reach::Any(Permission::StockWrite),
        Key::Required,
        &[RefusalCode::InsufficientStock, RefusalCode::LocationConflict],
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
        let location = checked(append, self.location.as_ref(), self.delta > 0, "/location")?;
        let (delta, reason) = (self.delta, self.reason.clone());
        change(append, self.product_id, &StockCommand::Adjust { delta, reason, location })
    }
}
