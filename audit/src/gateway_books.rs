//! The gateway's own list of charges, to be compared with the log.

use jangbu_kernel::{Currency, Money, MoneyError, OrderId};
use serde::Deserialize;

/// A charge in the gateway's books.
#[derive(Clone, Debug, Deserialize)]
pub struct GatewayCharge {
    /// The order that the charge pays.
    pub order_id: OrderId,
    amount: String,
    refunded: String,
    currency: Currency,
    status: String,
}

impl GatewayCharge {
    /// A captured charge in won.
    #[must_use]
    pub fn captured(order_id: OrderId, amount: &str, refunded: &str) -> Self {
        let (amount, refunded, status) = (amount.to_owned(), refunded.to_owned(), "captured".to_owned());
        Self { order_id, amount, refunded, currency: Currency::KRW, status }
    }

    /// Whether money was taken.
    #[must_use]
    pub fn is_captured(&self) -> bool {
        self.status == "captured"
    }

    /// The amount that was taken and not refunded.
    ///
    /// # Errors
    /// When an amount cannot be read.
    pub fn kept(&self) -> Result<Money, MoneyError> {
        Money::parse(&self.amount, self.currency)?.checked_sub(&Money::parse(&self.refunded, self.currency)?)
    }
}
