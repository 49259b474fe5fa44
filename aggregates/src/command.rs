//! Every command of the shop: which streams it looks at and what it decides.
//!
//! A command over several aggregates is one decision and one append. The decision
//! is pure: it sees states and [`Facts`](crate::Facts), and answers with events per
//! stream. Here is what can be asked; `command/` says how it is named and routed.

mod decide;
mod names;
mod owner;
mod streams;

#[cfg(test)]
mod spec;

use chrono::TimeDelta;
use jangbu_kernel::gateway::{ChargeOutcome, LabelOutcome, RefundOutcome};
use jangbu_kernel::{
    CategoryId, Money, OrderId, PaymentId, ProductId, RefundId, Refusal, Role, Sealed, SessionId, ShipmentId, StreamId,
    Timestamp, UserId,
};
use uuid::Uuid;

use crate::event::DomainEvent;
use crate::order::CancelledBy;
use crate::payment::{Leg, Source};
use crate::processes::{FulfilmentInput, OperatorAction};
use crate::session::SessionEndReason;
use crate::shipment::ScanRecorded;

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// These events are to be appended, all or nothing, in this order of streams.
    /// Each stream appears once. One without events had nothing to add, which holds only
    /// for the version that was looked at; at least one has some.
    Record(Vec<(StreamId, Vec<DomainEvent>)>),
    /// The effect is already there.
    AlreadyDone,
    /// The shop says no.
    Refused(Refusal),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A line somebody wants to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLine {
    /// What.
    pub product_id: ProductId,
    /// How many.
    pub quantity: u32,
}

/// A payment somebody wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPayment {
    /// The id it gets.
    pub payment_id: PaymentId,
    /// Its legs.
    pub legs: Vec<Leg>,
}

/// Buys.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceOrder {
    /// The id the order gets.
    pub order_id: OrderId,
    /// The number people will use.
    pub number: String,
    /// Who buys.
    pub user_id: UserId,
    /// What.
    pub lines: Vec<WantedLine>,
    /// Where to, sealed under the buyer's key.
    pub shipping_address: Sealed,
    /// What the client believes it costs.
    pub expected_total: Option<Money>,
    /// A time to pay that is shorter than the shop's; a longer one changes nothing.
    pub pay_within: Option<TimeDelta>,
    /// How it is paid, when that is known now.
    pub payment: Option<WantedPayment>,
}

/// Signs somebody up.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterUser {
    /// The id the user gets.
    pub user_id: UserId,
    /// Keyed hash of the normalised address.
    pub email_claim: Uuid,
    /// Keyed hashes of the forms that the address had under earlier rules: whoever signed up
    /// with one of them still has it. None for a plain address.
    pub other_claims: Vec<Uuid>,
    /// The address, sealed.
    pub email: Sealed,
    /// The name, sealed.
    pub name: Sealed,
    /// The telephone number, sealed.
    pub phone: Option<Sealed>,
    /// The argon2id hash in PHC form, sealed.
    pub password_hash: Sealed,
    /// The roles from the start.
    pub roles: Vec<Role>,
}

/// Puts a product into the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateProduct {
    /// The id it gets.
    pub product_id: ProductId,
    /// What it is called, 1-200 characters.
    pub name: String,
    /// What it is, at most 5,000 characters.
    pub description: Option<String>,
    /// Where it is filed.
    pub category_id: Option<CategoryId>,
    /// Who sells it.
    pub seller_id: Option<UserId>,
    /// The unit price, 0 or more.
    pub price: Money,
}

