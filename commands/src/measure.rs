//! Counts as the metrics take them.

/// A count as a metric's value; beyond four billion it says four billion.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
