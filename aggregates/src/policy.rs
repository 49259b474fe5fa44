//! The numbers in the shop's rules, in one place.

use chrono::TimeDelta;
use jangbu_kernel::{Currency, Money, MoneyError, Timestamp};

use crate::calendar::Calendar;

use crate::shipping::{Goods, ShippingFee};

/// The shop's numbers. `Default` has the shop's own; configuration may replace them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The gateway that new charges go to, by its name.
    pub gateway: String,
    /// The carrier that new parcels go to, by its name.
    pub carrier: String,
    /// Time to pay an order.
    pub payment_deadline: TimeDelta,
    /// The most lines of an order, after equal products are merged.
    pub max_order_lines: usize,
    /// The largest quantity of a line.
    pub max_line_quantity: u32,
    /// Time after payment in which the owner may cancel.
    pub owner_cancel_window: TimeDelta,
    /// Business days after the payment in which an order has to leave. Three, where it is paid in
    /// advance (Act on Consumer Protection in Electronic Commerce, article 15).
    pub ship_within_business_days: u32,
    /// The days on which the shop works.
    pub calendar: Calendar,
    /// Time after delivery in which the buyer may object; then the order completes.
    pub completion_delay: TimeDelta,
    /// Time after delivery in which the buyer may return goods for no reason (the same Act, article
    /// 17).
    pub return_window: TimeDelta,
    /// Time after delivery in which the buyer may return goods that are not as they should be.
    pub defect_window: TimeDelta,
    /// Time after a return is approved in which the goods have to be on their way back.
    pub send_back_within: TimeDelta,
    /// Business days after goods came back in which their money has to be refunded (article 18).
    pub refund_within_business_days: u32,
    /// Waits before the inquiries after a lost answer; the last one repeats.
    pub inquiry_ladder: Vec<TimeDelta>,
    /// How many times in a row the gateway may answer that it does not know a charge; it is
    /// net-cancelled then.
    pub not_found_before_net_cancel: u32,
    /// One wait for each refusal of a label that is followed by another attempt; as many
    /// refusals as there are entries end the order.
    pub label_retries: Vec<TimeDelta>,
    /// Waits before another attempt at a refund or at cancelling a label; when they are used up, a
    /// person is asked.
    pub undo_retries: Vec<TimeDelta>,
    /// How far a carrier's clock may be ahead of the shop's before its time is not trusted.
    pub scan_clock_tolerance: TimeDelta,
    /// How long points can be used that a refund returns after they lapsed.
    pub refunded_points_life: TimeDelta,
    /// Orders that a buyer may have open without a payment in flight; none: no limit.
    pub max_open_unpaid_orders: Option<u32>,
    /// Units of one product in those orders together; none: no limit.
    pub max_unpaid_units: Option<u32>,
    /// Wrong passwords in a row from one block of addresses; after the last of them, the next login
    /// from there has to wait.
    pub max_login_failures: u32,
    /// The same for a block in which a login of the account is live.
    pub max_login_failures_known: u32,
    /// The same over all blocks; after the last of them, logins from everywhere have to wait.
    pub max_login_failures_everywhere: u32,
    /// The first wait; every further wrong password doubles it.
    pub first_login_delay: TimeDelta,
    /// The longest wait.
    pub lock_duration: TimeDelta,
    /// Life of a refresh token.
    pub refresh_token_life: TimeDelta,
    /// How long after its exchange a refresh token may be presented again, while its successor is
    /// unused.
    pub refresh_repeat: TimeDelta,
    /// What shipping costs, by currency; none: it is free.
    pub shipping_fees: Vec<ShippingFee>,
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
            ship_within_business_days: 3,
            calendar: Calendar::default(),
            completion_delay: TimeDelta::days(7),
            return_window: TimeDelta::days(7),
            defect_window: TimeDelta::days(90),
            send_back_within: TimeDelta::days(14),
            refund_within_business_days: 3,
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
    /// The first moment at which an order that was paid then has not left in time.
    #[must_use]
    pub fn ship_by(&self, paid_at: Timestamp) -> Timestamp {
        self.calendar.end_of_business_day(paid_at, self.ship_within_business_days)
    }

    /// The first moment at which goods that came back then have not been refunded in time.
    #[must_use]
    pub fn refund_by(&self, received_at: Timestamp) -> Timestamp {
        self.calendar.end_of_business_day(received_at, self.refund_within_business_days)
    }

    /// What shipping these goods costs.
    ///
    /// # Errors
    /// Amounts of different currencies, or beyond what can be counted.
    pub fn shipping_fee(
        &self,
        currency: Currency,
        goods: &[Goods],
        postal_code: Option<&str>,
    ) -> Result<Money, MoneyError> {
        match self.shipping_fees.iter().find(|rule| rule.base.currency() == currency) {
            Some(rule) => rule.of(goods, postal_code),
            None => Ok(Money::zero(currency)),
        }
    }
}
