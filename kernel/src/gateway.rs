//! Ports to the outside world: payment gateways and carriers.
//!
//! Every answer is an outcome type with an `Unknown` arm: a lost answer is not a failure, and the
//! only conclusion from it is that the other side has to be asked again.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use crate::ids::{OrderId, PaymentId, ShipmentId};
use crate::money::Money;
use crate::never::never;
use crate::ports::{AddressFault, PostalAddress};

/// What a payment method needs to know to take money, by field name. The texts are in the clear,
/// for the adapter alone. The debug form names the fields and shows no text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Details(BTreeMap<String, String>);

impl Details {
    /// The text of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// All fields, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, text)| (field.as_str(), text.as_str()))
    }

    /// The form in which they are sealed: a JSON object of texts. Storage format.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A map of texts always serializes.
        serde_json::to_string(&self.0).unwrap_or_else(|_| never("details could not be written", String::new()))
    }

    /// Reads [`Details::to_json`] back.
    ///
    /// # Errors
    /// The error of the parser.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json).map(Self)
    }
}

impl FromIterator<(String, String)> for Details {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A request to take money now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// The same key never charges twice. It is the id of the event that asked for the capture.
    pub idempotency_key: Uuid,
    /// The order it is for.
    pub order_id: OrderId,
    /// The payment it is for.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// The payment method's name, one that the gateway [takes](PaymentGateway::takes).
    pub method: &'static str,
    /// What the method needs to know.
    pub details: Details,
}

/// The result of a charge, as the gateway reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is taken.
    Captured {
        /// The gateway's id of the charge.
        reference: String,
        /// What was taken, to be compared with what was asked.
        amount: Money,
    },
    /// The gateway declines, for good.
    Declined {
        /// The gateway's reason code, such as `insufficient_funds`.
        code: String,
    },
    /// The buyer has to do something first; then the charge is confirmed.
    ChallengeRequired {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The buyer pays on a page of the gateway or of a bank. The charge is not confirmed here: the
    /// gateway learns of the payment and reports it, or is asked.
    RedirectRequired {
        /// The gateway's id of the charge.
        reference: String,
        /// The page, `http` or `https`.
        url: String,
    },
    /// The buyer has done their part, and the money is on its way to the gateway.
    DepositAwaited {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The gateway is still working on it.
    Pending {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The gateway does not know this key (inquiries only).
    NotFound,
    /// The gateway voided it: nothing is or will be charged under this key.
    Voided,
    /// No answer, or one that cannot be understood. Ask again.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}

/// A request to give money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// The same key never refunds twice.
    pub idempotency_key: Uuid,
    /// The gateway's id of the charge.
    pub reference: String,
    /// How much.
    pub amount: Money,
}

/// The result of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is on its way back.
    Settled {
        /// The gateway's id of the refund.
        reference: String,
    },
    /// The gateway refuses.
    Refused {
        /// The gateway's reason code.
        code: String,
    },
    /// No answer. Ask again with the same key.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}

/// A payment gateway. Implementations bound every call in time and never panic.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// The gateway's name, as in `gateway:<name>` and `/v1/hooks/payments/<name>`.
    fn name(&self) -> &str;
    /// Whether it takes money by the payment method of this name. Asked before an order is
    /// accepted.
    fn takes(&self, method: &str) -> bool;
    /// Takes money.
    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome;
    /// Finishes a charge after the buyer has met its challenge.
    async fn confirm(&self, reference: &str) -> ChargeOutcome;
    /// Asks for the state of a charge, by its idempotency key.
    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome;
    /// Voids everything that has happened or may still happen under a key. After
    /// [`ChargeOutcome::Voided`] nothing is or will be charged under it.
    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome;
    /// Gives money back.
    async fn refund(&self, request: RefundRequest) -> RefundOutcome;
    /// Reads a webhook from its headers and its exact bytes. Its result is acted on, so a message
    /// may report an outcome only if its signature is valid. The result is empty if the message
    /// says nothing about a charge.
    ///
    /// # Errors
    /// Why the message cannot be trusted or read.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError>;
}

/// A notice that a gateway sends of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayNotice {
    /// The notice's own id: the same notice may arrive many times.
    pub message_id: String,
    /// The payment that it is about.
    pub payment_id: PaymentId,
    /// What it reports.
    pub observation: Observation,
}

/// What a gateway's message reports about a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A statement of the gateway, proven by the message itself.
    Told {
        /// The idempotency key of the charge.
        idempotency_key: Uuid,
        /// The result of the charge.
        outcome: ChargeOutcome,
    },
    /// Something happened, but the message proves nothing: the gateway has to be asked.
    Ask,
}

