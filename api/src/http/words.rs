//! The lists of words that answers choose from: each list is a schema of its own in the
//! document, made of the same list that the words come from.

use std::borrow::Cow;

use jangbu_commands as commands;
use jangbu_projections as shown;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Code;
use crate::imports::Outcome;

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $words:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($doc),+).trim()))
                    .enum_values(Some($words))
                    .into()
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

words! {
    /// Where an order stands.
    OrderStatus = shown::OrderStatus::ALL.iter().map(|status| status.name());
    /// Where a payment stands; `unknown` while the gateway's answer is lost and it is being asked.
    PaymentStatus = shown::PaymentStatus::ALL.iter().map(|status| status.name());
    /// Where a part of a payment stands.
    LegStatus = shown::LegStatus::ALL.iter().map(|status| status.name());
    /// Where a refund stands; `settled` when the money has gone back for certain.
    RefundStatus = shown::RefundStatus::ALL.iter().map(|status| status.name());
    /// Where a parcel is.
    ShipmentStatus = shown::ShipmentStatus::ALL.iter().map(|status| status.name());
    /// How far a return has come.
    ReturnStatus = jangbu_commands::ReturnStatus::ALL.iter().map(|status| status.name());
    /// Why goods come back.
    ReturnReason = jangbu_commands::ReturnReason::ALL.iter().map(|reason| reason.name());
    /// What the buyer gets for goods that come back.
    Remedy = jangbu_commands::Remedy::ALL.iter().map(|remedy| remedy.name());
    /// Who pays for the way back.
    WayBack = jangbu_commands::WayBack::ALL.iter().map(|payer| payer.name());
    /// Whether an account can be used.
    UserStatus = shown::UserStatus::ALL.iter().map(|status| status.name());
    /// What somebody is in the shop, which settles what they may do.
    Role = jangbu_kernel::Role::ALL.iter().map(|role| role.name());
    /// How an order's process goes; `parked` waits for a person.
    SagaState = shown::FulfilmentState::ALL.iter().map(|state| state.name());
    /// How a read model stands.
    ProjectionState = shown::ProjectionState::ALL.iter().map(|state| state.name());
    /// What an entry does to the points of its owner.
    PointsEntryKind = shown::EntryKind::ALL.iter().map(|kind| kind.name());
    /// How much of a product can be bought: `low` at its threshold, `depleted` when nothing can.
    StockLevel = shown::StockLevel::ALL.iter().map(|level| level.name());
    /// What moved the goods of a product.
    MovementKind = shown::MovementKind::ALL.iter().map(|kind| kind.name());
    /// What the rows of a file are.
    ImportKind = commands::ImportKind::ALL.iter().map(|kind| kind.name());
    /// Where an import stands.
    ImportState = commands::ImportState::ALL.iter().map(|state| state.name());
    /// Why an import was interrupted.
    ImportInterruption = commands::ImportInterruption::ALL.iter().map(|reason| reason.name());
    /// What became of a row: `replayed` was carried out by an earlier run, `refused` is for the shop to
    /// change, `invalid` for the file.
    RowOutcomeWord = Outcome::ALL.iter().map(|outcome| outcome.name());
    /// Who moves the money: the gateway outside, or the shop in its own books.
    Placement = ["gateway", "internal"];
    /// How far a notice has come: `waiting` is tried again, `given_up` only when staff ask for it.
    NoticeState = jangbu_commands::NoticeState::ALL.iter().map(|state| state.name());
    /// Who is told: the user that the fact concerns, or the shop.
    Recipient = jangbu_commands::Recipient::ALL.iter().map(|recipient| recipient.name());
    /// A language in which people are told of things.
    Locale = jangbu_commands::Locale::ALL.iter().map(|locale| locale.name());
    /// What a buyer need not be told of.
    NoticeTopic = jangbu_commands::NoticeTopic::ALL.iter().map(|topic| topic.name());
    /// Whether a dependency answers.
    CheckState = ["up", "down"];
    /// Whether requests can be served.
    ReadinessStatus = ["ready", "not_ready", "stopping"];
    /// What went wrong, for programs. New codes may come; each keeps its status.
    ProblemCode = Code::ALL.iter().map(|code| code.name());
}
