//! Commands on the catalogue.

mod activate;
mod change;
mod create;
mod deactivate;
mod import;
mod make_single;
mod make_variant;
mod remove;

pub use activate::ActivateProduct;
pub use change::ChangeProduct;
pub use create::CreateProduct;
pub use deactivate::DeactivateProduct;
pub use import::ImportProduct;
pub use make_single::MakeSingle;
pub use make_variant::MakeVariant;
pub use remove::RemoveProduct;
