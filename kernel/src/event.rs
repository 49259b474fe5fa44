//! The event envelope: what is stored with every payload.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, CorrelationId, EventId, UserId};
use crate::place::{Position, Version};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Who acted. Stored as text: `user:<uuid>`, `system:<part of the program>`, `operator:<name>` (a
/// person at the command line), `gateway:<name>`, `carrier:<name>`, or `anonymous` (nobody had
/// logged in yet).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Actor {
    /// A logged-in person.
    User(UserId),
    /// A part of this program, such as `process-manager`.
    System(&'static str),
    /// A person at the command line of the server.
    Operator(String),
    /// A payment gateway that reported something.
    Gateway(String),
    /// A carrier that reported something.
    Carrier(String),
    /// Nobody known, as at registration and login.
    Anonymous,
    /// A kind of actor that only a newer version of the program knows, in its stored text form.
    Unknown(String),
}

impl Actor {
    const SYSTEM_PARTS: [&'static str; 4] = ["process-manager", "timer", "notices", "system"];

    /// The person, when it is one.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        if let Self::User(id) = self { Some(*id) } else { None }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::System(part) => write!(f, "system:{part}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Gateway(name) => write!(f, "gateway:{name}"),
            Self::Carrier(name) => write!(f, "carrier:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

impl TryFrom<String> for Actor {
    type Error = InvalidActor;
    fn try_from(text: String) -> Result<Self, InvalidActor> {
        text.parse()
    }
}

/// A text that does not name an actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an actor")]
pub struct InvalidActor;

impl FromStr for Actor {
    type Err = InvalidActor;
    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        let (kind, name) = text.split_once(':').ok_or(InvalidActor)?;
        match kind {
            "user" => name.parse().map(Self::User).map_err(|_| InvalidActor),
            // An unknown part, such as one that another version named otherwise, reads as `system`.
            "system" => Ok(Self::System(Self::SYSTEM_PARTS.into_iter().find(|part| *part == name).unwrap_or("system"))),
            "operator" => Ok(Self::Operator(name.to_owned())),
            "gateway" => Ok(Self::Gateway(name.to_owned())),
            "carrier" => Ok(Self::Carrier(name.to_owned())),
            _ => Err(InvalidActor),
        }
    }
}

/// Who, why and when: what all events of one command have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMeta {
    /// The id that everything caused by one request shares.
    pub correlation_id: CorrelationId,
    /// What directly caused this: for a process's command the id of the event that the process
    /// reacted to, otherwise the id of the command itself.
    pub causation_id: uuid::Uuid,
    /// The command that decided this.
    pub command_id: CommandId,
    /// Who acted.
    pub actor: Actor,
    /// W3C `traceparent` of the request, when it had one.
    pub trace: Option<String>,
    /// When it was decided, in whole milliseconds.
    pub recorded_at: Timestamp,
}

/// An event that is decided but not yet in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its own id, UUID v7.
    pub event_id: EventId,
    /// `<aggregate>.<past_tense>`.
    pub event_type: &'static str,
    /// Version of the payload's schema, from 1.
    pub schema_version: u16,
    /// The payload, JSON text. It is hashed and stored byte for byte.
    pub payload: String,
}

/// An event as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Place in the log, from 1, without gaps.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Place in the stream, from 1, without gaps.
    pub version: Version,
    /// Its own id.
    pub event_id: EventId,
    /// `<aggregate>.<past_tense>`.
    pub event_type: String,
    /// Version of the payload's schema.
    pub schema_version: u16,
    /// The payload, JSON text, byte for byte as it was appended.
    pub payload: String,
    /// Who, why and when.
    pub meta: EventMeta,
    /// Merkle leaf hash (RFC 6962) over the canonical form of the row.
    pub hash: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_survives_its_text_form() {
        let user = UserId::new(uuid::Uuid::from_u128(7));
        for actor in [
            Actor::User(user),
            Actor::System("process-manager"),
            Actor::Operator("root".to_owned()),
            Actor::Gateway("sandbox".to_owned()),
            Actor::Carrier("sandbox".to_owned()),
            Actor::Anonymous,
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in ["", "user", "user:1", "parrot:polly"] {
            assert_eq!(text.parse::<Actor>(), Err(InvalidActor), "{text:?}");
        }
    }
}
