//! The commands of a parcel.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{OrderId, Remark, Sealed, Timestamp, UserId};

use super::event::ScanStatus;
use crate::order::OrderLine;

/// A scan, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Who reports it: a carrier's name, or [`STAFF`](super::STAFF).
    pub carrier: String,
    /// The tracking number; it may be empty for staff, who have the parcel in front of them.
    pub tracking_number: String,
    /// The status that it reports.
    pub status: ScanStatus,
    /// The carrier's own code.
    pub code: String,
    /// The place of the scan, as the carrier names it.
    pub place: String,
    /// The time of the scan, by the carrier's clock.
    pub at: Timestamp,
    /// A remark of the shop's staff.
    pub note: Option<Remark>,
}

/// A command of a parcel.
#[derive(Clone, Debug, PartialEq)]
pub enum ShipmentCommand {
    /// Requests it.
    Request {
        /// The order whose goods are in it.
        order_id: OrderId,
        /// Who receives it.
        user_id: UserId,
        /// What is in it.
        lines: Vec<OrderLine>,
        /// The delivery address, sealed.
        shipping_address: Sealed,
    },
    /// A carrier answered the request for a label.
    ObserveLabel {
        /// The carrier's name.
        carrier: String,
        /// The answer.
        outcome: LabelOutcome,
    },
    /// It is handed over. Without a label both carrier and number must be given.
    Dispatch {
        /// The carrier; the label's if absent.
        carrier: Option<String>,
        /// The tracking number; the label's if absent.
        tracking_number: Option<String>,
    },
    /// It was scanned.
    RecordScan(Scan),
    /// Corrects a tracking number that was written down wrongly.
    CorrectTrackingNumber {
        /// The right number.
        tracking_number: String,
        /// Staff's reason, for the audit trail.
        reason: Remark,
    },
    /// Cancels it before it is handed over.
    Cancel {
        /// The reason code.
        reason: String,
    },
}
