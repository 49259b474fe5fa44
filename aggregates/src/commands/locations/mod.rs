//! Commands on the locations of the shop.

mod change;
mod open;

pub use change::ChangeLocation;
pub use open::OpenLocation;
