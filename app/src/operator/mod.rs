//! How a command finds the server that runs on the same store and asks it to do what only the
//! writer can do.
//!
//! A running server writes its address and a random token into a file in the data folder that only
//! its owner can read. A user who can read that file can write the store as well, so the token
//! grants no additional rights. The routes are on a port of their own that only this machine
//! reaches, whatever address the API listens on.

mod client;
mod file;
mod imports;
mod rebuild;
mod routes;

pub use client::RunningServer;
pub(crate) use file::{Published, reachable};
pub use file::{ServerFile, Token};
pub use imports::{WantedImport, import_anywhere};
pub use rebuild::{RebuildEvent, RebuildRequest, RebuiltLine, rebuild_anywhere};
pub use routes::{Created, NewUser, Operator, OperatorError, Resolution, Resolved, RoleChange, Unlock, Verb, router};
