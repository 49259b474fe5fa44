//! The product's rules that are numbers, in one place.

use chrono::TimeDelta;
use jangbu_kernel::{Currency, Money, MoneyError};

/// The shop's numbers. `Default` gives the shop's own; configuration may replace them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The gateway that new charges go to, by its name.
    pub gateway: String,
    /// The carrier that new parcels go to, by its name.
    pub carrier: String,
    /// Time to pay an order.
    pub payment_deadline: TimeDelta,
    /// Lines of an order, after equal products are merged.
    pub max_order_lines: usize,
    /// Quantity of a line.
    pub max_line_quantity: u32,
    /// Time after payment in which the owner may cancel.
    pub owner_cancel_window: TimeDelta,
    /// Time after delivery in which the buyer may object; then the order completes.
    pub completion_delay: TimeDelta,
    /// Waits before the inquiries after a lost answer; the last one repeats.
    pub inquiry_ladder: Vec<TimeDelta>,
    /// Answers "never heard of it" in a row after which the charge is net-cancelled.
    pub not_found_before_net_cancel: u32,
    /// One wait for each refusal of a label that is followed by another attempt; as many
    /// refusals as there are entries end the order.
    pub label_retries: Vec<TimeDelta>,
    /// Waits before another attempt at a refund or at calling a label off; when they
    /// are used up a person is asked.
    pub undo_retries: Vec<TimeDelta>,
    /// How far a carrier's clock may be ahead of ours before its time is not believed.
    pub scan_clock_tolerance: TimeDelta,
    /// Time that points have to be used when a refund gives them back after they lapsed.
    pub refunded_points_life: TimeDelta,
    /// Orders that a buyer may have open without a payment in flight; none: any number.
    pub max_open_unpaid_orders: Option<u32>,
    /// Units of one product in those orders together; none: any number.
    pub max_unpaid_units: Option<u32>,
    /// Wrong passwords in a row from one block of addresses: with the last of them the next
    /// log-in from there has to wait.
    pub max_login_failures: u32,
    /// The same where a login of the account is live.
    pub max_login_failures_known: u32,
    /// The same over all blocks: with the last of them log-ins from everywhere have to wait.
    pub max_login_failures_everywhere: u32,
    /// The first wait; every further wrong password doubles it.
    pub first_login_delay: TimeDelta,
    /// The longest wait.
    pub lock_duration: TimeDelta,
    /// Life of a refresh token.
    pub refresh_token_life: TimeDelta,
    /// For so long after its exchange a refresh token may be shown again, while its
    /// successor is unused.
    pub refresh_repeat: TimeDelta,
    /// What sending costs, by currency; none: it is free.
    pub shipping_fees: Vec<ShippingFee>,
}

/// What sending costs in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingFee {
    /// The fee.
    pub base: Money,
    /// From this subtotal on it is free.
    pub free_from: Option<Money>,
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = TimeDelta::seconds;
        Self {
            gateway: "sandbox".to_owned(),
            carrier: "sandbox".to_owned(),
            payment_deadline: TimeDelta::minutes(15),
            max_order_lines: 50,
            max_line_quantity: 999,
            owner_cancel_window: TimeDelta::hours(24),
            completion_delay: TimeDelta::days(7),
            inquiry_ladder: vec![seconds(1), seconds(4), seconds(16), seconds(64), TimeDelta::minutes(5)],
            not_found_before_net_cancel: 2,
            label_retries: vec![seconds(1), seconds(2), seconds(4)],
            undo_retries: vec![seconds(1), seconds(4), seconds(16), seconds(64), TimeDelta::minutes(5)],
            scan_clock_tolerance: TimeDelta::minutes(10),
            refunded_points_life: TimeDelta::days(30),
            max_open_unpaid_orders: Some(3),
            max_unpaid_units: Some(999),
            max_login_failures: 5,
            max_login_failures_known: 20,
            max_login_failures_everywhere: 50,
            first_login_delay: seconds(1),
            lock_duration: TimeDelta::minutes(15),
            refresh_token_life: TimeDelta::days(30),
            refresh_repeat: seconds(10),
            shipping_fees: Vec::new(),
        }
    }
}

impl Policy {
    /// What sending goods of this value costs.
    ///
    /// # Errors
    /// When amounts of different currencies were configured together.
    pub fn shipping_fee(&self, subtotal: &Money) -> Result<Money, MoneyError> {
        let currency: Currency = subtotal.currency();
        let Some(rule) = self.shipping_fees.iter().find(|rule| rule.base.currency() == currency) else {
            return Ok(Money::zero(currency));
        };
        match &rule.free_from {
            Some(limit) if subtotal.checked_cmp(limit)?.is_ge() => Ok(Money::zero(currency)),
            _ => Ok(rule.base),
        }
    }
}
