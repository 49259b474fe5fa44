//! What can be asked of a parcel.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{OrderId, Remark, Sealed, Timestamp, UserId};

use super::event::ScanStatus;
use crate::order::OrderLine;

/// A scan, as somebody tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// By whom: a carrier's name, or [`STAFF`](super::STAFF).
    pub carrier: String,
    /// The number that follows the parcel; of staff, who look at the parcel, it may be empty.
    pub tracking_number: String,
    /// What it tells.
    pub status: ScanStatus,
    /// The carrier's own code.
    pub code: String,
    /// The place of the scan, as the carrier names it.
    pub place: String,
    /// When, by the carrier's clock.
    pub at: Timestamp,
    /// A remark of the shop's staff.
    pub note: Option<Remark>,
}

/// What can be asked of a parcel.
#[derive(Clone, Debug, PartialEq)]
pub enum ShipmentCommand {
    /// Opens it.
    Request {
        /// The order whose goods are in it.
        order_id: OrderId,
        /// Who receives it.
        user_id: UserId,
        /// What is in it.
        lines: Vec<OrderLine>,
        /// Where it goes, sealed.
        shipping_address: Sealed,
    },
    /// A carrier answered the request for a label.
    ObserveLabel {
        /// Which carrier, by its name.
        carrier: String,
        /// What it said.
        outcome: LabelOutcome,
    },
    /// It is handed over. Without a label both carrier and number must be given.
    Dispatch {
        /// To whom; the label's carrier when absent.
        carrier: Option<String>,
        /// Its number; the label's when absent.
        tracking_number: Option<String>,
    },
    /// Somebody scanned it.
    RecordScan(Scan),
    /// The number that was written down is not the parcel's.
    CorrectTrackingNumber {
        /// The parcel's number.
        tracking_number: String,
        /// Staff's reason, for the audit trail.
        reason: Remark,
    },
    /// Calls it off before it is handed over.
    Cancel {
        /// Why, a code.
        reason: String,
    },
}
