//! T1: a family of refresh tokens has at most one live token.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::session::SessionEvent;
use jangbu_kernel::{AggregateKind, Timestamp, Version};
use uuid::Uuid;

use super::finding::{Check, Findings, Invariant, Looks, Seen};

/// The live sessions, with the time at which their unused token expires.
#[derive(Default)]
pub(crate) struct Sessions(HashMap<Uuid, Timestamp>);

impl Check for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn looks(&self) -> Looks {
        Looks { kinds: &[AggregateKind::Session], types: &[] }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let DomainEvent::Session(event) = seen.domain else { return };
        let id = seen.event.stream.id;
        match event {
            SessionEvent::Started(started) => {
                if seen.event.version != Version::FIRST || self.0.insert(id, started.expires_at).is_some() {
                    seen.report(findings, Invariant::T1, "the session begins a second time");
                }
            }
            SessionEvent::Rotated(rotated) => {
                // A rotation replaces the live token; without one there is nothing to replace.
                match self.0.insert(id, rotated.expires_at) {
                    None => seen.report(findings, Invariant::T1, "a token is issued in a session that has ended"),
                    Some(died) if died < seen.event.meta.recorded_at => {
                        seen.report(findings, Invariant::T1, "a token is exchanged after it had expired");
                    }
                    Some(_) => {}
                }
            }
            SessionEvent::ReuseDetected(_) | SessionEvent::Ended(_) => {
                self.0.remove(&id);
            }
        }
    }
}
