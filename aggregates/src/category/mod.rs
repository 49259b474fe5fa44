//! A category: where products are filed. Categories are a tree, and a product can be in several.
//!
//! ```text
//!   (none) --created--> there --renamed, moved--> there --removed--> removed
//! ```
//! Invariants:
//! - I1 a category has a name of 1-100 characters.
//! - I2 it is created once; one that was removed is not there for any command, and its id is not
//!   used again.
//! - I3 its name and its place are facts of their own; what stays as it was is none.
//! - I4 it knows the categories right below it, at most [`MOST_CHILDREN`], and is removed only when
//!   there are none.
//!
//! It does not guard: that no category is below itself, which depends on all that are above it
//! ([`commands`](crate::commands)), and the products that are filed in it, which know that
//! themselves.

mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use decide::{CategoryCommand, MOST_CHILDREN};
pub use event::*;
pub use state::Category;
