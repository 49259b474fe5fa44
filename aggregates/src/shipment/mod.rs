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
//! Every raw scan is kept, even one that changes nothing; it then says why. Two scans are the same
//! if carrier, number, time, code, place and status are the same. If the time of a scan is ahead of
//! the shop's by more than the policy allows, the shop's time is recorded with it.
//!
//! Invariants:
//! - I1 Nothing is dispatched without carrier and tracking number.
//! - I2 Nothing that is dispatched is cancelled, and nothing that is cancelled is dispatched.
//! - I3 A scan is recorded once.
//! - I4 Delivered stays delivered, whatever scan follows, except for a return.
//! - I5 A lost label answer changes nothing; each refusal counts once.
//! - I6 A scan with a time in the future does not make other scans count as older.
//! - I7 A corrected number is the parcel's from then on; earlier scans stay as they are.
//! - I8 The stream is bounded: beyond [`MAX_SCANS`] only a scan that ends the journey is kept.
//!
//! Not guarded here: that the order is paid (the decision that requests the shipment guards that),
//! and how often a label is requested (the fulfilment process decides that).

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
