//! A parcel: its label, its hand-over, its scans.
//!
//! ```text
//!  requested ──> ready ──> dispatched ──> in_transit ──> out_for_delivery ──> delivered ──> returned
//!      │  ^        │                          │  ^   attempt_failed, exception: and on      ^  ^
//!      │  └ refused│                          └──┴────────────────> lost ──> delivered ─────┘  │
//!      v           v                                                  └────────────────────────┘
//!     cancelled <──┘
//! ```
//!
//! Every raw scan is kept, also one that changes nothing: then it says why. A scan is
//! the same scan when carrier, number, time, code, place and status are the same. One whose
//! time is ahead of ours by more than the policy allows is kept with our time beside it.
//!
//! Invariants:
//! - I1 Nothing is dispatched without carrier and tracking number.
//! - I2 Nothing that is dispatched is called off, and nothing that is called off is dispatched.
//! - I3 A scan is recorded once.
//! - I4 Delivered stays delivered, whatever scan follows, but for a return.
//! - I5 A lost label answer changes nothing; each refusal counts once.
//! - I6 A scan's time from the future puts no other scan behind it.
//! - I7 A corrected number is the parcel's from then on; what was scanned before stays.
//! - I8 The stream is bounded: beyond [`MAX_SCANS`] only a scan that ends the journey is kept.
//!
//! Not guarded here: that the order is paid (the decision that opens the shipment
//! does), and how often a label is asked for (the fulfilment process does).

mod command;
mod decide;
mod event;
mod scans;
#[cfg(test)]
mod spec;
mod state;

pub use command::{Scan, ShipmentCommand};
pub use event::*;
pub use scans::{MAX_SCAN_TEXT, MAX_SCANS, STAFF, number_key};
pub use state::{Shipment, ShipmentState};
