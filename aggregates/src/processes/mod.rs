//! Processes: deciders whose commands go to other aggregates.
//!
//! `process.rs` says what a process is; `walk/` adds to an append what the processes learn from a
//! decision and what follows from it.

mod fulfilment;
mod process;
pub mod walk;

pub use fulfilment::*;
pub use process::{
    IssuedTask, OutsideCall, PROCESSES, Process, Task, Told, Undo, Way, input_command_id, process_of,
    refusal_command_id,
};
