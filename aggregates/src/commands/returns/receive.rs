//! The goods of a return are at the shop. Writes `return`.

use jangbu_kernel::{RefusalCode, ReturnId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::returns::{Return, ReturnCommand};
use crate::state::{Missing, States};

/// The goods of a return are at the shop. Writes `return`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveReturn {
    /// The return.
    pub return_id: ReturnId,
}

impl Command for ReceiveReturn {
    const RULES: Rules = Rules::new(
        "receive_return",
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
        append.only::<Return>(self.return_id, &ReturnCommand::Receive)
    }
}
