//! A card, through the gateway.

use jangbu_kernel::Currency;

use super::{Composition, Instrument, MethodName, PaymentMethod, Placement};

/// Smallest charge in won that the gateways take.
const SMALLEST_KRW: i64 = 100;
/// Largest charge in won.
const LARGEST_KRW: i64 = 50_000_000;
/// Outside of won the gateway itself limits a charge; this only keeps nonsense out, in whole units.
const OTHER_CURRENCIES: (i64, i64) = (1, 50_000);

/// The strategy.
pub(super) struct Card;

impl PaymentMethod for Card {
    fn name(&self) -> MethodName {
        MethodName::Card
    }
    fn placement(&self) -> Placement {
        Placement::External
    }
    fn composition(&self) -> Composition {
        Composition::Gateway
    }
    fn limits(&self, currency: Currency) -> Option<(i64, i64)> {
        Some(if currency == Currency::KRW { (SMALLEST_KRW, LARGEST_KRW) } else { OTHER_CURRENCIES })
    }
    fn accepts(&self, instrument: &Instrument) -> bool {
        matches!(instrument, Instrument::Card { .. })
    }
}
