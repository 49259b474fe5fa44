//! A bounded resource of which each caller may take a share, so that one caller cannot take all of
//! it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what is taken, in total and by caller. Holds only callers that have taken something.
pub(crate) struct Shares<K> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// Why nothing could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// Everything is taken.
    All,
    /// This caller has taken its share.
    Share,
}

/// One unit; dropping it gives it back.
pub(crate) struct Share<K: Copy + Eq + Hash> {
    shares: Arc<Shares<K>>,
    by: K,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::new(Taken { all: 0, by: HashMap::new() }) })
    }

    /// Takes one.
    pub(crate) fn take(self: &Arc<Self>, by: K) -> Result<Share<K>, Exhausted> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = taken.by.get(&by).copied().unwrap_or_default();
        if of_this >= self.each {
            return Err(Exhausted::Share);
        }
        if taken.all >= self.all {
            return Err(Exhausted::All);
        }
        taken.all += 1;
        taken.by.insert(by, of_this + 1);
        Ok(Share { shares: Arc::clone(self), by })
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.by.get(&self.by).copied() {
            Some(count) if count > 1 => drop(taken.by.insert(self.by, count - 1)),
            Some(_) | None => drop(taken.by.remove(&self.by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_of_all_and_who_has_none_is_forgotten() {
        let shares = Shares::new(3, 2);
        let held = [shares.take('a'), shares.take('a')];
        assert_eq!(shares.take('a').err(), Some(Exhausted::Share));
        let other = shares.take('b');
        assert_eq!(shares.take('c').err(), Some(Exhausted::All));
        drop(held);
        assert!(shares.take('c').is_ok());
        drop(other);
        let taken = shares.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by.len()), (0, 0));
    }
}
