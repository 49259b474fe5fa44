//! Time as the shop writes it: UTC, stored and hashed to the millisecond.

use chrono::{DateTime, SubsecRound as _, Utc};

/// A moment in UTC. Values that enter an event are cut to whole milliseconds by
/// [`to_millis`], so that what is written, hashed and shown is one value.
pub type Timestamp = DateTime<Utc>;

/// Cuts a moment to whole milliseconds.
#[must_use]
pub fn to_millis(moment: Timestamp) -> Timestamp {
    moment.trunc_subsecs(3)
}

/// RFC 3339 in UTC with exactly three decimals: `2026-11-21T01:07:00.000Z`.
#[must_use]
pub fn rfc3339(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The storage form of a [`Timestamp`] in events: RFC 3339 with milliseconds.
///
/// Use with `#[serde(with = "jangbu_kernel::time::millis")]`.
pub mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Timestamp, rfc3339};

    /// Writes RFC 3339 with milliseconds.
    ///
    /// # Errors
    /// Only what the serializer itself reports.
    pub fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&rfc3339(*moment))
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// When the text is not a moment in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(from)
    }

    /// The same for optional moments; pair it with `#[serde(default)]`.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::super::{Timestamp, rfc3339};

        /// Writes RFC 3339 with milliseconds, or null.
        ///
        /// # Errors
        /// Only what the serializer itself reports.
        pub fn serialize<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
            match moment {
                Some(moment) => to.serialize_str(&rfc3339(*moment)),
                None => to.serialize_none(),
            }
        }

        /// Reads RFC 3339 or null.
        ///
        /// # Errors
        /// When the text is not a moment in RFC 3339.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
            Option::<Timestamp>::deserialize(from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_cut_and_written_to_the_millisecond() {
        let moment: Timestamp = "2026-11-21T01:07:00.123987Z".parse().unwrap();
        assert_eq!(rfc3339(to_millis(moment)), "2026-11-21T01:07:00.123Z");
        assert_eq!(rfc3339("2026-11-21T10:07:00+09:00".parse().unwrap()), "2026-11-21T01:07:00.000Z");
    }
}
