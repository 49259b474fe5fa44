//! The places of sealed fields, as they are bound into the ciphertexts. The field's name is storage
//! format. Sealing and opening both use these functions, so that they name the same field and
//! stream.
//!
//! The stream is that of the event that the text is sealed for.

use jangbu_kernel::{OrderId, PaymentId, SealedAt, StreamId, UserId};

/// The data that the payment method of a leg needs, in a payment.
#[must_use]
pub const fn instrument(payment_id: PaymentId) -> SealedAt<'static> {
    SealedAt { field: "payment.instrument", stream: StreamId::payment(payment_id) }
}

/// The delivery address of an order. Its shipments copy the ciphertext, so they open it as their
/// order's.
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

/// A text that a person typed about an order, its payment, its parcel or its process: a reason or a
/// note.
#[must_use]
pub const fn order_remark(order_id: OrderId) -> SealedAt<'static> {
    SealedAt { field: "order.remark", stream: StreamId::order(order_id) }
}

/// The reason for which staff grant points.
#[must_use]
pub const fn points_reference(user_id: UserId) -> SealedAt<'static> {
    SealedAt { field: "points.reference", stream: StreamId::points(user_id) }
}
