//! A message as it was read when its signature was checked.
//!
//! It is kept with the message, because a signature holds for minutes only and the
//! message may be handled after a longer stop. Storage format: add, never change.

use jangbu_aggregates::shipment::ScanStatus;
use jangbu_kernel::gateway::{CarrierNotice, ChargeOutcome, GatewayNotice};
use jangbu_kernel::{Money, PaymentId, ShipmentId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::HookError;

/// Where our reading is kept among the message's headers.
pub(super) const HEADER: &str = "jangbu-notice";

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Notice {
    /// A gateway speaks of a charge.
    Charge { message_id: String, payment_id: PaymentId, idempotency_key: Uuid, outcome: StoredOutcome },
    /// A carrier speaks of a parcel.
    Scan {
        message_id: String,
        shipment_id: ShipmentId,
        tracking_number: String,
        status: ScanStatus,
        code: String,
        place: String,
        #[serde(with = "jangbu_kernel::time::millis")]
        at: Timestamp,
    },
}

/// A [`ChargeOutcome`] as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredOutcome {
    Captured { reference: String, amount: Money },
    Declined { code: String },
    ChallengeRequired { reference: String },
    Pending { reference: String },
    NotFound,
    Voided,
    Unknown { detail: String },
}

impl Notice {
    pub fn of_gateway(notice: GatewayNotice) -> Self {
        Self::Charge {
            message_id: notice.message_id,
            payment_id: notice.payment_id,
            idempotency_key: notice.idempotency_key,
            outcome: notice.outcome.into(),
        }
    }

    pub fn of_carrier(notice: CarrierNotice) -> Result<Self, HookError> {
        let status = serde_json::from_value(serde_json::Value::String(notice.status))
            .map_err(|_| HookError::Unreadable("not a status of a parcel".to_owned()))?;
        Ok(Self::Scan {
            message_id: notice.message_id,
            shipment_id: notice.shipment_id,
            tracking_number: notice.tracking_number,
            status,
            code: notice.code,
            place: notice.place,
            at: notice.at,
        })
    }

    pub fn message_id(&self) -> &str {
        match self {
            Self::Charge { message_id, .. } | Self::Scan { message_id, .. } => message_id,
        }
    }

    /// Whom it speaks of: messages about the same are handled in order.
    pub const fn subject(&self) -> Uuid {
        match self {
            Self::Charge { payment_id, .. } => payment_id.uuid(),
            Self::Scan { shipment_id, .. } => shipment_id.uuid(),
        }
    }

    pub fn to_json(&self) -> String {
        // A plain struct with text keys: writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads it back from a stored message's headers.
    pub fn of_headers(headers: &[(String, String)]) -> Option<Self> {
        let (_, json) = headers.iter().rev().find(|(name, _)| name == HEADER)?;
        serde_json::from_str(json).ok()
    }
}

impl From<ChargeOutcome> for StoredOutcome {
    fn from(outcome: ChargeOutcome) -> Self {
        match outcome {
            ChargeOutcome::Captured { reference, amount } => Self::Captured { reference, amount },
            ChargeOutcome::Declined { code } => Self::Declined { code },
            ChargeOutcome::ChallengeRequired { reference } => Self::ChallengeRequired { reference },
            ChargeOutcome::Pending { reference } => Self::Pending { reference },
            ChargeOutcome::NotFound => Self::NotFound,
            ChargeOutcome::Voided => Self::Voided,
            ChargeOutcome::Unknown { detail } => Self::Unknown { detail },
        }
    }
}

impl From<StoredOutcome> for ChargeOutcome {
    fn from(outcome: StoredOutcome) -> Self {
        match outcome {
            StoredOutcome::Captured { reference, amount } => Self::Captured { reference, amount },
            StoredOutcome::Declined { code } => Self::Declined { code },
            StoredOutcome::ChallengeRequired { reference } => Self::ChallengeRequired { reference },
            StoredOutcome::Pending { reference } => Self::Pending { reference },
            StoredOutcome::NotFound => Self::NotFound,
            StoredOutcome::Voided => Self::Voided,
            StoredOutcome::Unknown { detail } => Self::Unknown { detail },
        }
    }
}
