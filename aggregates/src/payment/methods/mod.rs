//! Payment methods: one strategy per file, one line each in the registry below.
//!
//! A method's file contains everything about it: its name, what a leg by it carries, its limits,
//! which legs it can be combined with, and who moves its money. A new method needs a file here and
//! a line in the registry. Nothing else asks which method a leg has.

mod bank_transfer;
mod card;
mod legs;
mod points;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use jangbu_kernel::{Currency, Money, OrderId, PaymentId, RefundId, StreamId, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::event::Leg;
use crate::command::{Append, Stop};

pub use legs::{MAX_LEGS, validate_legs};

macro_rules! registry {
    ($($constant:ident = $strategy:path,)+) => {
        $(#[doc = concat!("The method of `", stringify!($strategy), "`.")]
        pub const $constant: Method = Method(&$strategy);)+

        static METHODS: &[Method] = &[$($constant),+];
    };
}

registry! {
    BANK_TRANSFER = bank_transfer::BankTransfer,
    CARD = card::Card,
    POINTS = points::BuyersPoints,
}

/// Every method that can be used.
#[must_use]
pub fn registered_methods() -> &'static [Method] {
    METHODS
}

/// How a method can be combined with others in one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composition {
    /// The gateway leg: a payment of several legs needs exactly one.
    Gateway,
    /// Beside a gateway leg, or alone; at most one in a payment.
    Complement,
}

/// What a leg carries beside its method and amount: a text of one line. All fields of a leg
/// together are sealed under the buyer's key ([`Instrument`](super::Instrument)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in requests and in the sealed text. Storage format.
    pub name: &'static str,
    /// What it is, for people who write requests.
    pub description: &'static str,
    /// An example that works with the sandbox.
    pub example: &'static str,
    /// Its maximum number of characters; the minimum is one.
    pub longest: usize,
}

/// A way to pay.
pub trait PaymentMethod: Sync {
    /// Its name in stored events and in requests, snake case. Storage format.
    fn name(&self) -> &'static str;
    /// What a leg by it is, for people who write requests.
    fn description(&self) -> &'static str;
    /// What a leg carries beside its method and amount.
    fn fields(&self) -> &'static [Field] {
        &[]
    }
    /// Smallest and largest amount of a leg, in whole units of a currency; none if the method
    /// cannot be used in that currency.
    fn limits(&self, currency: Currency) -> Option<(i64, i64)>;
    /// How it can be combined with others.
    fn composition(&self) -> Composition;
    /// The books of the shop in which its money is moved. None if a gateway moves it, by calls that
    /// may be lost, and reports the outcome.
    fn own_books(&self) -> Option<&'static dyn OwnBooks> {
        None
    }
}

/// An amount to be held for a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order.
    pub order_id: OrderId,
    /// The amount.
    pub amount: Money,
}

/// Books of the shop in which a method's money is moved, by the shop's own appends: nothing is
/// requested from the outside, and nothing can be lost on the way. Each operation has its undo.
pub trait OwnBooks: Sync {
    /// The stream of the buyer's account in the books.
    fn stream(&self, buyer: UserId) -> StreamId;
    /// Holds an amount for a payment.
    ///
    /// # Errors
    /// [`Stop`]: a refusal, such as for too small a balance, or a stream to load.
    fn hold(&self, append: &mut Append<'_>, buyer: UserId, hold: Hold) -> Result<(), Stop>;
    /// Releases what a payment holds; the undo of [`OwnBooks::hold`].
    ///
    /// # Errors
    /// [`Stop`].
    fn release(&self, append: &mut Append<'_>, buyer: UserId, payment_id: PaymentId, reason: &str) -> Result<(), Stop>;
    /// Captures what a payment holds.
    ///
    /// # Errors
    /// [`Stop`].
    fn capture(&self, append: &mut Append<'_>, buyer: UserId, payment_id: PaymentId) -> Result<(), Stop>;
    /// Returns some of what was captured; the undo of [`OwnBooks::capture`]. What a captured
    /// payment still only holds, because its order was never confirmed, is captured first.
    ///
    /// # Errors
    /// [`Stop`].
    fn restore(
        &self,
        append: &mut Append<'_>,
        buyer: UserId,
        payment_id: PaymentId,
        refund_id: RefundId,
        amount: Money,
    ) -> Result<(), Stop>;
}

/// A registered method. It is stored as its name. A name that is not registered cannot be read,
/// like an event type that a newer version wrote.
#[derive(Clone, Copy)]
pub struct Method(&'static dyn PaymentMethod);

impl Method {
    /// The method with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        METHODS.iter().copied().find(|method| method.name() == name)
    }
}

impl Deref for Method {
    type Target = dyn PaymentMethod;
    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}
impl Eq for Method {}
impl PartialOrd for Method {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Method {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}
impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
impl Debug for Method {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Display for Method {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Method {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(from)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format_args!("there is no payment method {name:?} here")))
    }
}
impl JsonSchema for Method {
    fn schema_name() -> Cow<'static, str> {
        "PaymentMethod".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The name of a registered payment method.",
            "pattern": "^[a-z][a-z_]*$",
        })
    }
}
