//! The place of an event: its [`Position`] in the log and its [`Version`] in its stream.
//!
//! Both are numbers from 1 without gaps, and both are written, hashed and stored as plain numbers.
//! They have types of their own so that they are not mistaken for each other or for a count.

use std::borrow::Cow;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The place before the first event.
            pub const ZERO: Self = Self(0);
            /// The place of the first event.
            pub const FIRST: Self = Self(1);
            /// The place after every possible event; as an upper bound it means no bound.
            pub const MAX: Self = Self(u64::MAX);

            /// The place with this number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }
            /// The plain number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
            /// The place directly after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                self.plus(1)
            }
            /// The place directly before this one; [`Self::ZERO`] stays the same.
            #[must_use]
            pub const fn previous(self) -> Self {
                self.minus(1)
            }
            /// The place `count` events later, at most [`Self::MAX`].
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0.saturating_add(count))
            }
            /// The place `count` events earlier, at least [`Self::ZERO`].
            #[must_use]
            pub const fn minus(self, count: u64) -> Self {
                Self(self.0.saturating_sub(count))
            }
            /// This place and all later ones, in order.
            pub fn onwards(self) -> impl Iterator<Item = Self> {
                (self.0..).map(Self)
            }
            /// By how many events this place is behind `other`: 0 if it is not behind.
            #[must_use]
            pub const fn behind(self, other: Self) -> u64 {
                other.0.saturating_sub(self.0)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }
        impl From<$name> for u64 {
            fn from(place: $name) -> Self {
                place.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        /// The schema of the plain number.
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                u64::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                u64::schema_name()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                u64::json_schema(generator)
            }
        }
        impl FromStr for $name {
            type Err = ParseIntError;
            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )+};
}

places! {
    /// An event's place in the whole log.
    Position;
    /// An event's place in its stream; for a stream, the number of its events.
    Version;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_its_number_and_reads_back() {
        for number in [0, 1, 7, u64::MAX] {
            let (position, version) = (Position::new(number), Version::new(number));
            assert_eq!(position.to_string(), number.to_string());
            assert_eq!(position.to_string().parse(), Ok(position));
            assert_eq!(serde_json::to_string(&version).unwrap(), number.to_string());
            assert_eq!(serde_json::from_str::<Version>(&number.to_string()).unwrap(), version);
        }
    }

    #[test]
    fn a_place_follows_another_and_never_wraps() {
        assert_eq!(Position::ZERO.next(), Position::FIRST);
        assert_eq!(Position::FIRST.previous(), Position::ZERO);
        assert_eq!((Position::ZERO.previous(), Position::MAX.next()), (Position::ZERO, Position::MAX));
        assert_eq!(Version::new(3).behind(Version::new(10)), 7);
        assert_eq!(Version::new(10).behind(Version::new(3)), 0);
    }
}
