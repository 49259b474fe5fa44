//! The audit of a real log: one pass that recomputes its hashes and checks the events against the
//! shop's invariants, which are [`jangbu_audit`]'s.

pub mod gateway_books;
pub mod show;
pub mod verify;
