//! Orders, for the detail and for the lists.

use std::collections::BTreeSet;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderEvent, OrderLine, OrderLinesCancelled, OrderPlaced};
use jangbu_kernel::{
    AggregateKind, Money, OrderId, PaymentId, ProductId, Remark, Sealed, ShipmentId, Timestamp, UserId, Version,
};
use serde::{Deserialize, Serialize};

use crate::view::{
    Column, Fact, FoldError, Index, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next,
};

/// The status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OrderStatus {
    /// Placed; no payment was opened yet.
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
    /// Being cancelled: money and goods are being returned.
    Cancelling,
    /// Cancelled.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Could not be fulfilled.
    Failed,
}

jangbu_kernel::named!(OrderStatus);

/// What the order desk has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Desk {
    /// Paid, and its goods are not in the parcel yet.
    ToPack,
    /// Packed, and not handed over.
    ToSend,
    /// Somebody has to look before anything goes on.
    OnHold,
    /// Paid and not handed over, whether packed or not, after the time that the law gives.
    Late,
}

jangbu_kernel::named!(Desk);

/// A line as it was sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLineRow {
    /// The product that was bought.
    pub product_id: ProductId,
    /// The name of the product when it was sold.
    pub name: String,
    /// The price of one unit when it was sold.
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
    /// The buyer.
    pub user_id: UserId,
    /// Its status.
    pub status: OrderStatus,
    /// Why the order is on hold, while it is.
    pub on_hold: Option<Remark>,
    /// The lines.
    pub lines: Vec<OrderLineRow>,
    /// What was bought and then cancelled, one line per product.
    pub cancelled_lines: Vec<OrderLineRow>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// The discount.
    pub discount: Money,
    /// What shipping costs.
    pub shipping_fee: Money,
    /// The amount to be paid.
    pub total: Money,
    /// The delivery address, sealed.
    pub shipping_address: Sealed,
    /// The payment that was opened last.
    pub payment_id: Option<PaymentId>,
    /// Its parcels.
    pub shipment_ids: Vec<ShipmentId>,
    /// When it expires, if it is still unpaid then.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub payment_deadline: Timestamp,
    /// When it was placed.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub placed_at: Timestamp,
    /// When it was paid.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub paid_at: Option<Timestamp>,
    /// Not sent at this moment, it is late. None for what was paid under a version that did not
    /// keep it.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub ship_by: Option<Timestamp>,
    /// When its goods were put into the parcel that it has.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub packed_at: Option<Timestamp>,
    /// When the last parcel went out.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub shipped_at: Option<Timestamp>,
    /// When the last parcel arrived.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub delivered_at: Option<Timestamp>,
    /// When it was completed.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub completed_at: Option<Timestamp>,
    /// When it was cancelled.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub cancelled_at: Option<Timestamp>,
    /// Why it ended or is being cancelled, if a reason was given.
    pub close_reason: Option<Remark>,
    /// Returns of its goods that have not ended.
    pub open_returns: u32,
    /// The order whose goods it replaces, if it does.
    pub replaces_order_id: Option<OrderId>,
    /// The version of its stream that is folded in.
    pub version: Version,
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
        // 3: what the order desk has to do. 4: lines are cancelled. 5: goods come back. 6: the address changes.
        version: 6,
        key: KEY,
        columns: &[
            fixed("number", Kind::Text),
            fixed("user_id", Kind::Uuid),
            column("status", Kind::Text),
            column("desk", Kind::Text),
            column("ship_by", Kind::Time),
            fixed("placed_at", Kind::Time),
            fixed("currency", Kind::Text),
            column("total_minor", Kind::Int),
            fixed("products", Kind::Terms),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("number", "number"),
            index("placed", "placed_at, id"),
            index("user_placed", "user_id, placed_at, id"),
            index("status_placed", "status, placed_at, id"),
            index("user_status_placed", "user_id, status, placed_at, id"),
            Index { name: "desk_placed", columns: "desk, placed_at, id", only: "desk is not null" },
            Index { name: "ship_by", columns: "ship_by, id", only: "ship_by is not null" },
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
        if let OrderEvent::LinesCancelled(cancelled) = event {
            lose_lines(row, cancelled)?;
        }
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
            desk(row).map_or(Value::Text(None), |desk| Value::name(desk.name())),
            Value::Time(overdue_at(row)),
            Value::time(row.placed_at),
            Value::name(row.total.currency().code()),
            Value::int(row.total.minor_units()),
            // The products that the order was placed with, including those of cancelled lines.
            Value::Terms(product_terms(row.lines.iter().chain(&row.cancelled_lines).map(|line| line.product_id))),
            Value::count(row.version),
        ]
    }
}

