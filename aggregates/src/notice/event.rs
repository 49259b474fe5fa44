//! What happened to a notice. Storage format.

use jangbu_kernel::{OrderId, StreamId, Timestamp, UserId, Version, events, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a notice.
    pub enum NoticeEvent {
        "notice.sent" v 1 => Sent(NoticeSent),
        "notice.failed" v 1 => Failed(NoticeFailed),
        "notice.given_up" v 1 => GivenUp(NoticeGivenUp),
        "notice.send_requested" v 1 => SendRequested(NoticeSendRequested),
    }
}

/// A language in which people are told of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Locale {
    /// Korean.
    Ko,
    /// English.
    En,
}

/// What a buyer need not be told of. Whatever belongs to no topic is always told: what the law asks
/// for, and what guards the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NoticeTopic {
    /// How a payment goes that is not made yet.
    Payment,
    /// Where a parcel is.
    Delivery,
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Recipient {
    /// The user that the fact concerns.
    Buyer,
    /// The shop.
    Shop,
}

named!(Locale, NoticeTopic, Recipient);

/// What a notice is about and to whom it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeAbout {
    /// Which notice, as in `order_placed`.
    pub name: String,
    /// Who is told.
    pub to: Recipient,
    /// By which channel, as in `mail`.
    pub channel: String,
    /// The stream of the fact.
    pub stream: StreamId,
    /// The place of the fact in it.
    pub version: Version,
    /// The user that the fact concerns, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The order that the fact concerns, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

/// The channel's server took it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeSent {
    /// What was told to whom.
    pub about: NoticeAbout,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// It was not taken this time, or that is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeFailed {
    /// What was to be told to whom.
    pub about: NoticeAbout,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Why, a code.
    pub reason: String,
    /// When it is tried again.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub retry_at: Timestamp,
}

/// It was not taken, and is not tried again by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeGivenUp {
    /// What was to be told to whom.
    pub about: NoticeAbout,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Why, a code.
    pub reason: String,
}

/// Staff asked for another attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeSendRequested {
    /// When: from then on it is due.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub at: Timestamp,
}
