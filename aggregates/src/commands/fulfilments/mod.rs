//! Commands on the process that carries an order.

mod advance;
mod resolve;

pub use advance::AdvanceFulfilment;
pub use resolve::ResolveFulfilment;