/// What the desk has to do about it, apart from whether it is late.
fn desk(row: &OrderRow) -> Option<Desk> {
    let held = row.on_hold.is_some();
    match row.status {
        OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Failed => None,
        _ if held => Some(Desk::OnHold),
        OrderStatus::Paid | OrderStatus::Preparing if row.packed_at.is_some() => Some(Desk::ToSend),
        OrderStatus::Paid | OrderStatus::Preparing => Some(Desk::ToPack),
        OrderStatus::Placed
        | OrderStatus::AwaitingPayment
        | OrderStatus::Shipped
        | OrderStatus::Delivered
        | OrderStatus::Cancelling => None,
    }
}

/// From when on it is late, while nothing of it was sent.
fn overdue_at(row: &OrderRow) -> Option<Timestamp> {
    let waits = matches!(row.status, OrderStatus::Paid | OrderStatus::Preparing) && row.shipped_at.is_none();
    row.ship_by.filter(|_| waits)
}

/// The products of an order, as it was placed, as terms that are looked for: their ids.
pub(crate) fn product_terms(products: impl Iterator<Item = ProductId>) -> String {
    let ids: BTreeSet<String> = products.map(|id| id.uuid().simple().to_string()).collect();
    ids.into_iter().collect::<Vec<_>>().join(" ")
}

fn placed_row(placed: &OrderPlaced, fact: &Fact) -> OrderRow {
    OrderRow {
        id: OrderId::new(fact.stream.id),
        number: placed.number.clone(),
        user_id: placed.user_id,
        status: OrderStatus::Placed,
        on_hold: None,
        lines: placed.lines.iter().map(OrderLineRow::from).collect(),
        cancelled_lines: Vec::new(),
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
        ship_by: None,
        packed_at: None,
        shipped_at: None,
        delivered_at: None,
        completed_at: None,
        cancelled_at: None,
        close_reason: None,
        open_returns: 0,
        replaces_order_id: placed.replaces.map(|replaces| replaces.order_id),
        version: fact.version,
        updated_at: fact.at,
    }
}

/// Moves cancelled units from the lines to the cancelled lines.
fn lose_lines(row: &mut OrderRow, cancelled: &OrderLinesCancelled) -> Result<(), FoldError> {
    const NOT_THERE: FoldError = FoldError::Unfit("lines are cancelled that are not in the order");
    let mut lines = row.lines.clone();
    for gone in &cancelled.lines {
        let line = lines.iter_mut().find(|line| line.product_id == gone.product_id).ok_or(NOT_THERE)?;
        line.quantity = line.quantity.checked_sub(gone.quantity).ok_or(NOT_THERE)?;
        line.line_total = line.unit_price.checked_mul(line.quantity)?;
    }
    lines.retain(|line| line.quantity > 0);
    let mut gone = row.cancelled_lines.clone();
    for line in &cancelled.lines {
        match gone.iter_mut().find(|known| known.product_id == line.product_id) {
            Some(known) => {
                known.quantity = known.quantity.saturating_add(line.quantity);
                known.line_total = known.line_total.checked_add(&line.line_total)?;
            }
            None => gone.push(OrderLineRow::from(line)),
        }
    }
    (row.lines, row.cancelled_lines) = (lines, gone);
    (row.subtotal, row.total) = (cancelled.subtotal, cancelled.total);
    Ok(())
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
            row.ship_by = paid.ship_by;
        }
        OrderEvent::Expired(_) => row.status = OrderStatus::Expired,
        OrderEvent::PreparationStarted(started) => {
            row.status = OrderStatus::Preparing;
            row.packed_at = None;
            if !row.shipment_ids.contains(&started.shipment_id) {
                row.shipment_ids.push(started.shipment_id);
            }
        }
        OrderEvent::Packed(_) => row.packed_at = Some(at),
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
        OrderEvent::AddressChanged(changed) => {
            row.shipping_address = changed.shipping_address.clone();
            (row.shipping_fee, row.total) = (changed.shipping_fee, changed.total);
        }
        OrderEvent::ReturnOpened(_) => row.open_returns = row.open_returns.saturating_add(1),
        OrderEvent::ReturnEnded(_) => row.open_returns = row.open_returns.saturating_sub(1),
        // These do not change the status; the creation and cancelled lines are folded before.
        OrderEvent::PaymentFailed(_)
        | OrderEvent::LinesCancelled(_)
        | OrderEvent::LatePaymentDetected(_)
        | OrderEvent::Noted(_)
        | OrderEvent::Placed(_) => {}
    }
}
