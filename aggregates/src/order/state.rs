//! The state of an order.

use jangbu_kernel::{Money, PaymentId, Remark, Sealed, ShipmentId, Timestamp, UserId, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{CancelledBy, OrderEvent, OrderLine, OrderPlaced, Replaces};
use super::returns::Returns;

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OrderStatus {
    /// Stands, its stock is reserved.
    Placed,
    /// A payment was begun.
    AwaitingPayment,
    /// Paid, its stock is allocated.
    Paid,
    /// A parcel is being prepared.
    Preparing,
    /// On its way.
    Shipped,
    /// Arrived; the buyer may object.
    Delivered,
    /// Done.
    Completed,
    /// Called off; money and goods are being returned.
    Cancelling,
    /// Called off; nothing is held and nothing is charged.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Could not be carried out.
    Failed,
}

named!(OrderStatus);

impl OrderStatus {
    /// Whether nothing follows any more, except the return of a late payment.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Cancelled | Self::Expired | Self::Failed => true,
            Self::Placed
            | Self::AwaitingPayment
            | Self::Paid
            | Self::Preparing
            | Self::Shipped
            | Self::Delivered
            | Self::Cancelling => false,
        }
    }

    /// The commands that people can give in this status, by name.
    #[must_use]
    pub const fn allowed_commands(self) -> &'static [&'static str] {
        match self {
            Self::Placed | Self::AwaitingPayment => {
                &["request_payment", "cancel_order", "cancel_lines", "change_shipping_address"]
            }
            Self::Paid => &["cancel_order", "cancel_lines", "change_shipping_address"],
            Self::Preparing => &["cancel_order", "cancel_lines", "change_shipping_address", "dispatch_shipment"],
            Self::Delivered => &["confirm_delivery", "request_return"],
            Self::Completed => &["request_return"],
            Self::Shipped | Self::Cancelling | Self::Cancelled | Self::Expired | Self::Failed => &[],
        }
    }
}

/// Who wants an order called off, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancellation {
    /// The buyer or staff.
    pub by: CancelledBy,
    /// The reason that was given, if one was.
    pub reason: Option<Remark>,
}

/// An order; before it is placed, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    pub(super) standing: Option<Standing>,
}

/// What is known of an order that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Standing {
    pub(super) status: OrderStatus,
    pub(super) user_id: UserId,
    pub(super) lines: Vec<OrderLine>,
    pub(super) total: Money,
    pub(super) shipping_fee: Money,
    pub(super) shipping_address: Sealed,
    pub(super) payment_deadline: Timestamp,
    pub(super) open_payment: Option<PaymentId>,
    pub(super) paid_by: Option<PaymentId>,
    pub(super) paid_at: Option<Timestamp>,
    pub(super) shipment_id: Option<ShipmentId>,
    pub(super) hold: Option<Remark>,
    pub(super) cancellation: Option<Cancellation>,
    pub(super) late_payments: Vec<PaymentId>,
    pub(super) notes: u32,
    pub(super) packed: bool,
    pub(super) delivered_at: Option<Timestamp>,
    pub(super) returns: Returns,
    pub(super) replaces: Option<Replaces>,
}

