//! Time as the shop stores it: UTC, written and hashed to the millisecond.

use chrono::{DateTime, Datelike as _, NaiveDate, SubsecRound as _, Timelike as _, Utc};

/// A moment in UTC. Values that enter an event are cut to whole milliseconds by [`to_millis`], so
/// that the written, the hashed and the shown value are the same.
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
    use serde::{Deserializer, Serializer};

    use super::{Timestamp, Written};

    /// Writes RFC 3339 with milliseconds.
    ///
    /// # Errors
    /// Only what the serializer itself reports.
    pub fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Written::new(*moment).as_str())
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// When the text is not a moment in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        from.deserialize_str(super::Reader)
    }

    /// The same for optional moments; pair it with `#[serde(default)]`.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::super::{Reader, Timestamp, Written};

        /// Writes RFC 3339 with milliseconds, or null.
        ///
        /// # Errors
        /// Only what the serializer itself reports.
        pub fn serialize<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
            match moment {
                Some(moment) => to.serialize_str(Written::new(*moment).as_str()),
                None => to.serialize_none(),
            }
        }

        /// Reads RFC 3339 or null.
        ///
        /// # Errors
        /// When the text is not a moment in RFC 3339.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
            Ok(Option::<Read>::deserialize(from)?.map(|read| read.0))
        }

        struct Read(Timestamp);

        impl<'de> Deserialize<'de> for Read {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Reader).map(Self)
            }
        }
    }
}

/// The length of the storage form.
const LENGTH: usize = 24;

/// A moment in its storage form, made without an allocation: an event or a row has several, and a
/// general formatter takes five times as long.
struct Written {
    /// The text, or none for moments that do not fit the form, such as years without four digits.
    digits: Option<[u8; LENGTH]>,
    otherwise: String,
}

impl Written {
    fn new(moment: Timestamp) -> Self {
        match digits(moment) {
            Some(digits) => Self { digits: Some(digits), otherwise: String::new() },
            None => Self { digits: None, otherwise: rfc3339(moment) },
        }
    }

    fn as_str(&self) -> &str {
        self.digits.as_ref().and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or(&self.otherwise)
    }
}

fn digits(moment: Timestamp) -> Option<[u8; LENGTH]> {
    let (date, time) = (moment.date_naive(), moment.time());
    let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9_999)?;
    // A leap second is written by the general formatter.
    let millis = Some(time.nanosecond() / 1_000_000).filter(|millis| *millis <= 999)?;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, date.month()),
        (8, 2, date.day()),
        (11, 2, time.hour()),
        (14, 2, time.minute()),
        (17, 2, time.second()),
        (20, 3, millis),
    ];
    for (start, length, number) in parts {
        let mut rest = number;
        for place in text.get_mut(start..start + length)?.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).ok()?;
            rest /= 10;
        }
    }
    Some(text)
}

/// Reads exactly the form that [`Written`] writes.
fn read_digits(text: &str) -> Option<Timestamp> {
    let text: &[u8; LENGTH] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if marks.iter().any(|(place, mark)| text.get(*place) != Some(mark)) {
        return None;
    }
    let number = |start: usize, length: usize| {
        text.get(start..start + length)?
            .iter()
            .try_fold(0_u32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 2)?, number(8, 2)?)?;
    let moment = date.and_hms_milli_opt(number(11, 2)?, number(14, 2)?, number(17, 2)?, number(20, 3)?)?;
    Some(moment.and_utc())
}

/// Reads RFC 3339, trying the storage form first.
struct Reader;

impl serde::de::Visitor<'_> for Reader {
    type Value = Timestamp;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an RFC 3339 formatted date and time string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        match read_digits(text) {
            Some(moment) => Ok(moment),
            None => text.parse().map_err(E::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_storage_form_is_that_of_the_library(millis in -70_000_000_000_000_i64..300_000_000_000_000) {
            let moment = Timestamp::from_timestamp_millis(millis).unwrap();
            let text = rfc3339(moment);
            let written = Written::new(moment);
            prop_assert_eq!(written.as_str(), &text);
            prop_assert_eq!(read_digits(&text).unwrap_or(moment), moment);
        }

        #[test]
        fn what_reads_quickly_reads_the_same_slowly(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.[0-9]{3}Z") {
            if let Some(moment) = read_digits(&text) {
                prop_assert_eq!(text.parse::<Timestamp>(), Ok(moment));
            }
        }
    }

    #[test]
    fn a_moment_is_cut_and_written_to_the_millisecond() {
        let moment: Timestamp = "2026-11-21T01:07:00.123987Z".parse().unwrap();
        assert_eq!(rfc3339(to_millis(moment)), "2026-11-21T01:07:00.123Z");
        assert_eq!(rfc3339("2026-11-21T10:07:00+09:00".parse().unwrap()), "2026-11-21T01:07:00.000Z");
    }
}
