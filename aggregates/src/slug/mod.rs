//! A slug: the readable part of an address, such as `jeju-감귤-5kg`, and the product that has it.
//!
//! ```text
//!   free --claimed--> claimed --freed--> free
//! ```
//! Invariants:
//! - I1 a slug belongs to one product at a time: the first that claims it.
//! - I2 only the product that has it frees it.
//!
//! Not guarded here: what a slug looks like ([`jangbu_kernel::text::slug`]; a product checks it), and
//! that the product has no other one (see [`crate::commands`]).

mod decide;
mod event;

#[cfg(test)]
mod spec;

pub use decide::{SlugClaim, SlugCommand, slug_stream};
pub use event::*;
