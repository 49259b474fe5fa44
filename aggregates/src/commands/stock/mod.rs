//! Commands on what is there of a product.

mod adjust;
mod count;
mod receive;
mod set_back_order;
mod set_buyer_limit;
mod set_threshold;
mod write_off;

use jangbu_kernel::ProductId;

use crate::checks;
use crate::command::{Append, Stop};
use crate::product::Product;
use crate::stock::{Stock, StockCommand};

pub use adjust::AdjustStock;
pub use count::CountStock;
pub use receive::ReceiveStock;
pub use set_back_order::SetBackOrder;
pub use set_buyer_limit::SetBuyerLimit;
pub use set_threshold::SetStockThreshold;
pub use write_off::WriteOffStock;

/// Stock is kept of products that exist.
fn change(append: &mut Append<'_>, product_id: ProductId, command: &StockCommand) -> Result<(), Stop> {
    if !append.before::<Product>(product_id)?.exists() {
        return Err(checks::not_found("product").into());
    }
    append.only::<Stock>(product_id, command)
}