impl Standing {
    fn new(placed: &OrderPlaced) -> Self {
        Self {
            status: OrderStatus::Placed,
            user_id: placed.user_id,
            lines: placed.lines.clone(),
            total: placed.total,
            shipping_fee: placed.shipping_fee,
            shipping_address: placed.shipping_address.clone(),
            payment_deadline: placed.payment_deadline,
            open_payment: None,
            paid_by: None,
            paid_at: None,
            shipment_id: None,
            hold: None,
            cancellation: None,
            late_payments: Vec::new(),
            notes: 0,
            packed: false,
            delivered_at: None,
            returns: Returns::default(),
            replaces: placed.replaces,
        }
    }

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            // Decided only once per stream; another one changes nothing.
            OrderEvent::Placed(_) => {}
            OrderEvent::PaymentOpened(opened) => {
                self.status = OrderStatus::AwaitingPayment;
                self.open_payment = Some(opened.payment_id);
            }
            OrderEvent::PaymentFailed(failed) => {
                if self.open_payment == Some(failed.payment_id) {
                    self.open_payment = None;
                }
            }
            OrderEvent::Paid(paid) => {
                self.status = OrderStatus::Paid;
                self.open_payment = None;
                self.paid_by = paid.payment_id;
                self.paid_at = paid.paid_at;
            }
            OrderEvent::Expired(_) => self.end(OrderStatus::Expired),
            OrderEvent::PreparationStarted(started) => {
                self.status = OrderStatus::Preparing;
                self.shipment_id = Some(started.shipment_id);
                self.packed = false;
            }
            OrderEvent::LinesCancelled(cancelled) => self.lose_lines(cancelled),
            OrderEvent::Packed(_) => self.packed = true,
            OrderEvent::Shipped(_) => self.status = OrderStatus::Shipped,
            OrderEvent::Delivered(delivered) => {
                self.status = OrderStatus::Delivered;
                self.delivered_at = delivered.delivered_at;
            }
            OrderEvent::Completed(_) => self.end(OrderStatus::Completed),
            OrderEvent::CancellationRequested(requested) => {
                self.status = OrderStatus::Cancelling;
                self.cancellation = Some(Cancellation { by: requested.by, reason: requested.reason.clone() });
            }
            OrderEvent::Cancelled(cancelled) => {
                self.cancellation = Some(Cancellation { by: cancelled.by, reason: cancelled.reason.clone() });
                self.end(OrderStatus::Cancelled);
            }
            OrderEvent::Failed(_) => self.end(OrderStatus::Failed),
            OrderEvent::LatePaymentDetected(late) => self.late_payments.push(late.payment_id),
            OrderEvent::PutOnHold(held) => self.hold = Some(held.reason.clone()),
            OrderEvent::HoldReleased(_) => self.hold = None,
            OrderEvent::AddressChanged(changed) => self.go_elsewhere(changed),
            OrderEvent::ReturnOpened(opened) => self.returns.open(opened),
            OrderEvent::ReturnEnded(ended) => self.returns.end(ended),
            OrderEvent::Noted(_) => self.notes = self.notes.saturating_add(1),
        }
    }

    fn end(&mut self, status: OrderStatus) {
        self.status = status;
        self.open_payment = None;
    }
}

impl Order {
    pub(super) fn fold(&mut self, event: &OrderEvent) {
        match (&mut self.standing, event) {
            (Some(standing), event) => standing.evolve(event),
            (None, OrderEvent::Placed(placed)) => self.standing = Some(Standing::new(placed)),
            (None, _) => {}
        }
    }

    /// Its status; none before it is placed.
    #[must_use]
    pub fn status(&self) -> Option<OrderStatus> {
        self.standing.as_ref().map(|standing| standing.status)
    }
    /// The buyer.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.standing.as_ref().map(|standing| standing.user_id)
    }
    /// What was sold, one line per product.
    #[must_use]
    pub fn lines(&self) -> &[OrderLine] {
        self.standing.as_ref().map_or(&[], |standing| &standing.lines)
    }
    /// The total to be paid.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        self.standing.as_ref().map(|standing| standing.total)
    }
    /// The delivery address, sealed.
    #[must_use]
    pub fn shipping_address(&self) -> Option<&Sealed> {
        self.standing.as_ref().map(|standing| &standing.shipping_address)
    }
    /// When it expires, if it is still unpaid then.
    #[must_use]
    pub fn payment_deadline(&self) -> Option<Timestamp> {
        self.standing.as_ref().map(|standing| standing.payment_deadline)
    }
    /// The payment that is open and not decided.
    #[must_use]
    pub fn open_payment(&self) -> Option<PaymentId> {
        self.standing.as_ref().and_then(|standing| standing.open_payment)
    }
    /// The exchange that it is sent for, if it is.
    #[must_use]
    pub fn replaces(&self) -> Option<&Replaces> {
        self.standing.as_ref().and_then(|standing| standing.replaces.as_ref())
    }
    /// The payment that what was paid for its goods is in: its own, or that of the order whose goods
    /// it replaces.
    #[must_use]
    pub fn money_in(&self) -> Option<PaymentId> {
        self.paid_by().or_else(|| self.replaces().and_then(|replaces| replaces.payment_id))
    }
    /// The payment that paid it.
    #[must_use]
    pub fn paid_by(&self) -> Option<PaymentId> {
        self.standing.as_ref().and_then(|standing| standing.paid_by)
    }
    /// When it was paid.
    #[must_use]
    pub fn paid_at(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.paid_at)
    }
    /// Its parcel.
    #[must_use]
    pub fn shipment_id(&self) -> Option<ShipmentId> {
        self.standing.as_ref().and_then(|standing| standing.shipment_id)
    }
    /// Why it is on hold; none if it is not.
    #[must_use]
    pub fn hold(&self) -> Option<&Remark> {
        self.standing.as_ref().and_then(|standing| standing.hold.as_ref())
    }
    /// Who cancels or cancelled it, and why.
    #[must_use]
    pub fn cancellation(&self) -> Option<&Cancellation> {
        self.standing.as_ref().and_then(|standing| standing.cancellation.as_ref())
    }
}
