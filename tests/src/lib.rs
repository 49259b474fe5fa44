//! Tests over the whole workspace. The tests are in `tests/`: `house` checks the dependencies
//! between the crates, `journeys` is what people do with the shop, `faults` is what breaks around
//! it. The last two drive the real program with the tools of [`harness`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

pub mod harness;
