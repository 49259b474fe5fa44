//! What can be asked of the stock of a product.

use jangbu_kernel::{OrderId, Timestamp};

/// What can be asked of the stock of a product. Quantities of releases, allocations
/// and shipments are what the order holds, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockCommand {
    /// Goods came in.
    Receive {
        /// How many, at least 1.
        quantity: u32,
    },
    /// Correct the count.
    Adjust {
        /// By how many, not 0.
        delta: i64,
        /// Why.
        reason: String,
    },
    /// Keep units for an unpaid order.
    Reserve {
        /// Which.
        order_id: OrderId,
        /// How many, at least 1.
        quantity: u32,
        /// The order's payment deadline.
        expires_at: Timestamp,
    },
    /// Give a reservation up.
    Release {
        /// Whose.
        order_id: OrderId,
        /// Why, a code.
        reason: String,
    },
    /// The order is paid: keep its units for good.
    Allocate {
        /// Which.
        order_id: OrderId,
    },
    /// A paid order ended before it left.
    Deallocate {
        /// Which.
        order_id: OrderId,
        /// Why, a code.
        reason: String,
    },
    /// The goods left.
    Ship {
        /// For which order.
        order_id: OrderId,
    },
    /// What had left came back and can be sold again. Whether it did the caller knows: the stock
    /// forgets what left.
    Restock {
        /// Of which order.
        order_id: OrderId,
        /// How many, at least 1.
        quantity: u32,
        /// Why, a code.
        reason: String,
    },
}
