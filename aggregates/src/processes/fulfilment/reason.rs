//! Why a process waits for a person.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Why a process is parked. Storage format: the text of each never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ParkReason {
    /// The gateway reports another amount.
    PaymentMismatch,
    /// The gateway does not acknowledge the void.
    OutcomeUnknown,
    /// The gateway does not answer a refund.
    RefundUnknown,
    /// The gateway refuses to refund.
    RefundRefused,
    /// The carrier does not answer the request for a label.
    LabelUnknown,
    /// The carrier does not acknowledge that the label is void.
    LabelCancelUnknown,
    /// The parcel that is to be cancelled is with the carrier.
    AlreadyDispatched,
    /// The parcel is lost.
    ShipmentLost,
    /// The parcel came back.
    ShipmentReturned,
    /// A command is refused again and again.
    CommandRefused,
    /// Data that a command needs cannot be read.
    StreamUnreadable,
    /// A reason that this version does not know. A person can resume the process, or undo
    /// everything.
    Other(String),
}

impl ParkReason {
    /// All reasons for which this version parks a process.
    pub const KNOWN: [Self; 11] = [
        Self::PaymentMismatch,
        Self::OutcomeUnknown,
        Self::RefundUnknown,
        Self::RefundRefused,
        Self::LabelUnknown,
        Self::LabelCancelUnknown,
        Self::AlreadyDispatched,
        Self::ShipmentLost,
        Self::ShipmentReturned,
        Self::CommandRefused,
        Self::StreamUnreadable,
    ];

    /// Its text, as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::PaymentMismatch => "payment_mismatch",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::RefundUnknown => "refund_unknown",
            Self::RefundRefused => "refund_refused",
            Self::LabelUnknown => "label_unknown",
            Self::LabelCancelUnknown => "label_cancel_unknown",
            Self::AlreadyDispatched => "already_dispatched",
            Self::ShipmentLost => "shipment_lost",
            Self::ShipmentReturned => "shipment_returned",
            Self::CommandRefused => "command_refused",
            Self::StreamUnreadable => "stream_unreadable",
            Self::Other(text) => text,
        }
    }

    /// Whether it is about a refund.
    #[must_use]
    pub const fn is_about_refunds(&self) -> bool {
        matches!(self, Self::RefundUnknown | Self::RefundRefused)
    }

    /// Whether the process could not cancel a parcel.
    #[must_use]
    pub const fn is_about_undoing_shipment(&self) -> bool {
        matches!(self, Self::AlreadyDispatched | Self::LabelCancelUnknown)
    }

    /// Whether a person may take what the process waits for as done.
    #[must_use]
    pub const fn is_skippable(&self) -> bool {
        self.is_about_refunds()
            || self.is_about_undoing_shipment()
            || matches!(self, Self::ShipmentLost | Self::ShipmentReturned)
    }
}

impl From<String> for ParkReason {
    fn from(text: String) -> Self {
        Self::KNOWN.into_iter().find(|known| known.as_str() == text).unwrap_or(Self::Other(text))
    }
}

impl From<ParkReason> for String {
    fn from(reason: ParkReason) -> Self {
        reason.as_str().to_owned()
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for ParkReason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ParkReason".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reason_is_its_text_in_the_log() {
        for known in ParkReason::KNOWN {
            assert!(!matches!(known, ParkReason::Other(_)));
            let stored = serde_json::to_value(&known).unwrap();
            assert_eq!(stored, json!(known.as_str()));
            assert_eq!(serde_json::from_value::<ParkReason>(stored).unwrap(), known);
        }
    }

    #[test]
    fn what_is_not_known_keeps_its_text() {
        let other: ParkReason = serde_json::from_value(json!("refund_of_old")).unwrap();
        assert_eq!(other, ParkReason::Other("refund_of_old".to_owned()));
        assert_eq!((serde_json::to_value(&other).unwrap(), other.is_skippable()), (json!("refund_of_old"), false));
    }
}
