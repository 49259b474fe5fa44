//! What a notice decides.

use chrono::TimeDelta;
use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode};

use super::event::{NoticeAbout, NoticeEvent, NoticeFailed, NoticeGivenUp, NoticeSendRequested, NoticeSent};
use super::state::{Notice, NoticeState};
use crate::checks;
use crate::facts::Facts;

/// The minutes between a failed attempt and the next one: together a day, less half an hour.
const WAITS: [i64; 6] = [1, 5, 30, 120, 360, 900];
/// The attempts after which a notice is given up.
pub const MOST_ATTEMPTS: u32 = 7;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The channel's server took it.
    Sent,
    /// It did not, or that is not known.
    Failed {
        /// Why, a code.
        reason: String,
        /// Whether it never will.
        for_good: bool,
    },
}

/// A command of a notice.
#[derive(Clone, Debug, PartialEq)]
pub enum NoticeCommand {
    /// Records an attempt.
    Record {
        /// What was told to whom.
        about: NoticeAbout,
        /// Which attempt, from 1.
        attempt: u32,
        /// What became of it.
        outcome: NoticeOutcome,
    },
    /// Asks for another attempt.
    Send,
}

impl Decider for Notice {
    const KIND: AggregateKind = AggregateKind::Notice;
    const STATE_VERSION: u16 = 1;
    type Event = NoticeEvent;
    type Command = NoticeCommand;
    type Facts = Facts;

    fn decide(&self, command: &NoticeCommand, facts: &Facts) -> Decision<NoticeEvent> {
        match command {
            NoticeCommand::Record { about, attempt, outcome } => self.record(about, *attempt, outcome, facts),
            NoticeCommand::Send => self.send(facts),
        }
    }

    fn evolve(&mut self, event: &NoticeEvent) {
        self.fold(event);
    }
}

impl Notice {
    fn record(
        &self,
        about: &NoticeAbout,
        attempt: u32,
        outcome: &NoticeOutcome,
        facts: &Facts,
    ) -> Decision<NoticeEvent> {
        if self.state() == Some(NoticeState::Sent) || attempt <= self.attempts() {
            return Decision::AlreadyDone;
        }
        let about = about.clone();
        match outcome {
            NoticeOutcome::Sent => Decision::one(NoticeSent { about, attempt }),
            NoticeOutcome::Failed { reason, for_good } => {
                let reason = reason.clone();
                match wait_after(attempt).filter(|_| !for_good) {
                    Some(wait) => {
                        let retry_at = to_millis(facts.now + wait);
                        Decision::one(NoticeFailed { about, attempt, reason, retry_at })
                    }
                    None => Decision::one(NoticeGivenUp { about, attempt, reason }),
                }
            }
        }
    }

    fn send(&self, facts: &Facts) -> Decision<NoticeEvent> {
        let is_due = self.retry_at().is_some_and(|at| at <= facts.now);
        match self.state() {
            None => checks::not_found("notice").into(),
            Some(NoticeState::Sent) => {
                Refusal::new(RefusalCode::NoticeAlreadySent, "the notice was sent, and is not sent twice")
                    .in_state(NoticeState::Sent.name(), Vec::new())
                    .into()
            }
            Some(NoticeState::Waiting) if is_due => Decision::AlreadyDone,
            Some(NoticeState::Waiting | NoticeState::GivenUp) => {
                Decision::one(NoticeSendRequested { at: to_millis(facts.now) })
            }
        }
    }
}

/// How long the next attempt waits after this one failed; none after the last.
fn wait_after(attempt: u32) -> Option<TimeDelta> {
    let place = usize::try_from(attempt).ok()?.checked_sub(1)?;
    WAITS.get(place).map(|minutes| TimeDelta::minutes(*minutes))
}
