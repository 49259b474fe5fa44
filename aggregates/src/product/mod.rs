//! A product: something the shop sells.
//!
//! ```text
//!   (none) --created--> active <--activated / deactivated--> inactive
//!                         |                                    |
//!                         +-------------removed----------------+---> removed
//! ```
//! Invariants:
//! - I1 a product has a name of 1-200 characters, a description of at most 5,000, a price of 0 or more,
//!   at most 20 images, at most 20 entries of metadata, and a slug of 1-80 characters or none.
//! - I2 it is created once, active.
//! - I3 each part of it that changes is a fact of its own; what stays as it was is none.
//! - I4 its price keeps its currency.
//! - I5 one that was removed is not there for any command, and its id is not used again.
//! - I6 one with variants is no variant itself and is not removed. Its variants, at most 100, have
//!   the same options, and no two of them the same values.
//!
//! It does not guard: stock, which is a stream of its own under the same id, that no other product
//! has its slug ([`crate::slug`]), and that its categories are there ([`commands`](crate::commands)).

mod change;
mod command;
mod decide;
mod event;
mod state;
mod variants;

#[cfg(test)]
mod spec;

pub use command::{ProductChange, ProductCommand};
pub use event::*;
pub use state::{Options, Product};
