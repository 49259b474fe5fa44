//! The state of a notice.

use jangbu_kernel::{Timestamp, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{NoticeAbout, NoticeEvent};

/// How far a notice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NoticeState {
    /// It is tried again.
    Waiting,
    /// The channel's server has taken it.
    Sent,
    /// It is not tried again by itself.
    GivenUp,
}

named!(NoticeState);

/// A notice; before the first attempt, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    tried: Option<Tried>,
}

/// What is known of a notice that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Tried {
    about: NoticeAbout,
    state: NoticeState,
    attempts: u32,
    retry_at: Option<Timestamp>,
}

impl Notice {
    pub(super) fn fold(&mut self, event: &NoticeEvent) {
        let (about, state, attempts, retry_at) = match event {
            NoticeEvent::Sent(sent) => (&sent.about, NoticeState::Sent, sent.attempt, None),
            NoticeEvent::Failed(failed) => (&failed.about, NoticeState::Waiting, failed.attempt, Some(failed.retry_at)),
            NoticeEvent::GivenUp(given_up) => (&given_up.about, NoticeState::GivenUp, given_up.attempt, None),
            NoticeEvent::SendRequested(requested) => {
                if let Some(tried) = &mut self.tried {
                    tried.state = NoticeState::Waiting;
                    tried.retry_at = Some(requested.at);
                }
                return;
            }
        };
        self.tried = Some(Tried { about: about.clone(), state, attempts, retry_at });
    }

    /// How far it has come; none before the first attempt.
    #[must_use]
    pub fn state(&self) -> Option<NoticeState> {
        self.tried.as_ref().map(|tried| tried.state)
    }
    /// What it is about and to whom it goes; none before the first attempt.
    #[must_use]
    pub fn about(&self) -> Option<&NoticeAbout> {
        self.tried.as_ref().map(|tried| &tried.about)
    }
    /// The number of attempts.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.tried.as_ref().map_or(0, |tried| tried.attempts)
    }
    /// When it is tried again, if it waits for that.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        self.tried.as_ref().and_then(|tried| tried.retry_at)
    }
}
