//! A transfer that the buyer makes at their bank, through the gateway: it redirects them to a page
//! of the bank and reports when the money has arrived.

use jangbu_kernel::Currency;

use super::{Composition, Field, PaymentMethod};

/// Smallest transfer in won that the gateways take.
const SMALLEST_KRW: i64 = 200;
/// Largest transfer in won.
const LARGEST_KRW: i64 = 50_000_000;

/// The strategy.
pub(super) struct BankTransfer;

impl PaymentMethod for BankTransfer {
    fn name(&self) -> &'static str {
        "bank_transfer"
    }
    fn description(&self) -> &'static str {
        "What a transfer pays that the buyer makes at a page of their bank, the payment's `redirect_url`."
    }
    fn fields(&self) -> &'static [Field] {
        &[Field {
            name: "bank",
            description: "The buyer's bank, by the gateway's code; with the sandbox `silent` tells nobody of the money.",
            example: "kakao",
            longest: 40,
        }]
    }
    fn limits(&self, currency: Currency) -> Option<(i64, i64)> {
        (currency == Currency::KRW).then_some((SMALLEST_KRW, LARGEST_KRW))
    }
    fn composition(&self) -> Composition {
        Composition::Gateway
    }
}
