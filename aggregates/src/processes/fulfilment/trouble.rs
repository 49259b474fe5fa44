//! The problems for which people have special commands beside resume, skip and compensate: refund
//! the money, send again, accept it as it is.

use super::reason::ParkReason;

/// A problem with the goods or the money of an order that only a person can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The gateway reports another amount than the one requested.
    PaymentMismatch,
    /// The parcel is lost.
    ParcelLost,
    /// The parcel came back.
    ParcelReturned,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PaymentMismatch, Self::ParcelLost, Self::ParcelReturned];

    /// The reason for which a process is parked and the order is put on hold.
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
