//! Orders, for the detail and for the lists.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderEvent, OrderLine, OrderPlaced};
use jangbu_kernel::{
    AggregateKind, Money, OrderId, PaymentId, ProductId, Remark, Sealed, ShipmentId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::view::{
    Column, Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next,
};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OrderStatus {
    /// It stands; nobody has begun to pay.
    Placed,
    /// A payment is or was under way.
    AwaitingPayment,
    /// Paid.
    Paid,
    /// A parcel is being prepared.
    Preparing,
    /// Every parcel is on its way.
    Shipped,
    /// Every parcel arrived.
    Delivered,
    /// Done.
    Completed,
    /// Being called off: money and goods are being returned.
    Cancelling,
    /// Called off.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Could not be carried out.
    Failed,
}

jangbu_kernel::named!(OrderStatus);

/// A line as it was sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLineRow {
    /// The product that was bought.
    pub product_id: ProductId,
    /// What it was called.
    pub name: String,
    /// What one cost.
    pub unit_price: Money,
    /// Number of units.
    pub quantity: u32,
    /// `unit_price` times `quantity`.
    pub line_total: Money,
}

impl From<&OrderLine> for OrderLineRow {
    fn from(line: &OrderLine) -> Self {
        Self {
            product_id: line.product_id,
            name: line.name.clone(),
            unit_price: line.unit_price,
            quantity: line.quantity,
            line_total: line.line_total,
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Its id.
    pub id: OrderId,
    /// The number that people use.
    pub number: String,
    /// Who buys.
    pub user_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why nothing goes on, while somebody has to look.
    pub on_hold: Option<Remark>,
    /// What is bought.
    pub lines: Vec<OrderLineRow>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What sending it costs.
    pub shipping_fee: Money,
    /// What is to be paid.
    pub total: Money,
    /// Where it goes, sealed.
    pub shipping_address: Sealed,
    /// The payment that was opened last.
    pub payment_id: Option<PaymentId>,
    /// Its parcels.
    pub shipment_ids: Vec<ShipmentId>,
    /// Unpaid at this moment, it expires.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub payment_deadline: Timestamp,
    /// When it was placed.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub placed_at: Timestamp,
    /// When it was paid.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub paid_at: Option<Timestamp>,
    /// When the last parcel went out.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub shipped_at: Option<Timestamp>,
    /// When the last parcel arrived.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub delivered_at: Option<Timestamp>,
    /// When it was done.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub completed_at: Option<Timestamp>,
    /// When it was called off.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub cancelled_at: Option<Timestamp>,
    /// Why it ended or is being called off, as far as a reason was given.
    pub close_reason: Option<Remark>,
    /// The version of its stream that is folded in.
    pub version: u64,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
}

/// The view "orders".
pub struct OrdersView;

const KEY: &[Column] = &[column("id", Kind::Uuid)];

impl View for OrdersView {
    type Row = OrderRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "orders",
        version: 2,
        key: KEY,
        columns: &[
            fixed("number", Kind::Text),
            fixed("user_id", Kind::Uuid),
            column("status", Kind::Text),
            fixed("placed_at", Kind::Time),
            fixed("currency", Kind::Text),
            fixed("total_minor", Kind::Int),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("number", "number"),
            index("placed", "placed_at, id"),
            index("user_placed", "user_id, placed_at, id"),
            index("status_placed", "status, placed_at, id"),
            index("user_status_placed", "user_id, status, placed_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Order);

    fn fold(row: &mut Option<OrderRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Order(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let OrderEvent::Placed(placed) = event {
            first(row, fact)?;
            *row = Some(placed_row(placed, fact));
            return Ok(());
        }
        let row = next(row, |row| row.version, fact)?;
        change(row, event, fact.at);
        row.version = fact.version;
        row.updated_at = fact.at;
        Ok(())
    }

    fn columns(row: &OrderRow) -> Vec<Value> {
        vec![
            Value::text(&row.number),
            Value::id(row.user_id),
            Value::name(row.status.name()),
            Value::time(row.placed_at),
            Value::name(row.total.currency().code()),
            Value::int(row.total.minor_units()),
            Value::count(row.version),
        ]
    }
}

fn placed_row(placed: &OrderPlaced, fact: &Fact) -> OrderRow {
    OrderRow {
        id: OrderId::new(fact.stream.id),
        number: placed.number.clone(),
        user_id: placed.user_id,
        status: OrderStatus::Placed,
        on_hold: None,
        lines: placed.lines.iter().map(OrderLineRow::from).collect(),
        subtotal: placed.subtotal,
        discount: placed.discount,
        shipping_fee: placed.shipping_fee,
        total: placed.total,
        shipping_address: placed.shipping_address.clone(),
        payment_id: None,
        shipment_ids: Vec::new(),
        payment_deadline: placed.payment_deadline,
        placed_at: fact.at,
        paid_at: None,
        shipped_at: None,
        delivered_at: None,
        completed_at: None,
        cancelled_at: None,
        close_reason: None,
        version: fact.version,
        updated_at: fact.at,
    }
}

fn change(row: &mut OrderRow, event: &OrderEvent, at: Timestamp) {
    match event {
        OrderEvent::PaymentOpened(opened) => {
            row.payment_id = Some(opened.payment_id);
            row.status = OrderStatus::AwaitingPayment;
        }
        OrderEvent::Paid(paid) => {
            row.payment_id = paid.payment_id.or(row.payment_id);
            row.status = OrderStatus::Paid;
            row.paid_at = paid.paid_at.or(Some(at));
        }
        OrderEvent::Expired(_) => row.status = OrderStatus::Expired,
        OrderEvent::PreparationStarted(started) => {
            row.status = OrderStatus::Preparing;
            if !row.shipment_ids.contains(&started.shipment_id) {
                row.shipment_ids.push(started.shipment_id);
            }
        }
        OrderEvent::Shipped(_) => {
            row.status = OrderStatus::Shipped;
            row.shipped_at = Some(at);
        }
        OrderEvent::Delivered(_) => {
            row.status = OrderStatus::Delivered;
            row.delivered_at = Some(at);
        }
        OrderEvent::Completed(_) => {
            row.status = OrderStatus::Completed;
            row.completed_at = Some(at);
        }
        OrderEvent::CancellationRequested(requested) => {
            row.status = OrderStatus::Cancelling;
            row.close_reason.clone_from(&requested.reason);
        }
        OrderEvent::Cancelled(cancelled) => {
            row.status = OrderStatus::Cancelled;
            row.cancelled_at = Some(at);
            if cancelled.reason.is_some() {
                row.close_reason.clone_from(&cancelled.reason);
            }
        }
        OrderEvent::Failed(failed) => {
            row.status = OrderStatus::Failed;
            row.close_reason = Some(Remark::code(&failed.reason));
        }
        OrderEvent::PutOnHold(hold) => row.on_hold = Some(hold.reason.clone()),
        OrderEvent::HoldReleased(_) => row.on_hold = None,
        // The order stands where it stood; the creation is folded before.
        OrderEvent::PaymentFailed(_) | OrderEvent::LatePaymentDetected(_) | OrderEvent::Placed(_) => {}
    }
}
