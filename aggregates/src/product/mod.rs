//! A product: something the shop sells.
//!
//! ```text
//!   (none) --created--> active <--activated / deactivated--> inactive
//! ```
//! Invariants:
//! - I1 a product has a name of 1-200 characters, a description of at most 5,000, and a price of 0 or more.
//! - I2 it is created once, active.
//!
//! It does not guard: stock, which is a stream of its own under the same id.

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::ProductCommand;
pub use event::*;
pub use state::Product;
