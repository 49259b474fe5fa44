//! The fault matrix: order, payment, shipping and their undoing, run through every fault at every
//! step. Each run has to end with all invariants intact and in agreement with the outside world's
//! own books.
//!
//! The axes: every scenario of the table, and for each of them a crash after every append
//! and every outside call, every outside call lost (arrived or not), a cancellation at every
//! step, another gateway configured from every step on, every input twice, and calls, webhooks,
//! people and timers in random order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, clippy::cast_possible_truncation, reason = "tests")]

mod check;
mod outside;
mod people;
mod scenarios;
mod world;

use jangbu_aggregates::order::{Order, OrderStatus};
use jangbu_kernel::OrderId;

use people::{Faults, run};
use scenarios::scenarios;
use world::{ORDER, World, id};

/// Seeds of the random orders in which each scenario is run.
const SEEDS: u64 = 40;

fn status(world: &World) -> Option<OrderStatus> {
    world.shelf.state::<Order>(id::<OrderId>(ORDER)).status()
}

#[test]
fn every_scenario_comes_to_its_own_end() {
    for scenario in scenarios() {
        let world = run(&scenario, &Faults::default());
        assert_eq!(status(&world), Some(scenario.ends), "{}", scenario.name);
    }
}

#[test]
fn a_crash_after_every_step_leaves_no_trace() {
    for scenario in scenarios() {
        let steps = run(&scenario, &Faults::default()).ticks;
        for step in 1..=steps {
            let world = run(&scenario, &Faults { crash_at: Some(step), ..Faults::default() });
            // A call that is made again after the crash may succeed where the lost one did not.
            let ends = [Some(scenario.ends), Some(OrderStatus::Completed)];
            assert!(ends.contains(&status(&world)), "{} with a crash at {step}", scenario.name);
        }
    }
}

#[test]
fn every_input_twice_is_every_input_once() {
    for scenario in scenarios() {
        let once = run(&scenario, &Faults::default());
        let twice = run(&scenario, &Faults { every_input_twice: true, ..Faults::default() });
        let events = |world: &World| world.log.iter().map(|logged| logged.event.clone()).collect::<Vec<_>>();
        assert_eq!(events(&once), events(&twice), "{}", scenario.name);
    }
}

#[test]
fn every_outside_call_can_be_lost() {
    for scenario in scenarios() {
        let calls = run(&scenario, &Faults::default()).outside.calls();
        for call in 1..=calls {
            for arrives in [true, false] {
                run(&scenario, &Faults { lost_call: Some((call, arrives)), ..Faults::default() });
            }
        }
    }
}

#[test]
fn an_order_can_be_cancelled_at_every_step() {
    for scenario in scenarios() {
        let steps = run(&scenario, &Faults::default()).ticks;
        for step in 1..=steps {
            run(&scenario, &Faults { cancel_at: Some(step), ..Faults::default() });
        }
    }
}

/// A payment keeps the gateway that it has asked: the configuration is for new charges.
#[test]
fn the_configured_gateway_can_change_at_every_step() {
    for scenario in scenarios() {
        let steps = run(&scenario, &Faults::default()).ticks;
        for step in 1..=steps {
            let world = run(&scenario, &Faults { gateway_changes_at: Some(step), ..Faults::default() });
            assert_eq!(status(&world), Some(scenario.ends), "{} with another gateway from {step} on", scenario.name);
        }
    }
}

#[test]
fn what_comes_in_any_order_comes_to_an_end() {
    for scenario in scenarios() {
        for seed in 1..=SEEDS {
            run(&scenario, &Faults { shuffle: Some(seed), ..Faults::default() });
        }
    }
}

#[test]
fn everything_at_once_comes_to_an_end() {
    for scenario in scenarios() {
        let base = run(&scenario, &Faults::default());
        let (steps, calls) = (u64::from(base.ticks), u64::from(base.outside.calls().max(1)));
        for seed in 1..=SEEDS {
            run(
                &scenario,
                &Faults {
                    shuffle: Some(seed),
                    every_input_twice: seed % 2 == 0,
                    crash_at: Some((seed * 7 % steps + 1) as u32),
                    lost_call: Some(((seed * 5 % calls + 1) as u32, seed % 3 == 0)),
                    gateway_changes_at: (seed % 5 == 0).then_some((seed * 11 % steps + 1) as u32),
                    cancel_at: (seed % 4 == 0).then_some((seed * 3 % steps) as u32),
                },
            );
        }
    }
}
