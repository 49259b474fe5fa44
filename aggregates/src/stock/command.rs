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
        /// The reason, such as `count` or `damage`, for the audit trail.
        reason: String,
    },
    /// Keep units for an unpaid order.
    Reserve {
        /// The order that the units are reserved for.
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
        /// The paid order that its reserved units now belong to.
        order_id: OrderId,
    },
    /// A paid order ended before it left.
    Deallocate {
        /// The order that will not be sent.
        order_id: OrderId,
        /// Why, a code.
        reason: String,
    },
    /// The goods left.
    Ship {
        /// The order whose allocated units leave.
        order_id: OrderId,
    },
    /// What had left came back and can be sold again. Whether it did the caller knows: the stock
    /// forgets what left.
    Restock {
        /// The order whose units came back.
        order_id: OrderId,
        /// How many, at least 1.
        quantity: u32,
        /// Why, a code.
        reason: String,
    },
}
