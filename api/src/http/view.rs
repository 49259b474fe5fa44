//! The pieces that answers are made of.

#![allow(unused_qualifications, reason = "made by a derive for a generic type")]

use std::borrow::Cow;

use jangbu_commands::sealing::shipping_address;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{PostalAddress, VaultError};
use jangbu_kernel::{Money, OrderId, Remark, Sealed, SealedAt, StreamId, Timestamp, time};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Problem;
use crate::state::App;

/// An amount of money: `{"amount": "53000", "currency": "KRW"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Amount", 2)?;
        object.serialize_field("amount", &self.0.shown().to_string())?;
        object.serialize_field("currency", self.0.currency().code())?;
        object.end()
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self(money)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("An amount of money. The amount is a text, never a number."))
            .property(
                "amount",
                text(r"^-?\d+(\.\d+)?$", "In whole units of the currency, with as many decimals as it has."),
            )
            .property("currency", text("^[A-Z]{3}$", "The currency (ISO 4217)."))
            .required("amount")
            .required("currency")
            .examples([serde_json::json!({"amount": "53000", "currency": "KRW"})])
            .into()
    }
}

fn text(pattern: &str, meaning: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).description(Some(meaning))
}

impl ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        "Money".into()
    }
}

/// A moment: RFC 3339, UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(Timestamp);

impl From<Timestamp> for Moment {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time::rfc3339(self.0))
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with milliseconds"))
            .examples(["2026-11-21T01:07:00.000Z"])
            .into()
    }
}

impl ToSchema for Moment {}

/// A postal address as its owner typed it.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Address {
    /// Who receives.
    recipient: String,
    /// How the carrier reaches them.
    phone: String,
    /// The postal code.
    postal_code: String,
    /// Street and number.
    line1: String,
    /// Flat, floor, door; null when none was given.
    line2: Option<String>,
}

impl From<PostalAddress> for Address {
    fn from(address: PostalAddress) -> Self {
        let PostalAddress { recipient, phone, postal_code, line1, line2 } = address;
        Self { recipient, phone, postal_code, line1, line2 }
    }
}

/// Decrypts the sealed texts of one resource, and remembers whether one could not be decrypted.
/// Such a text is shown as absent, so that one person's key does not break a whole list.
pub(crate) struct Opener<'a> {
    app: &'a App,
    unreadable: bool,
}

impl<'a> Opener<'a> {
    pub(crate) const fn new(app: &'a App) -> Self {
        Self { app, unreadable: false }
    }

    /// Whether a text was present but could not be decrypted. Erased texts do not count.
    pub(crate) const fn met_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Decrypts a text. None if its owner's key is destroyed, which is intended, and if it cannot
    /// be decrypted, which is an error.
    pub(crate) async fn text(&mut self, at: SealedAt<'_>, sealed: &Sealed) -> Result<Option<String>, Problem> {
        match self.app.state.world.vault.open(at, sealed).await {
            Ok(text) => Ok(Some(text)),
            Err(VaultError::KeyDestroyed) => Ok(None),
            Err(VaultError::NoKey | VaultError::DoesNotOpen | VaultError::Store(LogError::Damaged(_))) => {
                self.note_unreadable(at);
                Ok(None)
            }
            Err(error @ VaultError::Store(_)) => Err(error.into()),
        }
    }

    /// Decrypts the address of an order, or of a shipment of this order.
    pub(crate) async fn address(&mut self, order_id: OrderId, sealed: &Sealed) -> Result<Option<Address>, Problem> {
        let at = shipping_address(order_id);
        let Some(json) = self.text(at, sealed).await? else { return Ok(None) };
        let Ok(address) = serde_json::from_str::<PostalAddress>(&json) else {
            self.note_unreadable(at);
            return Ok(None);
        };
        Ok(Some(address.into()))
    }

    /// Decrypts a remark that a person typed; a code is shown as it is.
    pub(crate) async fn remark(&mut self, at: SealedAt<'_>, remark: Remark) -> Result<Option<String>, Problem> {
        match remark {
            Remark::Plain(text) => Ok(Some(text)),
            Remark::Sealed { sealed } => self.text(at, &sealed).await,
        }
    }

    /// The same for an optional remark.
    pub(crate) async fn some_remark(
        &mut self,
        at: SealedAt<'_>,
        remark: Option<Remark>,
    ) -> Result<Option<String>, Problem> {
        match remark {
            Some(remark) => self.remark(at, remark).await,
            None => Ok(None),
        }
    }

    fn note_unreadable(&mut self, at: SealedAt<'_>) {
        self.unreadable = true;
        metrics::counter!("jangbu_unreadable_personal_data_total", "place" => at.field.to_owned()).increment(1);
    }
}

/// Seals a remark about an order under its buyer's key, in the context of the order, its payment,
/// its shipment or its process.
pub(crate) async fn sealed_remark(app: &App, about: StreamId, words: &str) -> Result<Remark, Problem> {
    let log = app.state.commands.log().as_ref();
    Ok(jangbu_commands::sealed_remark(log, app.state.world.vault.as_ref(), about, words).await?)
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct Listing<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}
