//! The goods of a return may be sent back. Writes `return`.

use jangbu_kernel::{Money, RefusalCode, ReturnId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::returns::{Return, ReturnCommand};
use crate::state::{Missing, States};

/// The goods of a return may be sent back. Writes `return`.
#[derive(Clone, Debug, PartialEq)]
pub struct ApproveReturn {
    /// The return.
    pub return_id: ReturnId,
    /// What is taken off the refund, where the buyer pays the way back; none: nothing.
    pub fee: Option<Money>,
}

impl Command for ApproveReturn {
    const RULES: Rules = Rules::new(
        "approve_return",
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

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Return>(self.return_id, &ReturnCommand::Approve { fee: self.fee })
    }
}
