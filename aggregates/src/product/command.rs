//! What can be asked of a product.

use super::event::ProductCreated;

/// What can be asked of a product.
#[derive(Clone, Debug, PartialEq)]
pub enum ProductCommand {
    /// Enter the catalogue, active.
    Create(ProductCreated),
    /// Be buyable.
    Activate,
    /// Be off sale.
    Deactivate,
}
