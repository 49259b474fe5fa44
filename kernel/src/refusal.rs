//! Refusals: the shop says no. A refusal is not a failure: nothing broke and nothing was written.

use serde::Serialize;
use thiserror::Error;

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)+) => {
        /// The stable codes of refusals, part of the public contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RefusalCode { $($(#[$doc])* $variant,)+ }

        impl RefusalCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code as clients see it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

refusal_codes! {
    /// A value breaks a rule of its field.
    ValidationFailed = "validation_failed",
    /// Wrong e-mail address or password, or a token that is no longer valid.
    Unauthenticated = "unauthenticated",
    /// The gateway declined.
    PaymentDeclined = "payment_declined",
    /// The role may not do this.
    Forbidden = "forbidden",
    /// The resource does not exist, or is not the caller's.
    NotFound = "not_found",
    /// The address already has an account.
    EmailTaken = "email_taken",
    /// Not enough available stock.
    InsufficientStock = "insufficient_stock",
    /// Not enough points.
    InsufficientPoints = "insufficient_points",
    /// The order's state does not allow this.
    OrderStateConflict = "order_state_conflict",
    /// The buyer has the greatest number of open orders without a payment in flight that the shop
    /// allows.
    TooManyOpenOrders = "too_many_open_orders",
    /// The notice was sent, and is not sent twice.
    NoticeAlreadySent = "notice_already_sent",
    /// The order has as many notes as an order can have.
    TooManyNotes = "too_many_notes",
    /// A part of the order is already on its way.
    OrderAlreadyDispatched = "order_already_dispatched",
    /// A payment is in progress, or its outcome is unknown.
    PaymentInProgress = "payment_in_progress",
    /// The payment's state does not allow this.
    PaymentStateConflict = "payment_state_conflict",
    /// More would be returned than was captured.
    RefundExceedsCaptured = "refund_exceeds_captured",
    /// The shipment's state does not allow this.
    ShipmentStateConflict = "shipment_state_conflict",
    /// The state of the return does not allow this.
    ReturnStateConflict = "return_state_conflict",
    /// The time in which this could be returned is over.
    ReturnWindowOver = "return_window_over",
    /// More would be returned than was delivered and not returned yet.
    ReturnExceedsDelivered = "return_exceeds_delivered",
    /// The process's state does not allow this.
    SagaStateConflict = "saga_state_conflict",
    /// The log has something that is needed for this but cannot be read.
    StreamUnreadable = "stream_unreadable",
    /// The product is not for sale now.
    ProductNotActive = "product_not_active",
    /// The account may not act.
    UserNotActive = "user_not_active",
    /// The shop would be left without an administrator.
    LastAdministrator = "last_administrator",
    /// A category would be below itself.
    CategoryCycle = "category_cycle",
    /// Categories are below it.
    CategoryNotEmpty = "category_not_empty",
    /// A product is a variant or has variants, and cannot be both or go.
    VariantConflict = "variant_conflict",
    /// Another product has the slug.
    SlugTaken = "slug_taken",
    /// The locations of the shop do not allow this.
    LocationConflict = "location_conflict",
    /// The reference was already used for another entry.
    ReferenceReused = "reference_reused",
    /// The legs do not add up to the order's total.
    PaymentTotalMismatch = "payment_total_mismatch",
    /// The method cannot be used like this.
    PaymentMethodInvalid = "payment_method_invalid",
    /// The total is not what the client expected.
    TotalChanged = "total_changed",
    /// Too many wrong passwords.
    AccountLocked = "account_locked",
}

/// Why a command was refused. The client sees all of it.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("{detail}")]
pub struct Refusal {
    /// The stable code.
    #[serde(serialize_with = "code_text")]
    pub code: RefusalCode,
    /// One sentence for a person, lower case, no full stop, no personal data.
    pub detail: String,
    /// JSON pointer (RFC 6901) to the part of the request that is wrong.
    pub pointer: Option<String>,
    /// The state that prevents the command, if a state does.
    pub current_state: Option<&'static str>,
    /// The commands that are allowed in that state.
    pub allowed_commands: Vec<&'static str>,
}

fn code_text<S: serde::Serializer>(code: &RefusalCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(code.code())
}

impl Refusal {
    /// A refusal with a code and a sentence.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), pointer: None, current_state: None, allowed_commands: Vec::new() }
    }
    /// Points at the part of the request that is wrong, as in `/lines/0/quantity`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
    /// Names the state that prevents the command, and the commands that are allowed in it.
    #[must_use]
    pub fn in_state(mut self, state: &'static str, allowed: impl Into<Vec<&'static str>>) -> Self {
        self.current_state = Some(state);
        self.allowed_commands = allowed.into();
        self
    }
}
