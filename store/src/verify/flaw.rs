//! The flaws that a log can have, and where they are.

use jangbu_kernel::{Position, Version};

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A position is missing or is there twice.
    #[error("position {expected} is missing: the next row has position {found}")]
    Position {
        /// The position that is expected.
        expected: Position,
        /// The position that was found.
        found: Position,
    },
    /// A stream's versions have a gap or a repetition.
    #[error("the event at position {position} has version {found} in its stream instead of {expected}")]
    Version {
        /// The position of the event.
        position: Position,
        /// The version that is expected.
        expected: Version,
        /// The version that was found.
        found: Version,
    },
    /// A row is not what was appended.
    #[error("the event at position {position} was altered: its hash does not fit")]
    Hash {
        /// The position of the event.
        position: Position,
    },
    /// A row has values that no row can have.
    #[error("the event at position {position} cannot be read: {reason}")]
    Unreadable {
        /// The position of the event.
        position: Position,
        /// The engine's message.
        reason: String,
    },
    /// A sealed root does not fit: a row and its hash were altered together.
    #[error(
        "the root sealed over positions 1 to {size} does not fit the log: an event from position {first} on was altered together with its hash"
    )]
    Root {
        /// The first event that may be altered; roots cover all before it.
        first: Position,
        /// The number of events that the root covers.
        size: Position,
    },
    /// A sealed root does not fit, but what was sealed after it does: the root itself was altered.
    #[error("the root sealed over positions 1 to {size} was altered: what was sealed after it fits the log")]
    RootAltered {
        /// The number of events that it covers.
        size: Position,
    },
    /// The frontier was sealed over events that have changed since, and its root is gone.
    #[error(
        "the seal over positions 1 to {size} does not fit the log: an event from position {first} on was altered together with its hash"
    )]
    Frontier {
        /// The first event that may be altered; roots cover all before it.
        first: Position,
        /// The number of events that it covers.
        size: Position,
    },
    /// The frontier itself was altered: the root of the same size fits the log.
    #[error("the frontier of the seal over positions 1 to {size} was altered: its root fits the log")]
    FrontierAltered {
        /// The number of events that it covers.
        size: Position,
    },
    /// Roots were removed: the newest seal has a frontier and no root.
    #[error("the root sealed over positions 1 to {size} is gone: its frontier is there")]
    RootGone {
        /// The number of events that it covered.
        size: Position,
    },
    /// The newest root has no frontier, although they are written together.
    #[error("the frontier of the seal over positions 1 to {size} is gone: its root is there")]
    FrontierGone {
        /// The number of events that the root covers.
        size: Position,
    },
    /// Events were appended for longer than the sealer ever takes, and no root covers them.
    #[error("no root covers positions {first} to {head}, written over {seconds} seconds: a seal takes one")]
    Unsealed {
        /// The first event without a root.
        first: Position,
        /// The last position.
        head: Position,
        /// How long the shop was at work since the last seal.
        seconds: u64,
    },
    /// Sealed events are missing at the end.
    #[error("{sealed} events were sealed, but the log ends at position {head}")]
    Truncated {
        /// The number of events that were sealed.
        sealed: Position,
        /// The last position.
        head: Position,
    },
    /// Events are missing at the end: data beside the log refers to more.
    #[error("the log ends at position {head}, but {witness}")]
    Lost {
        /// The last position.
        head: Position,
        /// The data that refers to more.
        witness: String,
    },
    /// The counter of positions is behind the events that it numbers.
    #[error("the counter of positions stands at {counter}, but the log goes on to {head}")]
    Counter {
        /// The value of the counter.
        counter: Position,
        /// The last position.
        head: Position,
    },
    /// A receipt does not point to the event that it was written for.
    #[error("the receipt of the append that ends at position {position} {what}")]
    Receipt {
        /// The position that the receipt names.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// The index of streams does not agree with the log.
    #[error("the index of streams {what}")]
    Index {
        /// The event that it has no entry for, or the position that an entry points to.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// A snapshot is ahead of its stream.
    #[error("the snapshot of {stream} is of version {version}, which the log does not have")]
    Snapshot {
        /// The stream, as `<kind>-<id>`.
        stream: String,
        /// The snapshot's version.
        version: Version,
        /// The last position.
        head: Position,
    },
}

impl Flaw {
    /// The first event that may be wrong; if events are missing at the end, the position after the
    /// last one.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self {
            Self::Position { expected, .. } => *expected,
            Self::Version { position, .. }
            | Self::Hash { position }
            | Self::Unreadable { position, .. }
            | Self::Receipt { position, .. }
            | Self::Index { position, .. } => *position,
            Self::Root { first, .. } | Self::Frontier { first, .. } | Self::Unsealed { first, .. } => *first,
            Self::RootAltered { size }
            | Self::FrontierAltered { size }
            | Self::RootGone { size }
            | Self::FrontierGone { size } => *size,
            Self::Truncated { head, .. } | Self::Lost { head, .. } | Self::Snapshot { head, .. } => head.next(),
            Self::Counter { head, .. } => *head,
        }
    }

    /// Whether the flaw means that events are missing at the end.
    #[must_use]
    pub const fn cuts_the_end_off(&self) -> bool {
        match self {
            Self::Truncated { .. } | Self::Lost { .. } | Self::Snapshot { .. } => true,
            Self::Position { .. }
            | Self::Version { .. }
            | Self::Hash { .. }
            | Self::Unreadable { .. }
            | Self::Root { .. }
            | Self::RootAltered { .. }
            | Self::Frontier { .. }
            | Self::FrontierAltered { .. }
            | Self::RootGone { .. }
            | Self::FrontierGone { .. }
            | Self::Unsealed { .. }
            | Self::Counter { .. }
            | Self::Receipt { .. }
            | Self::Index { .. } => false,
        }
    }
}
