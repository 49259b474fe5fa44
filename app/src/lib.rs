//! Floor 5, the one binary `jangbu`: configuration, wiring, command line, start and
//! stop. It alone names concrete engines and adapters.
//!
//! What never may live here: a rule of the shop, a route of the API, SQL, anything that only
//! measures or tests it. Start with [`node::Node::start`], which puts everything together; [`cli`]
//! has the commands; [`config`] is where values come from; [`operator`] lets a command ask the
//! running server; [`audit`] verifies the log.

pub mod audit;
pub mod backup;
pub mod cli;
pub mod client;
pub mod config;
mod demo;
pub mod engine;
mod figures;
mod folder;
mod http;
mod near;
pub mod node;
mod observe;
pub mod operator;
mod output;
mod password;
pub mod signals;
mod table;
pub mod threads;
