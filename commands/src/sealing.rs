//! The places of sealed fields, as they are bound into the ciphertext. Whoever
//! seals and whoever opens must name the same place. Storage format.

/// A one-time card token in a payment's leg.
pub const CARD_TOKEN: &str = "payment.card_token";
/// The address an order goes to; the shipment carries the same ciphertext.
pub const SHIPPING_ADDRESS: &str = "order.shipping_address";
/// A user's e-mail address.
pub const USER_EMAIL: &str = "user.email";
/// A user's name.
pub const USER_NAME: &str = "user.name";
/// A user's telephone number.
pub const USER_PHONE: &str = "user.phone";
/// A user's password hash.
pub const USER_PASSWORD_HASH: &str = "user.password_hash";
