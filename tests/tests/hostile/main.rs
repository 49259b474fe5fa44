//! What nobody should send, sent to the real program on both engines.
//!
//! [`described`] lets a tool read the program's own description and try whatever
//! breaks it; [`alike`] sends one list of hostile requests to a shop on SQLite and to
//! one on Postgres and compares the answers; [`bounded`] sends values without number and
//! sees that none of them is kept. How each parser takes arbitrary input is
//! tested beside the parser, what happens on the wire below a request in `api/tests`.
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
