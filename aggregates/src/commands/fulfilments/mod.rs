//! Commands on the process that fulfils an order.

mod advance;
mod resolve;

pub use advance::AdvanceFulfilment;
pub use resolve::ResolveFulfilment;
