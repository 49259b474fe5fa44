//! The shop does not take the goods of a return back. Writes `return` and `order`.

use jangbu_kernel::{RefusalCode, Remark, ReturnId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::returns::{end, order_of};
use crate::returns::{Return, ReturnCommand};
use crate::state::{Missing, States};

/// The shop does not take the goods of a return back. Writes `return` and `order`.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectReturn {
    /// The return.
    pub return_id: ReturnId,
    /// Why, for the buyer.
    pub reason: Remark,
}

impl Command for RejectReturn {
    const RULES: Rules = Rules::new(
        "reject_return",
        Reach::Any(Permission::ReturnsWrite),
        Key::Optional,
        &[RefusalCode::ReturnStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::of_return(self.return_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Return>(self.return_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        let order_id = states.get::<Return>(self.return_id).ok().and_then(Return::order_id);
        streams.extend(order_id.map(StreamId::order));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = order_of(append, self.return_id)?;
        append.ask::<Return>(self.return_id, &ReturnCommand::Reject { reason: self.reason.clone() })?;
        end(append, order_id, self.return_id, &[])
    }
}
