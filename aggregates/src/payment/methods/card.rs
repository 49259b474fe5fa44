//! A card, through the gateway.

use jangbu_kernel::Currency;

use super::{Composition, Field, PaymentMethod};

/// Smallest charge in won that the gateways take.
const SMALLEST_KRW: i64 = 100;
/// Largest charge in won.
const LARGEST_KRW: i64 = 50_000_000;
/// In other currencies the gateway itself limits a charge; these limits, in whole units, only
/// reject nonsense.
const OTHER_CURRENCIES: (i64, i64) = (1, 50_000);

/// The strategy.
pub(super) struct Card;

impl PaymentMethod for Card {
    fn name(&self) -> &'static str {
        "card"
    }
    fn description(&self) -> &'static str {
        "What a card pays."
    }
    fn fields(&self) -> &'static [Field] {
        &[Field {
            name: "card_token",
            description: "The gateway's own token of the card; with the sandbox it says what happens.",
            example: "tok_ok",
            longest: 255,
        }]
    }
    fn limits(&self, currency: Currency) -> Option<(i64, i64)> {
        Some(if currency == Currency::KRW { (SMALLEST_KRW, LARGEST_KRW) } else { OTHER_CURRENCIES })
    }
    fn composition(&self) -> Composition {
        Composition::Gateway
    }
}
