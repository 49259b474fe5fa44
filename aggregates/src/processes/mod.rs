//! Processes: deciders whose commands go to others.
//!
//! `process.rs` says what a process is, `walk/` takes along in one append what they learn from
//! a decision and what follows from it.

mod fulfilment;
mod process;
pub mod walk;

pub use fulfilment::*;
pub use process::{
    IssuedTask, PROCESSES, Process, Task, Told, Undo, Way, input_command_id, process_of, refusal_command_id,
};
