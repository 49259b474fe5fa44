//! Decisions over several aggregates: each is one append, all or nothing.
//!
//! A decision here asks each aggregate for its part and puts the parts together;
//! the rules stay with the aggregates. Every file says which streams it touches and
//! why they belong into one append.

mod append;
mod cancellation;
mod confirmation;
mod ending;
mod payments;
mod placing;
mod pricing;
mod refunds;
mod registration;
mod roles;
mod sessions;
mod shipping;
mod shop;
mod waiting;

#[cfg(test)]
mod spec;

pub use cancellation::{cancel_order, finish_cancellation};
pub use confirmation::confirm_order;
pub use ending::{expire_order, fail_order, record_late_payment};
pub use payments::{cancel_payment, record_payment_failure, request_payment};
pub use placing::place_order;
pub use pricing::{Quote, quote_order};
pub use refunds::observe_refund;
pub use registration::register_user;
pub use roles::{RoleChange, change_roles};
pub use sessions::{rotate_session, start_session};
pub use shipping::{dispatch_shipment, record_scan, release_hold, request_shipment};
pub use shop::{adjust_stock, grant_points, receive_stock};

pub(crate) use append::single;
