//! The HTTP floor in one process: the real write and read side over the memory store, stand-ins for
//! external systems, and requests passed to the router directly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test may panic"
)]

mod access;
mod costs;
mod counting;
mod document;
mod follow;
mod history;
mod hostile;
mod house;
mod identity;
mod imports;
mod limits;
mod orders;
mod owners;
mod places;
mod serving;
mod text;
mod wire;
