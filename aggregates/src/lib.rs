//! Floor 2, the domain: what the shop decides ([`command::Command`]), what it records
//! ([`event::DomainEvent`]), and the states that it decides on ([`state::AnyState`]).
//!
//! Pure by construction: no clock, no random source, no async, no I/O; the build of this crate
//! alone proves it. What never may live here: anything that knows how events are stored, sent or
//! shown. Start with `order/`, then `commands/` (each one decision over one or several aggregates),
//! then `processes/`.

pub mod buyer;
pub mod calendar;
pub mod category;
mod checks;
pub mod command;
pub mod commands;
pub mod event;
pub mod facts;
pub mod import;
pub mod locations;
pub mod notice;
pub mod order;
pub mod payment;
pub mod points;
pub mod policy;
pub mod processes;
pub mod product;
pub mod returns;
pub mod schemas;
pub mod session;
pub mod shipment;
pub mod shipping;
pub mod slug;
pub mod state;
pub mod stock;
#[cfg(test)]
mod testing;
pub mod user;

pub use command::{AnyCommand, Command, ErasedCommand, Outcome};
pub use event::DomainEvent;
pub use facts::{Facts, Scope};
pub use policy::Policy;
pub use state::{Aggregate, AnyState, Missing, States};