/// Why a webhook was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The signature is missing, wrong or too old.
    #[error("the signature does not hold")]
    BadSignature,
    /// It is signed, but not a known message.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
}

/// A request for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequest {
    /// The same shipment never gets two labels.
    pub shipment_id: ShipmentId,
    /// The order it is for.
    pub order_id: OrderId,
    /// The recipient's address, in the clear. Never logged.
    pub address: PostalAddress,
}

/// The result of a label request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelOutcome {
    /// The parcel can be handed over.
    Ready {
        /// The tracking number.
        tracking_number: String,
    },
    /// The carrier does not take the parcel, this time.
    Refused {
        /// The carrier's reason code.
        code: String,
    },
    /// No answer. Ask again with the same shipment id.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}

/// What a carrier reports about a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierNotice {
    /// The message's own id.
    pub message_id: String,
    /// The shipment that it is about.
    pub shipment_id: ShipmentId,
    /// The tracking number.
    pub tracking_number: String,
    /// The parcel's status, one of the shipment states
    /// (`in_transit`, `out_for_delivery`, `attempt_failed`, `exception`, `delivered`,
    /// `returned`, `lost`).
    pub status: String,
    /// The carrier's own code for the scan.
    pub code: String,
    /// Where the scan was made.
    pub place: String,
    /// When it was made, by the carrier's clock.
    pub at: crate::Timestamp,
}

/// A parcel that is under way, by what it was dispatched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelUnderWay {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// Its carrier, as somebody wrote it.
    pub carrier: String,
    /// Its number there. Carriers use numbers again after months.
    pub tracking_number: String,
}

/// Whether somebody outside reports on a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// It does not: it knows no such carrier, or does not take the number.
    NotHere,
    /// It does until this moment; ask again before.
    Until(crate::Timestamp),
    /// No answer. Ask again.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}

/// What a message of a carrier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierNews {
    /// A scan.
    Told(CarrierNotice),
    /// That there is something to read about a parcel ([`Carrier::scans`]).
    Ask {
        /// The message's own id.
        message_id: String,
        /// The shipment that it is about.
        shipment_id: ShipmentId,
    },
}

/// A carrier. Implementations bound every call in time and never panic.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// The carrier's name, as in `carrier:<name>` and `/v1/hooks/carriers/<name>`.
    fn name(&self) -> &str;
    /// The faults for which it would refuse a label. Asked before the order is accepted and paid.
    fn address_faults(&self, address: &PostalAddress) -> Vec<AddressFault> {
        address.faults()
    }
    /// Asks for a label.
    async fn request_label(&self, request: LabelRequest) -> LabelOutcome;
    /// Cancels a label. Cancelling one that was never requested is a success.
    async fn cancel_label(&self, shipment_id: ShipmentId) -> LabelCancelOutcome;
    /// Checks a webhook's signature over its exact bytes and reads it.
    ///
    /// # Errors
    /// Why the message cannot be trusted or read.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<CarrierNotice, WebhookError>;
    /// Reads any message of it: by default a webhook. The query is that of the address it was sent to.
    ///
    /// # Errors
    /// Why the message cannot be trusted or read.
    fn read_news(&self, headers: &[(String, String)], _: &str, body: &[u8]) -> Result<CarrierNews, WebhookError> {
        self.read_webhook(headers, body).map(CarrierNews::Told)
    }
    /// Whether it reports on parcels of other carriers at all.
    fn tracks(&self) -> bool {
        false
    }
    /// Whether it reports on parcels of this carrier, as somebody wrote it, when it is asked to.
    fn follows(&self, _: &str) -> bool {
        false
    }
    /// Asks it to report on a parcel until a moment. Asking again moves the moment.
    async fn follow(&self, _: &ParcelUnderWay, _: crate::Timestamp) -> Following {
        Following::NotHere
    }
    /// What it knows of a parcel now, the oldest scan first. The message ids are empty.
    ///
    /// # Errors
    /// What went wrong, for the log: nothing is known.
    async fn scans(&self, _: &ParcelUnderWay) -> Result<Vec<CarrierNotice>, String> {
        Ok(Vec::new())
    }
}

/// The result of cancelling a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelCancelOutcome {
    /// The label is void.
    Cancelled,
    /// Too late: the carrier has the parcel.
    AlreadyDispatched,
    /// No answer. Ask again.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}
