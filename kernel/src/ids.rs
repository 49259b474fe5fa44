//! Typed identifiers. All of them are UUIDs; ids minted by the shop are version
//! 7 (time-ordered), ids derived from others are version 5.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name this kind of thing.
            #[must_use]
            pub const fn new(id: Uuid) -> Self { Self(id) }
            /// The bare UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid { self.0 }
        }
        impl From<Uuid> for $name { fn from(id: Uuid) -> Self { Self(id) } }
        impl From<$name> for Uuid { fn from(id: $name) -> Self { id.0 } }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { Uuid::parse_str(text).map(Self) }
        }
    )+};
}

typed_ids! {
    /// A person with an account.
    UserId;
    /// One login: a family of refresh tokens.
    SessionId;
    /// A thing for sale; its stock is kept under the same id.
    ProductId;
    /// A group of products.
    CategoryId;
    /// An order.
    OrderId;
    /// A payment of an order.
    PaymentId;
    /// A refund of a payment.
    RefundId;
    /// A parcel.
    ShipmentId;
    /// A return of goods.
    ReturnId;
    /// An import of a file.
    ImportId;
    /// Goods on their way from one location of the shop to another.
    TransferId;
    /// A notice: one fact told to one recipient by one channel.
    NoticeId;
    /// A stored event.
    EventId;
    /// A command; the same id never acts twice.
    CommandId;
    /// Everything that one request set in motion.
    CorrelationId;
}
