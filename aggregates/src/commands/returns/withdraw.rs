//! The goods of a return stay with the buyer. Writes `return` and `order`.

use jangbu_kernel::{RefusalCode, Remark, ReturnId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::returns::{end, order_of};
use crate::returns::{Return, ReturnCommand, WithdrawnBy};
use crate::state::{Missing, States};

/// The goods of a return stay with the buyer. Writes `return` and `order`.
#[derive(Clone, Debug, PartialEq)]
pub struct WithdrawReturn {
    /// The return.
    pub return_id: ReturnId,
    /// The buyer or staff.
    pub by: WithdrawnBy,
    /// Why; staff have to say.
    pub reason: Option<Remark>,
}

impl Command for WithdrawReturn {
    const RULES: Rules = Rules::new(
        "withdraw_return",
        Reach::OwnOrAny { own: Permission::ReturnsRequestOwn, any: Permission::ReturnsWrite },
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
        let (by, reason) = (self.by, self.reason.clone());
        append.ask::<Return>(self.return_id, &ReturnCommand::Withdraw { by, reason })?;
        end(append, order_id, self.return_id, &[])
    }
}
