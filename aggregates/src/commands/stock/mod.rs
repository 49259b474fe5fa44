//! Commands on what is there of a product.

mod adjust;
mod receive;

use jangbu_kernel::ProductId;

use crate::checks;
use crate::command::{Append, Stop};
use crate::product::Product;
use crate::stock::{Stock, StockCommand};

pub use adjust::AdjustStock;
pub use receive::ReceiveStock;

/// Stock is kept of products that exist.
fn change(append: &mut Append<'_>, product_id: ProductId, command: &StockCommand) -> Result<(), Stop> {
    if !append.before::<Product>(product_id)?.exists() {
        return Err(checks::not_found("product").into());
    }
    append.only::<Stock>(product_id, command)
}
