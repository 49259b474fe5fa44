//! What a session decides.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode, Timestamp};

use super::command::SessionCommand;
use super::event::{ReuseDetected, SessionEndReason, SessionEnded, SessionEvent, SessionRotated, SessionStarted};
use super::state::{Family, Session};
use crate::checks;
use crate::facts::Facts;

impl Decider for Session {
    const KIND: AggregateKind = AggregateKind::Session;
    const STATE_VERSION: u16 = 2;
    type Event = SessionEvent;
    type Command = SessionCommand;
    type Facts = Facts;

    fn decide(&self, command: &SessionCommand, facts: &Facts) -> Decision<SessionEvent> {
        match (command, &self.family) {
            (SessionCommand::Start { user_id, token_hash }, None) => {
                let (user_id, token_hash) = (*user_id, token_hash.clone());
                Decision::one(SessionStarted { user_id, token_hash, expires_at: token_end(facts), generation: Some(0) })
            }
            (SessionCommand::Start { .. }, Some(_)) => Decision::AlreadyDone,
            (SessionCommand::Rotate { .. }, None) => unauthenticated().into(),
            (SessionCommand::Rotate { presented_hash, presented_generation, next_hash }, Some(family)) => {
                family.rotate(presented_hash, *presented_generation, next_hash, facts)
            }
            (SessionCommand::End { .. }, None) => checks::not_found("session").into(),
            (SessionCommand::End { reason }, Some(family)) => match family.live {
                Some(_) => Decision::one(SessionEnded { reason: *reason }),
                None => Decision::AlreadyDone,
            },
        }
    }

    fn evolve(&mut self, event: &SessionEvent) {
        self.fold(event);
    }
}

impl Family {
    fn rotate(&self, presented: &str, generation: Option<u64>, next: &str, facts: &Facts) -> Decision<SessionEvent> {
        let Some(live) = &self.live else {
            return unauthenticated().into();
        };
        // The hashes are of random tokens, so the time that comparing them takes reveals nothing
        // useful.
        if live == presented && facts.now < self.expires_at {
            return Decision::one(SessionRotated {
                token_hash: next.to_owned(),
                expires_at: token_end(facts),
                generation: Some(generation.map_or(1, |exchanges| exchanges.saturating_add(1))),
                rotated_at: Some(facts.now),
            });
        }
        if self.repeats_last_exchange(presented, facts) {
            return Decision::AlreadyDone;
        }
        if self.was_exchanged(presented, generation) {
            let ended = SessionEnded { reason: SessionEndReason::TokenReused };
            return Decision::Record(vec![ReuseDetected {}.into(), ended.into()]);
        }
        unauthenticated().into()
    }

    fn repeats_last_exchange(&self, presented: &str, facts: &Facts) -> bool {
        self.last_exchange.as_ref().is_some_and(|last| {
            let end = last.at.checked_add_signed(facts.policy.refresh_repeat);
            last.presented_hash == presented && end.is_none_or(|end| facts.now < end)
        })
    }

    fn was_exchanged(&self, presented: &str, generation: Option<u64>) -> bool {
        let earlier = generation.zip(self.generation).is_some_and(|(presented, live)| presented < live);
        earlier || self.exchanged.contains(presented)
    }
}

fn token_end(facts: &Facts) -> Timestamp {
    let end = facts.now.checked_add_signed(facts.policy.refresh_token_life);
    to_millis(end.unwrap_or(Timestamp::MAX_UTC))
}

fn unauthenticated() -> Refusal {
    Refusal::new(RefusalCode::Unauthenticated, "the token does not count any more")
}
