//! What can be asked of the stock of a product.

use jangbu_kernel::{OrderId, Timestamp, TransferId};

use crate::locations::LocationCode;

/// What can be asked of the stock of a product. Quantities of releases, allocations
/// and shipments are what the order holds, all of it; only giving back names how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockCommand {
    /// Goods came in.
    Receive {
        /// How many, at least 1.
        quantity: u32,
        /// Where; none is `main`, here and below.
        location: Option<LocationCode>,
    },
    /// Correct the count.
    Adjust {
        /// By how many, not 0.
        delta: i64,
        /// The reason, such as `count` or `damage`, for the audit trail.
        reason: String,
        /// Where.
        location: Option<LocationCode>,
    },
    /// Record a count of a location.
    Count {
        /// How many there are.
        counted: u32,
        /// Why there was a count, or what explains the difference.
        reason: Option<String>,
        /// Where.
        location: Option<LocationCode>,
    },
    /// Units can never be sold: broken, spoilt, lost.
    WriteOff {
        /// How many, at least 1.
        quantity: u32,
        /// What became of them.
        reason: String,
        /// Where they were.
        location: Option<LocationCode>,
    },
    /// Send units from one location to another.
    Send {
        /// The id that the transfer gets.
        transfer_id: TransferId,
        /// Where they are.
        from: LocationCode,
        /// Where they go.
        to: LocationCode,
        /// How many, at least 1.
        quantity: u32,
    },
    /// Units of a transfer arrived.
    Arrive {
        /// Which transfer.
        transfer_id: TransferId,
        /// How many, at least 1.
        quantity: u32,
    },
    /// What has not arrived of a transfer never will.
    Lose {
        /// Which transfer.
        transfer_id: TransferId,
        /// What became of it.
        reason: String,
    },
    /// Set the number of available units at which the stock counts as low.
    SetThreshold {
        /// At so many or fewer it is low; 0: never, it is only depleted.
        low: u32,
    },
    /// Set how many units may be promised to orders before they are here.
    SetBackOrder {
        /// By how many units reservations may exceed what is available; 0: not at all.
        limit: u32,
    },
    /// Set how many units one buyer may have in open orders.
    SetBuyerLimit {
        /// How many; 0: no limit of the product's own.
        limit: u32,
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
    /// Release some of the units that are kept for an order, paid or not.
    GiveBack {
        /// The order that needs fewer units.
        order_id: OrderId,
        /// How many, at least 1.
        quantity: u32,
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
