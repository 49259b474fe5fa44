//! Somebody looked at the goods of a return. Writes `return`, and `stock` per line that can be sold
//! again.
//!
//! What cannot be sold does not enter the stock again: it left with the parcel, and stays away.

use jangbu_kernel::{ProductId, RefusalCode, Remark, ReturnId, StreamId};

use super::order_of;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::returns::{InspectedLine, Return, ReturnCommand};
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};

/// The reason for the units that enter the stock again.
const RETURNED: &str = "returned_by_buyer";

/// Somebody looked at the goods of a return: what came back, and what of it can be sold again.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectReturn {
    /// The return.
    pub return_id: ReturnId,
    /// What was found, one line per product; what is not named did not come back.
    pub lines: Vec<InspectedLine>,
    /// What was written about it.
    pub note: Option<Remark>,
}

impl Command for InspectReturn {
    const RULES: Rules = Rules::new(
        "inspect_return",
        Reach::Any(Permission::ReturnsWrite),
        Key::Optional,
        &[RefusalCode::ReturnStateConflict, RefusalCode::ValidationFailed],
    );

    fn subject(&self) -> StreamId {
        StreamId::of_return(self.return_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Return>(self.return_id)?.user_id().into())
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.extend(restocked(&self.lines).map(|(product_id, _)| StreamId::stock(product_id)));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = order_of(append, self.return_id)?;
        let inspect = ReturnCommand::Inspect { lines: self.lines.clone(), note: self.note.clone() };
        if append.ask::<Return>(self.return_id, &inspect)? == Added::Nothing {
            return Ok(());
        }
        for (product_id, quantity) in restocked(&self.lines) {
            let restock = StockCommand::Restock { order_id, quantity, reason: RETURNED.to_owned() };
            append.ask::<Stock>(product_id, &restock)?;
        }
        Ok(())
    }
}

fn restocked(lines: &[InspectedLine]) -> impl Iterator<Item = (ProductId, u32)> {
    lines.iter().filter(|line| line.restocked > 0).map(|line| (line.product_id, line.restocked))
}
