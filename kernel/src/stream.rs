//! Streams: one per aggregate instance, named `<aggregate>-<uuid>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{
    CategoryId, ImportId, NoticeId, OrderId, PaymentId, ProductId, ReturnId, SessionId, ShipmentId, UserId,
};

/// The kinds of aggregate that own streams. The name is part of every stored stream id and the
/// first part of every event type. It is storage format: add kinds, but never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum AggregateKind {
    /// A person with an account.
    User,
    /// A claim on an e-mail address, keyed by a keyed hash of the address.
    Email,
    /// A login session: one family of refresh tokens.
    Session,
    /// A product of the catalogue.
    Product,
    /// A category of the catalogue.
    Category,
    /// A claim on the slug of a product, under an id that is made of the slug.
    Slug,
    /// The stock of one product, under the product's id.
    Stock,
    /// The locations where goods are: one stream for the whole shop.
    Locations,
    /// An order.
    Order,
    /// A payment of an order.
    Payment,
    /// A parcel of an order.
    Shipment,
    /// A return of goods of an order.
    Return,
    /// A user's points ledger, under the user's id.
    Points,
    /// The stream of the process manager for an order, under the order's id.
    Fulfilment,
    /// The orders of a buyer that wait for a payment, under the user's id.
    Buyer,
    /// The list of administrators: one stream for the whole shop.
    Administrators,
    /// An import of a file.
    Import,
    /// A notice: one fact told to one recipient by one channel.
    Notice,
}

crate::named!(AggregateKind);

/// The identity of a stream. Shown, stored and parsed as `<kind>-<uuid>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// What kind of aggregate owns the stream.
    pub kind: AggregateKind,
    /// The id of the aggregate.
    pub id: Uuid,
}

impl StreamId {
    /// The stream of one aggregate.
    #[must_use]
    pub const fn new(kind: AggregateKind, id: Uuid) -> Self {
        Self { kind, id }
    }
    /// `user-<id>`.
    #[must_use]
    pub const fn user(id: UserId) -> Self {
        Self::new(AggregateKind::User, id.uuid())
    }
    /// `email-<keyed hash of the address>`.
    #[must_use]
    pub const fn email(keyed_hash: Uuid) -> Self {
        Self::new(AggregateKind::Email, keyed_hash)
    }
    /// `session-<id>`.
    #[must_use]
    pub const fn session(id: SessionId) -> Self {
        Self::new(AggregateKind::Session, id.uuid())
    }
    /// `product-<id>`.
    #[must_use]
    pub const fn product(id: ProductId) -> Self {
        Self::new(AggregateKind::Product, id.uuid())
    }
    /// `category-<id>`.
    #[must_use]
    pub const fn category(id: CategoryId) -> Self {
        Self::new(AggregateKind::Category, id.uuid())
    }
    /// `stock-<product id>`.
    #[must_use]
    pub const fn stock(id: ProductId) -> Self {
        Self::new(AggregateKind::Stock, id.uuid())
    }
    /// `locations-<nil>`.
    #[must_use]
    pub const fn locations() -> Self {
        Self::new(AggregateKind::Locations, Uuid::nil())
    }
    /// `order-<id>`.
    #[must_use]
    pub const fn order(id: OrderId) -> Self {
        Self::new(AggregateKind::Order, id.uuid())
    }
    /// `buyer-<user id>`.
    #[must_use]
    pub const fn buyer(id: UserId) -> Self {
        Self::new(AggregateKind::Buyer, id.uuid())
    }
    /// `payment-<id>`.
    #[must_use]
    pub const fn payment(id: PaymentId) -> Self {
        Self::new(AggregateKind::Payment, id.uuid())
    }
    /// `shipment-<id>`.
    #[must_use]
    pub const fn shipment(id: ShipmentId) -> Self {
        Self::new(AggregateKind::Shipment, id.uuid())
    }
    /// `return-<id>`.
    #[must_use]
    pub const fn of_return(id: ReturnId) -> Self {
        Self::new(AggregateKind::Return, id.uuid())
    }
    /// `points-<user id>`.
    #[must_use]
    pub const fn points(id: UserId) -> Self {
        Self::new(AggregateKind::Points, id.uuid())
    }
    /// `fulfilment-<order id>`.
    #[must_use]
    pub const fn fulfilment(id: OrderId) -> Self {
        Self::new(AggregateKind::Fulfilment, id.uuid())
    }
    /// `import-<id>`.
    #[must_use]
    pub const fn import(id: ImportId) -> Self {
        Self::new(AggregateKind::Import, id.uuid())
    }
    /// `notice-<id>`.
    #[must_use]
    pub const fn notice(id: NoticeId) -> Self {
        Self::new(AggregateKind::Notice, id.uuid())
    }
    /// `administrators-<nil>`.
    #[must_use]
    pub const fn administrators() -> Self {
        Self::new(AggregateKind::Administrators, Uuid::nil())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.name(), self.id)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that does not name a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a stream id: expected <kind>-<uuid>, for example order-01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct InvalidStreamId;

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id) = text.split_once('-').ok_or(InvalidStreamId)?;
        let kind = AggregateKind::from_name(name).ok_or(InvalidStreamId)?;
        let id = Uuid::try_parse(id).map_err(|_| InvalidStreamId)?;
        Ok(Self { kind, id })
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl schemars::JsonSchema for StreamId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StreamId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "`<kind>-<uuid>`" })
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_survives_its_text_form() {
        for kind in AggregateKind::ALL {
            let stream = StreamId::new(*kind, Uuid::from_u128(7));
            assert_eq!(stream.to_string().parse(), Ok(stream));
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!("parrot-01890a5d-ac96-774b-bcce-b302099a8057".parse::<StreamId>(), Err(InvalidStreamId));
        assert_eq!("order".parse::<StreamId>(), Err(InvalidStreamId));
        assert_eq!("order-12".parse::<StreamId>(), Err(InvalidStreamId));
    }
}
