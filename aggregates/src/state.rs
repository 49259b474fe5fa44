//! The states of the aggregates under one type, for caches and readers.

use jangbu_kernel::{AggregateKind, Decider, StreamId, never};
use uuid::Uuid;

use crate::buyer::Buyer;
use crate::category::Category;
use crate::event::DomainEvent;
use crate::facts::Facts;
use crate::import::Import;
use crate::locations::Locations;
use crate::notice::Notice;
use crate::order::Order;
use crate::payment::Payment;
use crate::points::Points;
use crate::processes::Fulfilment;
use crate::product::Product;
use crate::returns::Return;
use crate::session::Session;
use crate::shipment::Shipment;
use crate::slug::SlugClaim;
use crate::stock::Stock;
use crate::user::{Administrators, EmailClaim, User};

/// An aggregate of this domain, which can be found in a [`States`].
pub trait Aggregate: Decider<Facts = Facts, Event: Into<DomainEvent> + Clone> {
    /// The state, if it is one of this aggregate.
    fn from_any(any: &AnyState) -> Option<&Self>;
}

/// A state that is not loaded; load the stream and decide again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub StreamId);

/// The states that a decision can read.
pub trait States {
    /// The state of a stream if it is loaded. A stream that does not exist has its initial state.
    fn any(&self, stream: StreamId) -> Option<&AnyState>;
}

impl dyn States + '_ {
    /// The state of an aggregate.
    ///
    /// # Errors
    /// [`Missing`] when it is not loaded.
    pub fn get<A: Aggregate>(&self, id: impl Into<Uuid>) -> Result<&A, Missing> {
        let stream = StreamId::new(A::KIND, id.into());
        self.any(stream).and_then(A::from_any).ok_or(Missing(stream))
    }
}

/// A state that could not be read back from a snapshot.
#[derive(Debug, thiserror::Error)]
#[error("a snapshot of {0} does not fit its state")]
pub struct BadSnapshot(pub StreamId, #[source] pub serde_json::Error);

macro_rules! any_state {
    ($($(#[$doc:meta])* $variant:ident($state:ident),)+) => {
        /// The state of any aggregate.
        #[derive(Clone, Debug)]
        pub enum AnyState { $($(#[$doc])* $variant(Box<$state>),)+ }

        impl AnyState {
            /// The state before the first event.
            #[must_use]
            pub fn initial(kind: AggregateKind) -> Self {
                match kind { $(AggregateKind::$variant => Self::$variant(Box::default()),)+ }
            }
            /// Version of the serialised state of this kind.
            #[must_use]
            pub const fn state_version(kind: AggregateKind) -> u16 {
                match kind { $(AggregateKind::$variant => <$state as Decider>::STATE_VERSION,)+ }
            }
            /// The shape of the serialised state of this kind, as a JSON Schema.
            #[must_use]
            pub fn shape(kind: AggregateKind) -> schemars::Schema {
                match kind { $(AggregateKind::$variant => schemars::schema_for!($state),)+ }
            }
            /// Reads a snapshot.
            ///
            /// # Errors
            /// When the text does not fit; fold the whole stream then.
            pub fn from_snapshot(stream: StreamId, json: &str) -> Result<Self, BadSnapshot> {
                match stream.kind {
                    $(AggregateKind::$variant => serde_json::from_str(json).map(Self::$variant),)+
                }.map_err(|source| BadSnapshot(stream, source))
            }
            /// Writes a snapshot.
            #[must_use]
            pub fn to_snapshot(&self) -> String {
                // States are plain structs with text keys, so writing one cannot fail.
                match self { $(Self::$variant(state) => serde_json::to_string(state),)+ }
                    .unwrap_or_else(|_| never("a state could not be written", String::new()))
            }
            /// Folds an event in. An event of another aggregate changes nothing.
            pub fn evolve(&mut self, event: &DomainEvent) {
                match (self, event) {
                    $((Self::$variant(state), DomainEvent::$variant(event)) => state.evolve(event),)+
                    (_, _) => {}
                }
            }
        }

        $(impl Aggregate for $state {
            fn from_any(any: &AnyState) -> Option<&Self> {
                if let AnyState::$variant(state) = any { Some(state) } else { None }
            }
        })+
    };
}

any_state! {
    /// Of a user.
    User(User),
    /// The list of administrators.
    Administrators(Administrators),
    /// Of a claim on an address.
    Email(EmailClaim),
    /// Of a session.
    Session(Session),
    /// Of a product.
    Product(Product),
    /// Of a category.
    Category(Category),
    /// Of a claim on a slug.
    Slug(SlugClaim),
    /// Of a product's stock.
    Stock(Stock),
    /// The locations of the shop.
    Locations(Locations),
    /// Of an order.
    Order(Order),
    /// Of a payment.
    Payment(Payment),
    /// Of a parcel.
    Shipment(Shipment),
    /// Of a return.
    Return(Return),
    /// Of a points ledger.
    Points(Points),
    /// Of an order's fulfilment.
    Fulfilment(Fulfilment),
    /// Of a buyer's waiting orders.
    Buyer(Buyer),
    /// Of an import.
    Import(Import),
    /// Of a notice.
    Notice(Notice),
}
