//! Hostile requests to the real program, on both engines.
//!
//! [`described`] lets a tool read the program's own description and try to break it; [`alike`]
//! sends one list of hostile requests to a shop on SQLite and to one on Postgres and compares the
//! answers; [`bounded`] sends an unlimited variety of values and checks that none of them is kept.
//! The parsers are tested with arbitrary input beside each parser, the bytes below a request in
//! `api/tests`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod alike;
mod bounded;
mod described;

use jangbu_tests::harness;
