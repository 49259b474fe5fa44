//! Business days of the shop: when goods that are paid have to be on their way.
//!
//! Weekends and public holidays are data, in `calendar/kr.txt`. Korea has one time, nine hours
//! ahead of UTC, and has not changed its clocks since 1988.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Weekday};
use jangbu_kernel::Timestamp;

/// Public holidays, a line each: date, blank, name.
const KOREAN_HOLIDAYS: &str = include_str!("../calendar/kr.txt");
static KOREAN: LazyLock<Arc<BTreeSet<NaiveDate>>> = LazyLock::new(|| Arc::new(read(KOREAN_HOLIDAYS).collect()));

/// How far the shop's clocks are ahead of UTC.
const AHEAD: TimeDelta = TimeDelta::hours(9);
/// Days off in a row that are believed; more of them would be an error of the data.
const MOST_DAYS_OFF: u32 = 60;

/// The days on which the shop works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    holidays: Arc<BTreeSet<NaiveDate>>,
    extra: BTreeSet<NaiveDate>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { holidays: Arc::clone(&KOREAN), extra: BTreeSet::new() }
    }
}

impl Calendar {
    /// The same with further holidays.
    #[must_use]
    pub fn with_holidays(mut self, days: impl IntoIterator<Item = NaiveDate>) -> Self {
        self.extra.extend(days);
        self
    }

    /// Whether the shop works on this day of its own date.
    #[must_use]
    pub fn is_business_day(&self, day: NaiveDate) -> bool {
        !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
            && !self.holidays.contains(&day)
            && !self.extra.contains(&day)
    }

    /// The end of the n-th business day after the day of a moment, which does not count itself
    /// (Civil Act, article 157): the first moment that is too late. The moment itself where time
    /// ends before.
    #[must_use]
    pub fn end_of_business_day(&self, from: Timestamp, number: u32) -> Timestamp {
        self.end_of(from, number).unwrap_or(from)
    }

    fn end_of(&self, from: Timestamp, number: u32) -> Option<Timestamp> {
        let mut day = from.checked_add_signed(AHEAD)?.date_naive();
        let (mut left, mut off) = (number, 0);
        while left > 0 && off <= MOST_DAYS_OFF {
            day = day.checked_add_days(Days::new(1))?;
            if self.is_business_day(day) {
                (left, off) = (left.saturating_sub(1), 0);
            } else {
                off += 1;
            }
        }
        let midnight = day.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?.and_utc();
        let at: DateTime<chrono::Utc> = midnight.checked_sub_signed(AHEAD)?;
        Some(at)
    }
}

/// The dates of a list of holidays. What is no date is left out; a test holds that there is none.
fn read(list: &str) -> impl Iterator<Item = NaiveDate> + '_ {
    list.lines().filter_map(day_of)
}

fn day_of(line: &str) -> Option<NaiveDate> {
    let text = line.split('#').next()?.split_whitespace().next()?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ship_by(paid_at: &str) -> Timestamp {
        Calendar::default().end_of_business_day(at(paid_at), 3)
    }

    #[test]
    fn the_day_of_the_payment_does_not_count_and_weekends_do_not() {
        // Friday afternoon in Seoul: Monday, Tuesday, Wednesday.
        assert_eq!(ship_by("2026-11-27T06:00:00Z"), at("2026-12-02T15:00:00Z"));
        // A moment before midnight in Seoul on Monday, and midnight.
        assert_eq!(ship_by("2026-11-30T14:59:59.999Z"), at("2026-12-03T15:00:00Z"));
        assert_eq!(ship_by("2026-11-30T15:00:00Z"), at("2026-12-04T15:00:00Z"));
    }

    #[test]
    fn holidays_and_their_substitutes_do_not_count() {
        // Thursday; Chuseok 2025 is a holiday from Friday the 3rd to Thursday the 9th of October.
        assert_eq!(ship_by("2025-10-02T03:00:00Z"), at("2025-10-14T15:00:00Z"));
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert!(!Calendar::default().is_business_day(day("2026-03-02")), "the substitute of the first of March");
        assert!(Calendar::default().is_business_day(day("2026-12-24")));
        let extended = Calendar::default().with_holidays([day("2026-12-24")]);
        assert!(!extended.is_business_day(day("2026-12-24")));
    }

    #[test]
    fn every_line_is_a_day_and_every_year_has_its_own() {
        let lines: Vec<&str> =
            KOREAN_HOLIDAYS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
        let days: Vec<NaiveDate> = read(KOREAN_HOLIDAYS).collect();
        assert_eq!(days.len(), lines.len());
        assert!(days.is_sorted(), "in their order");
        for year in 2024..=2030 {
            let count = days.iter().filter(|day| day.year() == year).count();
            assert!((15..=25).contains(&count), "{year} has {count}");
            for fixed in ["01-01", "03-01", "05-05", "06-06", "08-15", "10-03", "10-09", "12-25"] {
                assert!(days.contains(&format!("{year}-{fixed}").parse().unwrap()), "{year}-{fixed}");
            }
        }
    }

    #[test]
    fn a_calendar_without_business_days_ends() {
        let off = (0..4_000).map(|days| NaiveDate::default() + Days::new(days));
        let calendar = Calendar::default().with_holidays(off);
        assert!(calendar.end_of_business_day(at("1970-01-02T00:00:00Z"), 3) < at("1971-01-01T00:00:00Z"));
        let last = Timestamp::MAX_UTC;
        assert_eq!(Calendar::default().end_of_business_day(last, 3), last);
    }
}
