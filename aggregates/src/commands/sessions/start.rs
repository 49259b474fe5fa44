//! Begins a session after the right password was given. Writes `session` and `user`: a session only
//! begins while its user may log in, and the count of wrong passwords starts again.

use jangbu_kernel::{SessionId, StreamId, UserId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::session::{Session, SessionCommand};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// Begins a session after the right password was given.
#[derive(Clone, Debug, PartialEq)]
pub struct StartSession {
    /// The id of the session.
    pub session_id: SessionId,
    /// The user who has logged in.
    pub user_id: UserId,
    /// SHA-256 of the refresh token, hexadecimal.
    pub token_hash: String,
}

impl Command for StartSession {
    const RULES: Rules = Rules::internal("start_session");

    fn subject(&self) -> StreamId {
        StreamId::session(self.session_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::user(self.user_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.ask::<User>(self.user_id, &UserCommand::RecordLoginSuccess)?;
        let start = SessionCommand::Start { user_id: self.user_id, token_hash: self.token_hash.clone() };
        append.only::<Session>(self.session_id, &start)
    }
}
