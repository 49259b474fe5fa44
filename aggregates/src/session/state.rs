//! The state of a session.

use std::collections::BTreeSet;

use jangbu_kernel::{Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::SessionEvent;

/// A session; before it is started, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub(super) family: Option<Family>,
}

/// A family of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Family {
    pub(super) user_id: UserId,
    /// Hash of the token that is alive; none once the session is over.
    pub(super) live: Option<String>,
    pub(super) expires_at: Timestamp,
    /// How many exchanges led to the live token; none: it does not say so of itself.
    pub(super) generation: Option<u64>,
    /// The exchange that the live token came of.
    pub(super) last_exchange: Option<Exchange>,
    /// Hashes of tokens that do not say their generation and were exchanged, to know a
    /// stolen one from a guess. Only earlier releases gave such tokens out, so it does not
    /// grow any more.
    pub(super) exchanged: BTreeSet<String>,
}

/// An exchange of a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Exchange {
    /// Hash of the token that was shown.
    pub(super) presented_hash: String,
    pub(super) at: Timestamp,
}

impl Session {
    pub(super) fn fold(&mut self, event: &SessionEvent) {
        match (&mut self.family, event) {
            (None, SessionEvent::Started(started)) => {
                self.family = Some(Family {
                    user_id: started.user_id,
                    live: Some(started.token_hash.clone()),
                    expires_at: started.expires_at,
                    generation: started.generation,
                    last_exchange: None,
                    exchanged: BTreeSet::new(),
                });
            }
            (Some(family), SessionEvent::Rotated(rotated)) => {
                let before = family.live.replace(rotated.token_hash.clone());
                if family.generation.is_none() {
                    family.exchanged.extend(before.clone());
                }
                let exchange = |(presented_hash, at)| Exchange { presented_hash, at };
                family.last_exchange = before.zip(rotated.rotated_at).map(exchange);
                family.generation = rotated.generation;
                family.expires_at = rotated.expires_at;
            }
            (Some(family), SessionEvent::Ended(_)) => {
                family.live = None;
                family.last_exchange = None;
                family.exchanged.clear();
            }
            // Started twice, or anything before the start: this is never decided and changes
            // nothing. Reuse is always followed by the end.
            (Some(_), SessionEvent::Started(_) | SessionEvent::ReuseDetected(_))
            | (None, SessionEvent::Rotated(_) | SessionEvent::ReuseDetected(_) | SessionEvent::Ended(_)) => {}
        }
    }

    /// The user of the session.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.family.as_ref().map(|family| family.user_id)
    }

    /// Whether a token with this hash belongs to it, live or exchanged, as far as hashes can tell.
    #[must_use]
    pub fn knows(&self, hash: &str) -> bool {
        self.family.as_ref().is_some_and(|family| {
            let last = family.last_exchange.as_ref().map(|last| last.presented_hash.as_str());
            family.live.as_deref() == Some(hash) || last == Some(hash) || family.exchanged.contains(hash)
        })
    }

    /// Whether a token of it can be exchanged at this time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.family.as_ref().is_some_and(|family| family.live.is_some() && now < family.expires_at)
    }
}
