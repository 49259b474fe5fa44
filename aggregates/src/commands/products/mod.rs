//! Commands on the catalogue.

mod activate;
mod create;
mod deactivate;

pub use activate::ActivateProduct;
pub use create::CreateProduct;
pub use deactivate::DeactivateProduct;
