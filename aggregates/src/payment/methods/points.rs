//! The buyer's points: one point is one won.

use jangbu_kernel::Currency;

use super::{Composition, Instrument, MethodName, PaymentMethod, Placement};

/// Fewest points of a leg.
const SMALLEST_KRW: i64 = 1;
/// Most points of a leg.
const LARGEST_KRW: i64 = 10_000_000;

/// The strategy.
pub(super) struct Points;

impl PaymentMethod for Points {
    fn name(&self) -> MethodName {
        MethodName::Points
    }
    fn placement(&self) -> Placement {
        Placement::Internal
    }
    fn composition(&self) -> Composition {
        Composition::Complement
    }
    fn limits(&self, currency: Currency) -> Option<(i64, i64)> {
        (currency == Currency::KRW).then_some((SMALLEST_KRW, LARGEST_KRW))
    }
    fn accepts(&self, instrument: &Instrument) -> bool {
        matches!(instrument, Instrument::Points)
    }
}
