//! Beginning and continuing a login. Touches `session` and `user`: a session only
//! begins while its user may log in, and with it the count of wrong passwords starts
//! anew.

use jangbu_kernel::{SessionId, UserId};

use super::append::decide;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::session::{Session, SessionCommand};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// Begins a session after the right password was given.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn start_session(
    states: &impl States,
    facts: &Facts,
    session_id: SessionId,
    user_id: UserId,
    token_hash: &str,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        append.ask::<User>(user_id, &UserCommand::RecordLoginSuccess)?;
        let start = SessionCommand::Start { user_id, token_hash: token_hash.to_owned() };
        append.ask::<Session>(session_id, &start)?;
        Ok(())
    })
}

/// Exchanges a refresh token. The user is only read: one who may not act gets no new
/// token, but the reuse of an old one is recorded all the same.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn rotate_session(
    states: &impl States,
    facts: &Facts,
    session_id: SessionId,
    rotate: &SessionCommand,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        append.ask::<Session>(session_id, rotate)?;
        let session = append.after::<Session>(session_id)?;
        if let (true, Some(user_id)) = (session.is_live(facts.now), session.user_id()) {
            append.before::<User>(user_id)?.may_act()?;
        }
        Ok(())
    })
}