/// Everything that can be asked of the shop. What comes from the process manager
/// stands behind the line.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Signs somebody up and claims the address.
    RegisterUser(RegisterUser),
    /// Replaces name or telephone number.
    ChangeContactDetails {
        /// Whose.
        user_id: UserId,
        /// The new name, sealed.
        name: Option<Sealed>,
        /// The new number, sealed.
        phone: Option<Sealed>,
        /// Take the number out.
        clear_phone: bool,
    },
    /// Makes somebody's roles these and no others.
    SetRoles {
        /// Whose.
        user_id: UserId,
        /// All of them.
        roles: Vec<Role>,
    },
    /// Writes down who has the role of an administrator, once.
    ListAdministrators {
        /// Who.
        user_ids: Vec<UserId>,
    },
    /// Gives a role.
    GrantRole {
        /// To whom.
        user_id: UserId,
        /// Which.
        role: Role,
    },
    /// Takes a role away.
    RevokeRole {
        /// From whom.
        user_id: UserId,
        /// Which.
        role: Role,
    },
    /// Takes the delays after wrong passwords away.
    UnlockUser {
        /// Whose.
        user_id: UserId,
    },
    /// A wrong password was given.
    RecordLoginFailure {
        /// Whose.
        user_id: UserId,
    },
    /// The right password was given: begins a session.
    StartSession {
        /// The id it gets.
        session_id: SessionId,
        /// Who.
        user_id: UserId,
        /// SHA-256 of the refresh token, hexadecimal.
        token_hash: String,
    },
    /// Exchanges a refresh token; showing it again at once changes nothing; the reuse of
    /// an exchanged one ends the family (recorded, answered as done: look at the events).
    RotateSession {
        /// Which.
        session_id: SessionId,
        /// Hash of the token shown.
        presented_hash: String,
        /// How many exchanges led to it, when it bears this shop's own proof of that.
        presented_generation: Option<u64>,
        /// Hash of the next one.
        next_hash: String,
    },
    /// Logs out.
    EndSession {
        /// Which.
        session_id: SessionId,
        /// Why.
        reason: SessionEndReason,
    },
    /// Puts a product into the catalogue.
    CreateProduct(CreateProduct),
    /// Makes it buyable.
    ActivateProduct {
        /// Which.
        product_id: ProductId,
    },
    /// Takes it off sale.
    DeactivateProduct {
        /// Which.
        product_id: ProductId,
    },
    /// Goods came in.
    ReceiveStock {
        /// Of which product.
        product_id: ProductId,
        /// How many.
        quantity: u32,
    },
    /// Corrects the count.
    AdjustStock {
        /// Of which product.
        product_id: ProductId,
        /// By how many.
        delta: i64,
        /// Why.
        reason: String,
    },
    /// Gives points.
    GrantPoints {
        /// To whom.
        user_id: UserId,
        /// How many.
        amount: Money,
        /// What for; the same reference is one entry.
        reference: String,
        /// When they lapse.
        expires_at: Option<Timestamp>,
    },
    /// Buys.
    PlaceOrder(PlaceOrder),
    /// Calls an order off.
    CancelOrder {
        /// Which.
        order_id: OrderId,
        /// By whom.
        by: CancelledBy,
        /// Why; staff must say.
        reason: Option<String>,
    },
    /// The buyer says it arrived and is fine.
    ConfirmDelivery {
        /// Which.
        order_id: OrderId,
    },
    /// Pays an order that has no open payment.
    RequestPayment {
        /// Of which order.
        order_id: OrderId,
        /// What.
        payment: WantedPayment,
    },
    /// The buyer has met the gateway's challenge.
    ConfirmPayment {
        /// Which.
        payment_id: PaymentId,
    },
    /// Calls a payment off before money was taken.
    CancelPayment {
        /// Which.
        payment_id: PaymentId,
    },
    /// Gives money back, by staff.
    RefundPayment {
        /// Of which payment.
        payment_id: PaymentId,
        /// The id the refund gets.
        refund_id: RefundId,
        /// How much.
        amount: Money,
        /// Why.
        reason: String,
    },
    /// The parcel is handed over: shipment, order and stock move in one append.
    DispatchShipment {
        /// Which.
        shipment_id: ShipmentId,
        /// By whom; the label's carrier when absent.
        carrier: Option<String>,
        /// Its number; the label's when absent.
        tracking_number: Option<String>,
    },
    /// The number that was written down is not the parcel's.
    CorrectTrackingNumber {
        /// Of which parcel.
        shipment_id: ShipmentId,
        /// The parcel's number.
        tracking_number: String,
        /// Why.
        reason: String,
    },
    /// A scan of a parcel.
    RecordScan {
        /// Of which parcel.
        shipment_id: ShipmentId,
        /// The scan; its `order_id`, `received_at` and `ignored_because` are filled in by the decision.
        scan: ScanRecorded,
    },
    // ---- from the process manager and from outside ----
    /// The process takes an input in.
    AdvanceFulfilment {
        /// Of which order.
        order_id: OrderId,
        /// What it saw.
        input: FulfilmentInput,
    },
    /// A person decides a parked process.
    ResolveFulfilment {
        /// Of which order.
        order_id: OrderId,
        /// What.
        action: OperatorAction,
        /// Why.
        reason: String,
    },
    /// Writes the intent to take the money. All legs internal: captured at once.
    RequestCapture {
        /// Of which payment.
        payment_id: PaymentId,
    },
    /// Writes the intent to void.
    RequestNetCancel {
        /// Of which payment.
        payment_id: PaymentId,
        /// Why.
        reason: String,
    },
    /// Somebody told something about a payment's charge.
    ObservePayment {
        /// Which.
        payment_id: PaymentId,
        /// What.
        observation: ChargeOutcome,
        /// Who.
        source: Source,
    },
    /// Order paid, stock allocated, points captured, in one append.
    ConfirmOrder {
        /// Which.
        order_id: OrderId,
        /// By which payment.
        payment_id: PaymentId,
    },
    /// The order notes a failed or voided payment; its held points are released.
    RecordPaymentFailure {
        /// Which.
        order_id: OrderId,
        /// Which payment.
        payment_id: PaymentId,
        /// The reason code.
        reason: String,
    },
    /// Expires an unpaid order and releases its stock.
    ExpireOrder {
        /// Which.
        order_id: OrderId,
    },
    /// Opens a shipment and starts the order's preparation.
    RequestShipment {
        /// Of which order.
        order_id: OrderId,
        /// The id it gets.
        shipment_id: ShipmentId,
    },
    /// The carrier answered.
    ObserveLabel {
        /// Of which shipment.
        shipment_id: ShipmentId,
        /// Which carrier, by its name.
        carrier: String,
        /// What.
        observation: LabelOutcome,
    },
    /// Calls a shipment off before it is dispatched.
    CancelShipment {
        /// Which.
        shipment_id: ShipmentId,
        /// Why.
        reason: String,
    },
    /// Opens a refund of all that is captured and not refunded.
    RequestFullRefund {
        /// Of which payment.
        payment_id: PaymentId,
        /// The id the refund gets.
        refund_id: RefundId,
        /// Why.
        reason: String,
    },
    /// Somebody told something about a refund; when its legs are back, points are
    /// restored and it is settled, in one append.
    ObserveRefund {
        /// Of which payment.
        payment_id: PaymentId,
        /// Which.
        refund_id: RefundId,
        /// What.
        observation: RefundOutcome,
        /// Who.
        source: Source,
    },
    /// Cancelled, everything free, in one append.
    FinishCancellation {
        /// Which.
        order_id: OrderId,
    },
    /// Failed, everything free, in one append.
    FailOrder {
        /// Which.
        order_id: OrderId,
        /// Why, a code.
        reason: String,
    },
    /// Money came too late.
    RecordLatePayment {
        /// For which order.
        order_id: OrderId,
        /// By which payment.
        payment_id: PaymentId,
    },
    /// Every parcel arrived.
    MarkDelivered {
        /// Of which order.
        order_id: OrderId,
    },
    /// The time to object ran out.
    CompleteOrder {
        /// Which.
        order_id: OrderId,
    },
    /// Nothing goes on before somebody has looked.
    HoldOrder {
        /// Which.
        order_id: OrderId,
        /// Why.
        reason: String,
    },
    /// Somebody has looked.
    ReleaseHold {
        /// Which.
        order_id: OrderId,
        /// Why.
        reason: String,
    },
}
