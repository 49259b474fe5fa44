//! The write side on the memory store, or on each engine where the engine matters, with an outside
//! world that is scripted behind the kernel's own ports.
//!
//! `JANGBU_TEST_DATABASE_URL` is the URL of a running Postgres server; `./test` starts one and sets
//! it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "tests"
)]

mod decider;
mod engines;
mod faulty;
mod gateways;
mod identity;
mod inbox;
mod instruments;
mod lapses;
mod model;
mod notices;
mod outside;
mod parked;
mod process;
mod several_nodes;
mod support;
mod trouble;
mod walk;
