//! Exchanges a refresh token. Writes `session`. The user is only read: a user who may not act gets
//! no new token, but the reuse of an old one is recorded nevertheless.

use jangbu_kernel::{SessionId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::session::{Session, SessionCommand};
use crate::state::{Missing, States};
use crate::user::User;

/// Exchanges a refresh token. Presenting it again at once changes nothing. The reuse of an
/// exchanged token ends its family, which is recorded and not refused: look at the events.
#[derive(Clone, Debug, PartialEq)]
pub struct RotateSession {
    /// The session whose refresh token is exchanged.
    pub session_id: SessionId,
    /// Hash of the presented token.
    pub presented_hash: String,
    /// How many exchanges led to it, if the token has the shop's own proof of that.
    pub presented_generation: Option<u64>,
    /// Hash of the next token.
    pub next_hash: String,
}

impl Command for RotateSession {
    const RULES: Rules = Rules::internal("rotate_session");

    fn subject(&self) -> StreamId {
        StreamId::session(self.session_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Session>(self.session_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        let session = states.get::<Session>(self.session_id).ok();
        streams.extend(session.and_then(Session::user_id).map(StreamId::user));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (presented_hash, next_hash) = (self.presented_hash.clone(), self.next_hash.clone());
        let presented_generation = self.presented_generation;
        let rotate = SessionCommand::Rotate { presented_hash, presented_generation, next_hash };
        append.ask::<Session>(self.session_id, &rotate)?;
        let session = append.after::<Session>(self.session_id)?;
        if let (true, Some(user_id)) = (session.is_live(append.facts().now), session.user_id()) {
            append.before::<User>(user_id)?.may_act()?;
        }
        Ok(())
    }
}
