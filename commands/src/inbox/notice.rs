//! The content of a message, as it was read when its signature was checked.
//!
//! It is stored with the message, because a signature is valid only for minutes and the message may
//! be handled after a longer stop. It is storage format: add fields, but never change one.

use jangbu_aggregates::shipment::ScanStatus;
use jangbu_kernel::gateway::{CarrierNotice, ChargeOutcome, GatewayNotice, Observation};
use jangbu_kernel::{Money, PaymentId, ShipmentId, Timestamp, never};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::HookError;

/// The name of the header in which the content is stored with the message.
pub(super) const HEADER: &str = "jangbu-notice";

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Notice {
    /// A gateway reports on a charge.
    Charge { message_id: String, payment_id: PaymentId, idempotency_key: Uuid, outcome: StoredOutcome },
    /// A gateway reports that something happened to a charge, and has to be asked what.
    Ask { message_id: String, payment_id: PaymentId },
    /// A carrier reports that something happened to a parcel, and has to be asked what.
    Look { message_id: String, shipment_id: ShipmentId },
    /// A carrier reports on a parcel.
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
    RedirectRequired { reference: String, url: String },
    DepositAwaited { reference: String },
    Pending { reference: String },
    NotFound,
    Voided,
    Unknown { detail: String },
}

impl Notice {
    pub fn of_gateway(notice: GatewayNotice) -> Self {
        let GatewayNotice { message_id, payment_id, observation } = notice;
        match observation {
            Observation::Told { idempotency_key, outcome } => {
                Self::Charge { message_id, payment_id, idempotency_key, outcome: outcome.into() }
            }
            Observation::Ask => Self::Ask { message_id, payment_id },
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
            Self::Charge { message_id, .. }
            | Self::Ask { message_id, .. }
            | Self::Look { message_id, .. }
            | Self::Scan { message_id, .. } => message_id,
        }
    }

    /// The payment or shipment that it is about. Messages about the same one are handled in order.
    pub const fn subject(&self) -> Uuid {
        match self {
            Self::Charge { payment_id, .. } | Self::Ask { payment_id, .. } => payment_id.uuid(),
            Self::Look { shipment_id, .. } | Self::Scan { shipment_id, .. } => shipment_id.uuid(),
        }
    }

    pub fn to_json(&self) -> String {
        // A plain struct with text keys always serializes.
        serde_json::to_string(self).unwrap_or_else(|_| never("a notice could not be written", String::new()))
    }

    /// Reads the content from the headers of a stored message.
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
            ChargeOutcome::RedirectRequired { reference, url } => Self::RedirectRequired { reference, url },
            ChargeOutcome::DepositAwaited { reference } => Self::DepositAwaited { reference },
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
            StoredOutcome::RedirectRequired { reference, url } => Self::RedirectRequired { reference, url },
            StoredOutcome::DepositAwaited { reference } => Self::DepositAwaited { reference },
            StoredOutcome::Pending { reference } => Self::Pending { reference },
            StoredOutcome::NotFound => Self::NotFound,
            StoredOutcome::Voided => Self::Voided,
            StoredOutcome::Unknown { detail } => Self::Unknown { detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome() -> impl Strategy<Value = ChargeOutcome> {
        let text = "(?s).{0,20}";
        let amount = (0..=Money::MAX_UNITS).prop_map(|units| Money::krw(units).unwrap());
        prop_oneof![
            (text, amount).prop_map(|(reference, amount)| ChargeOutcome::Captured { reference, amount }),
            text.prop_map(|code| ChargeOutcome::Declined { code }),
            text.prop_map(|reference| ChargeOutcome::ChallengeRequired { reference }),
            (text, text).prop_map(|(reference, url)| ChargeOutcome::RedirectRequired { reference, url }),
            text.prop_map(|reference| ChargeOutcome::DepositAwaited { reference }),
            text.prop_map(|reference| ChargeOutcome::Pending { reference }),
            Just(ChargeOutcome::NotFound),
            Just(ChargeOutcome::Voided),
            text.prop_map(|detail| ChargeOutcome::Unknown { detail }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_kept_reads_back(message_id in "(?s).{0,20}", ids in any::<(u128, u128)>(), outcome in outcome()) {
            let (payment_id, idempotency_key) = (PaymentId::new(Uuid::from_u128(ids.0)), Uuid::from_u128(ids.1));
            let asks = GatewayNotice { message_id: message_id.clone(), payment_id, observation: Observation::Ask };
            let asks = Notice::of_gateway(asks);
            prop_assert_eq!(Notice::of_headers(&[(HEADER.to_owned(), asks.to_json())]), Some(asks));
            let observation = Observation::Told { idempotency_key, outcome: outcome.clone() };
            let notice = Notice::of_gateway(GatewayNotice { message_id, payment_id, observation });
            let headers = [(HEADER.to_owned(), notice.to_json())];
            prop_assert_eq!(Notice::of_headers(&headers), Some(notice.clone()));
            let Notice::Charge { outcome: kept, .. } = notice else { return Err(TestCaseError::fail("a charge")) };
            prop_assert_eq!(ChargeOutcome::from(kept), outcome);
        }

        #[test]
        fn anything_else_is_none(json in "(?s).{0,60}|[\\[\\]{}\",:0-9a-z_]{0,60}") {
            prop_assert_eq!(Notice::of_headers(&[(HEADER.to_owned(), json)]), None);
        }

        #[test]
        fn a_carriers_word_is_known_or_unreadable(status in "(?s).{0,20}|delivered|in_transit|lost") {
            let shipment_id = ShipmentId::new(Uuid::nil());
            let text = String::new;
            let told = CarrierNotice {
                message_id: text(),
                shipment_id,
                tracking_number: text(),
                status,
                code: text(),
                place: text(),
                at: Timestamp::default(),
            };
            if let Ok(notice) = Notice::of_carrier(told) {
                let headers = [(HEADER.to_owned(), notice.to_json())];
                prop_assert_eq!(Notice::of_headers(&headers), Some(notice));
            }
        }
    }
}
