//! Floor 4, the simulation: the whole shop on a simulated world.
//!
//! The real decider, process manager, inbox, projectors and timers run on a simulated store, clock,
//! gateway and carrier, on one thread, in simulated time. A seed determines everything: who buys
//! what, what fails and when, and the order of events. The same seed gives the same trace, so any
//! failure can be reproduced.
//!
//! What never may live here: a rule of the shop, a wall clock, random numbers that do not come from
//! the seed, iteration over a hash map. The simulated ports use all the freedom that the port's
//! contract allows, and no more.
//!
//! Where to start: `main.rs` is the program `jangbu-simulate`; `run.rs` is a run; `shop.rs` puts
//! the nodes together; `store.rs`, `outside.rs` and `life.rs` inject the faults; `people.rs` and
//! `market.rs` are the clients and staff; `witness.rs`, `client.rs` and `rest.rs` check the shop.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "people and witnesses act on the events they know; most are none of their business"
)]

mod carrier;
mod client;
mod courier;
mod dice;
mod engine;
mod fleet;
mod gateway;
mod life;
mod mailbox;
mod market;
mod names;
mod outside;
mod people;
mod points;
mod rest;
mod returns;
mod run;
mod shop;
mod sim;
mod store;
mod witness;
mod world;

pub use engine::simulated_store;
pub use fleet::{Failure, Fleet, Summary};
pub use names::{Fault, Point};
pub use run::{ORDERS, Outcome, run};
pub use sim::Broken;
