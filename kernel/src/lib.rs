//! Floor 1, the shared vocabulary: identifiers, money, time, the event envelope, the [`Decider`]
//! and the ports to everything that is not pure.
//!
//! Nothing here does I/O, and nothing here knows a rule of the shop. Every other crate may import
//! this one; this one imports none of them. Start with [`event`] and [`log`], then [`decider`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test"))]

pub mod access;
pub mod channel;
pub mod decider;
pub mod event;
pub mod gateway;
pub mod ids;
pub mod log;
pub mod macros;
pub mod money;
pub mod never;
pub mod part;
pub mod place;
pub mod ports;
pub mod refusal;
pub mod sealed;
pub mod stream;
pub mod text;
pub mod time;

pub use access::Role;
pub use decider::{Decider, Decision};
pub use event::{Actor, EventMeta, NewEvent, RecordedEvent};
pub use ids::*;
pub use money::{Currency, Money, MoneyError};
pub use never::never;
pub use place::{Position, Version};
pub use refusal::{Refusal, RefusalCode};
pub use sealed::{Remark, Sealed, SealedAt};
pub use stream::{AggregateKind, StreamId};
pub use time::Timestamp;

#[doc(hidden)]
pub mod __private {
    //! What the macros of this crate refer to from other crates.
    pub use crate::never::never;
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
