//! Where sealed fields belong, as it is bound into their ciphertexts. The field's name is
//! storage format. Sealing and opening both go through these, so that they name the same
//! field and stream.
//!
//! The stream is the one that the fact is written to for which the text is sealed.

use jangbu_kernel::{OrderId, PaymentId, SealedAt, StreamId, UserId};

/// What the method of a leg needs to know, in a payment.
#[must_use]
pub const fn instrument(payment_id: PaymentId) -> SealedAt<'static> {
    SealedAt { field: "payment.instrument", stream: StreamId::payment(payment_id) }
}

/// The address an order goes to. Its shipments carry the same ciphertext, so they open it
/// with the order that they belong to.
#[must_use]
pub const fn shipping_address(order_id: OrderId) -> SealedAt<'static> {
    SealedAt { field: "order.shipping_address", stream: StreamId::order(order_id) }
}

/// A user's e-mail address.
#[must_use]
pub const fn user_email(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "user.email", stream: StreamId::user(user_id) }
}

/// A user's name.
#[must_use]
pub const fn user_name(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "user.name", stream: StreamId::user(user_id) }
}

/// A user's telephone number.
#[must_use]
pub const fn user_phone(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "user.phone", stream: StreamId::user(user_id) }
}

/// A user's password hash.
#[must_use]
pub const fn user_password_hash(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "user.password_hash", stream: StreamId::user(user_id) }
}

/// What somebody typed about an order, its payment, its parcel or its process: a reason, a note.
#[must_use]
pub const fn order_remark(order_id: OrderId) -> SealedAt<'static> {
    SealedAt { field: "order.remark", stream: StreamId::order(order_id) }
}

/// What staff give points for.
#[must_use]
pub const fn points_reference(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "points.reference", stream: StreamId::points(user_id) }
}
