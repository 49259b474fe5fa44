//! What a session keeps in mind.

use std::collections::BTreeSet;

use jangbu_kernel::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::event::SessionEvent;

/// A session; before it is started, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub(super) family: Option<Family>,
}

/// A family of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Family {
    pub(super) user_id: UserId,
    /// Hash of the token that is alive; none once the session is over.
    pub(super) live: Option<String>,
    pub(super) expires_at: Timestamp,
    /// Hashes of all that were exchanged, to know a stolen one from a guess. About 70
    /// bytes a refresh; forgotten when the session ends.
    pub(super) exchanged: BTreeSet<String>,
}

impl Session {
    pub(super) fn fold(&mut self, event: &SessionEvent) {
        match (&mut self.family, event) {
            (None, SessionEvent::Started(started)) => {
                self.family = Some(Family {
                    user_id: started.user_id,
                    live: Some(started.token_hash.clone()),
                    expires_at: started.expires_at,
                    exchanged: BTreeSet::new(),
                });
            }
            (Some(family), SessionEvent::Rotated(rotated)) => {
                family.exchanged.extend(family.live.replace(rotated.token_hash.clone()));
                family.expires_at = rotated.expires_at;
            }
            (Some(family), SessionEvent::Ended(_)) => {
                family.live = None;
                family.exchanged.clear();
            }
            // Started twice, or anything before the start: never decided, changes nothing.
            // Reuse is always followed by the end.
            (Some(_), SessionEvent::Started(_) | SessionEvent::ReuseDetected(_))
            | (None, SessionEvent::Rotated(_) | SessionEvent::ReuseDetected(_) | SessionEvent::Ended(_)) => {}
        }
    }

    /// Whose session it is.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.family.as_ref().map(|family| family.user_id)
    }

    /// Whether a token of it can be exchanged at this moment.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.family.as_ref().is_some_and(|family| family.live.is_some() && now < family.expires_at)
    }
}
