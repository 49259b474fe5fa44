//! Words that look like a misspelt one.

/// How alike two words have to be (Jaro-Winkler, 0 to 1): a short word with two letters swapped is
/// alike, words with only the first letter in common are not.
const ALIKE: f64 = 0.8;
/// The most suggestions that are given.
const MOST: usize = 3;

/// The known words that are most like this one, the best first.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut alike: Vec<_> = known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    alike.into_iter().take(MOST).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = ["order.placed", "order.paid", "payment.captured", "shipment.dispatched"];
        assert_eq!(nearest("order.plced", known.into_iter()).first(), Some(&"order.placed"));
        assert!(nearest("zzz", known.into_iter()).is_empty());
    }
}
