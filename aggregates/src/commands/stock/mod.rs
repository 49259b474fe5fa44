//! Commands on what is there of a product.

mod adjust;
mod count;
mod lose_transfer;
mod receive;
mod receive_transfer;
mod send_transfer;
mod set_back_order;
mod set_buyer_limit;
mod set_threshold;
mod write_off;

use jangbu_kernel::{ProductId, Refusal, RefusalCode, StreamId};

use crate::checks;
use crate::command::{Append, Stop};
use crate::locations::{LocationCode, Locations};
use crate::product::Product;
use crate::stock::{Stock, StockCommand};

pub use adjust::AdjustStock;
pub use count::CountStock;
pub use lose_transfer::LoseTransfer;
pub use receive::ReceiveStock;
pub use receive_transfer::ReceiveTransfer;
pub use send_transfer::SendTransfer;
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

/// A location of the shop as facts carry it. Nothing comes in at a closed one. `main` is always there and
/// open, so that a shop that has no other reads nothing.
fn checked(
    append: &Append<'_>,
    location: Option<&LocationCode>,
    comes_in: bool,
    pointer: &str,
) -> Result<Option<LocationCode>, Stop> {
    let Some(code) = location.filter(|code| !code.is_main()) else { return Ok(None) };
    let locations = append.before::<Locations>(StreamId::locations().id)?;
    let Some(location) = locations.get(code) else { return Err(checks::not_found("location").at(pointer).into()) };
    if comes_in && !location.active {
        let refusal = Refusal::new(RefusalCode::LocationConflict, format!("nothing comes in at {code}: it is closed"));
        return Err(refusal.at(pointer).into());
    }
    Ok(Some(code.clone()))
}
