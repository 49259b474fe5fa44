//! What a process waits for a person about that has verbs of its own beside resume, skip and
//! compensate: give the money back, send again, take it as it is.

use super::reason::ParkReason;

/// Something that went wrong with the goods or the money of an order, and that nobody but a
/// person can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The gateway speaks of another amount than was asked for.
    PaymentMismatch,
    /// The parcel is lost.
    ParcelLost,
    /// The parcel came back.
    ParcelReturned,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PaymentMismatch, Self::ParcelLost, Self::ParcelReturned];

    /// The reason by which a process is parked, and the order on hold.
    #[must_use]
    pub const fn reason(self) -> ParkReason {
        match self {
            Self::PaymentMismatch => ParkReason::PaymentMismatch,
            Self::ParcelLost => ParkReason::ShipmentLost,
            Self::ParcelReturned => ParkReason::ShipmentReturned,
        }
    }

    pub(super) fn of_reason(reason: &ParkReason) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.reason() == *reason)
    }
}
