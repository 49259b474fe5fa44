//! Ends a login. Writes `session`.

use jangbu_kernel::{SessionId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::session::{Session, SessionCommand, SessionEndReason};
use crate::state::{Missing, States};

/// Ends a login.
#[derive(Clone, Debug, PartialEq)]
pub struct EndSession {
    /// The session to end.
    pub session_id: SessionId,
    /// Logout, reuse of a token, or another cause.
    pub reason: SessionEndReason,
}

impl Command for EndSession {
    const RULES: Rules = Rules::internal("end_session");

    fn subject(&self) -> StreamId {
        StreamId::session(self.session_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Session>(self.session_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Session>(self.session_id, &SessionCommand::End { reason: self.reason })
    }
}
