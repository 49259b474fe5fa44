//! Seeds as tests: the name of a failing one has its seed, which `jangbu-simulate --seed N` runs
//! again with its full output. `./test` runs three thousand more through the program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use jangbu_simulation::{Fault, ORDERS, Point, run};

fn holds(seed: u64) {
    let outcome = run(seed, false);
    if let Some(broken) = outcome.broken {
        panic!(
            "seed {seed}: {} does not hold: {}\nsee what happened: jangbu-simulate --seed {seed}",
            broken.invariant, broken.detail
        );
    }
    assert!(outcome.orders > ORDERS / 2, "seed {seed} placed {} orders only: little was tried", outcome.orders);
}

/// A test for each block of seeds.
macro_rules! blocks {
    ($($name:ident: $from:literal),+ $(,)?) => {$(
        #[test]
        fn $name() {
            ($from..$from + 4).for_each(holds);
        }
    )+};
}

blocks! {
    seeds_1_to_4: 1,
    seeds_5_to_8: 5,
    seeds_9_to_12: 9,
    seeds_13_to_16: 13,
    seeds_17_to_20: 17,
    seeds_21_to_24: 21,
    seeds_25_to_28: 25,
    seeds_29_to_32: 29,
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2, 3, 40_000, u64::MAX] {
        let (one, other) = (run(seed, false), run(seed, true));
        assert_eq!(one.trace, other.trace, "seed {seed} went differently the second time");
        assert_eq!((one.events, one.calls, one.faults), (other.events, other.calls, other.faults));
        assert!(other.story.len() > 500, "a story is told when it is asked for");
    }
    assert_ne!(run(1, false).trace, run(2, false).trace);
}

#[test]
fn faults_are_thrown_and_names_are_unique() {
    let thrown: u32 = (1..=4).map(|seed| run(seed, false).faults.iter().sum::<u32>()).sum();
    assert!(thrown > 4 * 20, "{thrown} faults in four runs");
    let mut names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    names.extend(Point::ALL.iter().map(|point| point.name()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
