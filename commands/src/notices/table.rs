//! The list of notices. A new one is a line here and its two texts in `templates/`:
//! `<name>.ko.txt` and `<name>.en.txt`, each with the subject in the first line, a blank line and the
//! text. `{total}` in a text is a member of the fact's payload, or of the order's `order.placed`
//! where the fact has none of this name; `words.rs` lists what there is beside those.

use jangbu_aggregates::notice::{Locale, NoticeTopic, Recipient};

/// A notice: a kind of fact of which somebody is told.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// Its name. Storage format.
    pub name: &'static str,
    /// The type of the event.
    pub fact: &'static str,
    /// Who is told.
    pub to: Recipient,
    /// By which topic a buyer can do without it; none: it is always told.
    pub topic: Option<NoticeTopic>,
    korean: &'static str,
    english: &'static str,
}

impl Notice {
    /// Its text in a language.
    #[must_use]
    pub const fn template(&self, locale: Locale) -> &'static str {
        match locale {
            Locale::Ko => self.korean,
            Locale::En => self.english,
        }
    }
}

macro_rules! topic {
    () => {
        None
    };
    ($topic:ident) => {
        Some(NoticeTopic::$topic)
    };
}

macro_rules! notices {
    ($($name:literal: $fact:literal => $to:ident $($topic:ident)?;)+) => {
        /// All notices.
        pub const NOTICES: &[Notice] = &[$(Notice {
            name: $name,
            fact: $fact,
            to: Recipient::$to,
            topic: topic!($($topic)?),
            korean: include_str!(concat!("templates/", $name, ".ko.txt")),
            english: include_str!(concat!("templates/", $name, ".en.txt")),
        },)+];
    };
}

notices! {
    "order_placed": "order.placed" => Buyer;
    "order_paid": "order.paid" => Buyer;
    "deposit_awaited": "payment.deposit_awaited" => Buyer Payment;
    "payment_failed": "order.payment_failed" => Buyer Payment;
    "order_expired": "order.expired" => Buyer Payment;
    "order_failed": "order.failed" => Buyer;
    "order_cancelled": "order.cancelled" => Buyer;
    "lines_cancelled": "order.lines_cancelled" => Buyer;
    "parcel_shipped": "shipment.dispatched" => Buyer Delivery;
    "order_delivered": "order.delivered" => Buyer Delivery;
    "refund_settled": "payment.refund_settled" => Buyer;
    "return_approved": "return.approved" => Buyer;
    "return_rejected": "return.rejected" => Buyer;
    "return_received": "return.received" => Buyer;
    "return_closed": "return.closed" => Buyer;
    "account_changed": "user.contact_details_changed" => Buyer;
    "role_granted": "user.role_granted" => Buyer;
    "role_revoked": "user.role_revoked" => Buyer;
    "login_ended": "session.reuse_detected" => Buyer;
    "shop_order_placed": "order.placed" => Shop;
    "shop_return_requested": "return.requested" => Shop;
    "shop_process_parked": "fulfilment.parked" => Shop;
    "shop_stock_low": "stock.ran_low" => Shop;
    "shop_stock_depleted": "stock.depleted" => Shop;
}

/// The notices of which an event is the fact.
pub(super) fn of_fact(event_type: &str) -> impl Iterator<Item = &'static Notice> {
    NOTICES.iter().filter(move |notice| notice.fact == event_type)
}

/// The notice with this name.
pub(super) fn named(name: &str) -> Option<&'static Notice> {
    NOTICES.iter().find(|notice| notice.name == name)
}
