//! Ports to the outside world: payment gateways and carriers.
//!
//! Every answer is an outcome type with an `Unknown` arm: a lost answer is not a
//! failure, and nothing may be concluded from it but that somebody has to ask.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use crate::ids::{OrderId, PaymentId, ShipmentId};
use crate::money::Money;
use crate::never::never;
use crate::ports::{AddressFault, PostalAddress};

/// What a payment method needs to know to take money, by the names of its fields: opened, for
/// the adapter alone. Its debug form names the fields and shows none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Details(BTreeMap<String, String>);

impl Details {
    /// The text of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, text)| (field.as_str(), text.as_str()))
    }

    /// As they are sealed: a JSON object of texts. Storage format.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A map of texts: writing it cannot fail.
        serde_json::to_string(&self.0).unwrap_or_else(|_| never("details could not be written", String::new()))
    }

    /// Reads [`Details::to_json`] back.
    ///
    /// # Errors
    /// What the parser says of the text.
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
    /// The same key never charges twice; the id of the event that asked for the capture.
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

/// What became of a charge, as the gateway tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is taken.
    Captured {
        /// The gateway's id of the charge.
        reference: String,
        /// What was taken, to be compared with what was asked.
        amount: Money,
    },
    /// The gateway says no, for good.
    Declined {
        /// The gateway's reason code, such as `insufficient_funds`.
        code: String,
    },
    /// The buyer has to do something first, then the charge is confirmed.
    ChallengeRequired {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The buyer pays at a page of the gateway's or of a bank. Nobody confirms it here: the
    /// gateway learns of it, and tells or is asked.
    RedirectRequired {
        /// The gateway's id of the charge.
        reference: String,
        /// The page, `http` or `https`.
        url: String,
    },
    /// The buyer did what there was to do, and the money is on its way to the gateway.
    DepositAwaited {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The gateway is still working on it.
    Pending {
        /// The gateway's id of the charge.
        reference: String,
    },
    /// The gateway has never heard of this key (inquiries only).
    NotFound,
    /// The gateway voided it: nothing is or will be charged under this key.
    Voided,
    /// No answer, or none that can be understood. Ask again.
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

/// What became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is on its way back.
    Settled {
        /// The gateway's id of the refund.
        reference: String,
    },
    /// The gateway says no.
    Refused {
        /// The gateway's reason code.
        code: String,
    },
    /// No answer; ask again with the same key.
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
    /// Whether it takes money by a payment method, by the method's name. Asked before an order
    /// is taken.
    fn takes(&self, method: &str) -> bool;
    /// Takes money.
    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome;
    /// Finishes a charge whose challenge the buyer has met.
    async fn confirm(&self, reference: &str) -> ChargeOutcome;
    /// Asks what became of a charge, by its idempotency key.
    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome;
    /// Voids whatever happened or may yet happen under a key. After
    /// [`ChargeOutcome::Voided`] nothing is or will be charged under it.
    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome;
    /// Gives money back.
    async fn refund(&self, request: RefundRequest) -> RefundOutcome;
    /// Reads a webhook from its headers and its exact bytes. What it gives is acted on: a
    /// notice only of a message whose signature holds. None of it is a message that says
    /// nothing about a charge.
    ///
    /// # Errors
    /// Why it cannot be trusted or read.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError>;
}

/// Something that a gateway tells on its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayNotice {
    /// The notice's own id: the same one may come many times.
    pub message_id: String,
    /// The payment it speaks of.
    pub payment_id: PaymentId,
    /// What it tells.
    pub observation: Observation,
}

/// What a gateway's message tells of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The gateway's word, proven by the message itself.
    Told {
        /// The idempotency key of the charge.
        idempotency_key: Uuid,
        /// What became of the charge.
        outcome: ChargeOutcome,
    },
    /// Something happened, and the message proves nothing: the gateway is to be asked.
    Ask,
}

/// Why a webhook was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No signature, a wrong one, or one that is too old.
    #[error("the signature does not hold")]
    BadSignature,
    /// Signed, but not a message that is known here.
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
    /// Who receives it, opened. Never logged.
    pub address: PostalAddress,
}

/// What became of a label request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelOutcome {
    /// The parcel can be handed over.
    Ready {
        /// The number that follows it.
        tracking_number: String,
    },
    /// The carrier will not take it, this time.
    Refused {
        /// The carrier's reason code.
        code: String,
    },
    /// No answer; ask again with the same shipment id.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}

/// What a carrier tells about a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierNotice {
    /// The message's own id.
    pub message_id: String,
    /// The shipment it speaks of.
    pub shipment_id: ShipmentId,
    /// The number that follows the parcel.
    pub tracking_number: String,
    /// The parcel's status, one of the shipment states
    /// (`in_transit`, `out_for_delivery`, `attempt_failed`, `exception`, `delivered`,
    /// `returned`, `lost`).
    pub status: String,
    /// The carrier's own code of the scan.
    pub code: String,
    /// Where.
    pub place: String,
    /// When, by the carrier's clock.
    pub at: crate::Timestamp,
}

/// A carrier. Implementations bound every call in time and never panic.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// The carrier's name, as in `carrier:<name>` and `/v1/hooks/carriers/<name>`.
    fn name(&self) -> &str;
    /// What it would refuse a label for, told before the order is taken and paid.
    fn address_faults(&self, address: &PostalAddress) -> Vec<AddressFault> {
        address.faults()
    }
    /// Asks for a label.
    async fn request_label(&self, request: LabelRequest) -> LabelOutcome;
    /// Calls a label off. Calling off what was never asked for is a success.
    async fn cancel_label(&self, shipment_id: ShipmentId) -> LabelCancelOutcome;
    /// Checks a webhook's signature over its exact bytes and reads it.
    ///
    /// # Errors
    /// Why it cannot be trusted or read.
    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<CarrierNotice, WebhookError>;
}

/// What became of calling a label off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelCancelOutcome {
    /// The label is void.
    Cancelled,
    /// Too late: the carrier has the parcel.
    AlreadyDispatched,
    /// No answer; ask again.
    Unknown {
        /// What went wrong, for the log.
        detail: String,
    },
}
