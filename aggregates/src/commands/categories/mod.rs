//! Commands on the categories of the catalogue.

mod change;
mod create;
mod remove;
mod tree;

pub use change::ChangeCategory;
pub use create::CreateCategory;
pub use remove::RemoveCategory;
pub(super) use tree::there;
pub use tree::{MOST_CATEGORIES, MOST_LEVELS};
