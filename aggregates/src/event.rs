//! All events of the domain, by aggregate.

use jangbu_kernel::macros::{DecodeError, EventTypeInfo};
use jangbu_kernel::{AggregateKind, RecordedEvent, StreamId};
use serde_json::{Map, Value};

use crate::buyer::BuyerEvent;
use crate::category::CategoryEvent;
use crate::import::ImportEvent;
use crate::locations::LocationsEvent;
use crate::notice::NoticeEvent;
use crate::order::OrderEvent;
use crate::payment::PaymentEvent;
use crate::points::PointsEvent;
use crate::processes::FulfilmentEvent;
use crate::product::ProductEvent;
use crate::returns::ReturnEvent;
use crate::session::SessionEvent;
use crate::shipment::ShipmentEvent;
use crate::slug::SlugEvent;
use crate::stock::StockEvent;
use crate::user::{AdministratorsEvent, EmailEvent, UserEvent};

macro_rules! domain_events {
    ($($(#[$doc:meta])* $variant:ident($event:ident),)+) => {
        /// An event of any aggregate, decoded.
        #[derive(Clone, Debug, PartialEq)]
        pub enum DomainEvent { $($(#[$doc])* $variant($event),)+ }

        impl DomainEvent {
            /// The aggregate whose stream it belongs to.
            #[must_use]
            pub const fn kind(&self) -> AggregateKind {
                match self { $(Self::$variant(_) => AggregateKind::$variant,)+ }
            }
            /// `<aggregate>.<past_tense>`.
            #[must_use]
            pub const fn event_type(&self) -> &'static str {
                match self { $(Self::$variant(event) => event.event_type(),)+ }
            }
            /// Version of the payload's schema.
            #[must_use]
            pub const fn schema_version(&self) -> u16 {
                match self { $(Self::$variant(event) => event.schema_version(),)+ }
            }
            /// The payload as it is stored.
            #[must_use]
            pub fn payload_json(&self) -> String {
                match self { $(Self::$variant(event) => event.payload_json(),)+ }
            }
            /// Reads a payload that is stored in a stream of this kind.
            ///
            /// # Errors
            /// An unknown type or version, or a payload that does not fit.
            pub fn decode(stream: StreamId, event_type: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError> {
                match stream.kind {
                    $(AggregateKind::$variant => $event::decode(event_type, schema_version, payload).map(Self::$variant),)+
                }
            }
            /// All event types, aggregate by aggregate.
            pub fn types() -> impl Iterator<Item = &'static EventTypeInfo> {
                [$($event::TYPES,)+].into_iter().flatten()
            }
        }

        $(impl From<$event> for DomainEvent {
            fn from(event: $event) -> Self { Self::$variant(event) }
        })+
    };
}

domain_events! {
    /// Of a user.
    User(UserEvent),
    /// Of the list of administrators.
    Administrators(AdministratorsEvent),
    /// Of a claim on an address.
    Email(EmailEvent),
    /// Of a session.
    Session(SessionEvent),
    /// Of a product.
    Product(ProductEvent),
    /// Of a category.
    Category(CategoryEvent),
    /// Of a claim on a slug.
    Slug(SlugEvent),
    /// Of a product's stock.
    Stock(StockEvent),
    /// Of the locations of the shop.
    Locations(LocationsEvent),
    /// Of an order.
    Order(OrderEvent),
    /// Of a payment.
    Payment(PaymentEvent),
    /// Of a parcel.
    Shipment(ShipmentEvent),
    /// Of a return.
    Return(ReturnEvent),
    /// Of a points ledger.
    Points(PointsEvent),
    /// Of an order's fulfilment.
    Fulfilment(FulfilmentEvent),
    /// Of a buyer's waiting orders.
    Buyer(BuyerEvent),
    /// Of an import.
    Import(ImportEvent),
    /// Of a notice.
    Notice(NoticeEvent),
}

impl TryFrom<&RecordedEvent> for DomainEvent {
    type Error = DecodeError;
    fn try_from(event: &RecordedEvent) -> Result<Self, DecodeError> {
        Self::decode(event.stream, &event.event_type, event.schema_version, &event.payload)
    }
}

/// The upcaster of events with a [`Remark`](jangbu_kernel::Remark). Version 1 had a plain text in
/// its place, which a remark reads without a change.
pub(crate) const fn in_the_clear(_: &mut Map<String, Value>) {}
