//! What can be asked of a parcel.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{OrderId, Sealed, UserId};

use super::ScanRecorded;
use crate::order::OrderLine;

/// What can be asked of a parcel.
#[derive(Clone, Debug, PartialEq)]
pub enum ShipmentCommand {
    /// Opens it.
    Request {
        /// For which order.
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
    /// Somebody scanned it. `order_id`, `received_at` and `ignored_because` are filled in by the decision.
    RecordScan(ScanRecorded),
    /// The number that was written down is not the parcel's.
    CorrectTrackingNumber {
        /// The parcel's number.
        tracking_number: String,
        /// Why.
        reason: String,
    },
    /// Calls it off before it is handed over.
    Cancel {
        /// Why, a code.
        reason: String,
    },
}
