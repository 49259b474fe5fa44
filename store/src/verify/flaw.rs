//! What can be wrong with a log, and where.

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A position is missing (or stands twice).
    #[error("position {expected} is missing: the next row has position {found}")]
    Position {
        /// The position that should follow.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A stream's versions have a gap or a repetition.
    #[error("the event at position {position} has version {found} in its stream instead of {expected}")]
    Version {
        /// The position of the event.
        position: u64,
        /// The version that should follow.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A row is not what was appended.
    #[error("the event at position {position} was altered: its hash does not fit")]
    Hash {
        /// The position of the event.
        position: u64,
    },
    /// A row holds what no row can hold.
    #[error("the event at position {position} cannot be read: {reason}")]
    Unreadable {
        /// The position of the event.
        position: u64,
        /// What the engine says.
        reason: String,
    },
    /// A sealed root does not fit: a row and its hash were altered together.
    #[error(
        "the root sealed over positions 1 to {size} does not fit the log: an event from position {first} on was altered together with its hash"
    )]
    Root {
        /// The first event that can be altered: all before it are vouched for.
        first: u64,
        /// How many events the root covers.
        size: u64,
    },
    /// A sealed root does not fit, but what was sealed after it does: the root itself was altered.
    #[error("the root sealed over positions 1 to {size} was altered: what was sealed after it fits the log")]
    RootAltered {
        /// How many events it covers.
        size: u64,
    },
    /// The frontier was sealed over events that read otherwise now, and the root beside it is gone.
    #[error(
        "the seal over positions 1 to {size} does not fit the log: an event from position {first} on was altered together with its hash"
    )]
    Frontier {
        /// The first event that can be altered: all before it are vouched for.
        first: u64,
        /// How many events it covers.
        size: u64,
    },
    /// The frontier itself was altered: the root of the same size fits the log.
    #[error("the frontier of the seal over positions 1 to {size} was altered: its root fits the log")]
    FrontierAltered {
        /// How many events it covers.
        size: u64,
    },
    /// Roots were removed: the newest seal has a frontier and no root.
    #[error("the root sealed over positions 1 to {size} is gone: its frontier is there")]
    RootGone {
        /// How many events it covered.
        size: u64,
    },
    /// The newest root has no frontier beside it, though they are written together.
    #[error("the frontier of the seal over positions 1 to {size} is gone: its root is there")]
    FrontierGone {
        /// How many events the root covers.
        size: u64,
    },
    /// Events went on for longer than the sealer ever takes, and no root vouches for them.
    #[error("no root covers positions {first} to {head}, written over {seconds} seconds: a seal takes one")]
    Unsealed {
        /// The first event without a root.
        first: u64,
        /// The last position there is.
        head: u64,
        /// How long the shop was at work meanwhile.
        seconds: u64,
    },
    /// Sealed events are gone from the end.
    #[error("{sealed} events were sealed, but the log ends at position {head}")]
    Truncated {
        /// How many were sealed.
        sealed: u64,
        /// The last position there is.
        head: u64,
    },
    /// Events are gone from the end: what stands beside the log tells of more.
    #[error("the log ends at position {head}, but {witness}")]
    Lost {
        /// The last position there is.
        head: u64,
        /// What tells of more.
        witness: String,
    },
    /// The counter of positions is behind the events that it numbers.
    #[error("the counter of positions stands at {counter}, but the log goes on to {head}")]
    Counter {
        /// Where it stands.
        counter: u64,
        /// The last position there is.
        head: u64,
    },
    /// A receipt does not point at what it was written for.
    #[error("the receipt of the append that ends at position {position} {what}")]
    Receipt {
        /// The position that the receipt names.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The index of streams does not say what the log says.
    #[error("the index of streams {what}")]
    Index {
        /// The event that it does not lead to, or the position that it leads to.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A snapshot is ahead of its stream.
    #[error("the snapshot of {stream} is of version {version}, which the log does not have")]
    Snapshot {
        /// The stream, as `<kind>-<id>`.
        stream: String,
        /// The snapshot's version.
        version: u64,
        /// The last position there is.
        head: u64,
    },
}

impl Flaw {
    /// The first event that can be wrong; the position behind the last one where events
    /// are gone from the end.
    #[must_use]
    pub const fn position(&self) -> u64 {
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
            Self::Truncated { head, .. } | Self::Lost { head, .. } | Self::Snapshot { head, .. } => *head + 1,
            Self::Counter { head, .. } => *head,
        }
    }

    /// Whether the flaw says that events are missing at the end.
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
