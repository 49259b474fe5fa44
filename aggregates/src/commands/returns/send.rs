//! The goods of a return are on their way back. Writes `return`.

use jangbu_kernel::{RefusalCode, ReturnId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::returns::{Return, ReturnCommand};
use crate::state::{Missing, States};

/// The goods of a return are on their way back. Writes `return`.
#[derive(Clone, Debug, PartialEq)]
pub struct SendReturn {
    /// The return.
    pub return_id: ReturnId,
    /// The carrier's name, 1-50 characters.
    pub carrier: String,
    /// The carrier's number of the parcel, 1-50 characters.
    pub tracking_number: String,
}

impl Command for SendReturn {
    const RULES: Rules = Rules::new(
        "send_return",
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

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (carrier, tracking_number) = (self.carrier.clone(), self.tracking_number.clone());
        append.only::<Return>(self.return_id, &ReturnCommand::Send { carrier, tracking_number })
    }
}
