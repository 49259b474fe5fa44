//! Returns of goods.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::returns::{Remedy, ReturnEvent, ReturnReason, ReturnRequested, ReturnStatus, WayBack};
use jangbu_kernel::{
    AggregateKind, Money, OrderId, PaymentId, ProductId, RefundId, Remark, ReturnId, Timestamp, UserId, Version,
};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// A line of a return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnLineRow {
    /// The product.
    pub product_id: ProductId,
    /// The name it was sold under.
    pub name: String,
    /// The price of one, as sold.
    pub unit_price: Money,
    /// Units that are to come back.
    pub quantity: u32,
    /// Units that came back and can be sold again.
    pub restocked: u32,
    /// Units that came back and cannot be sold.
    pub written_off: u32,
}

/// A return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnRow {
    /// Its id.
    pub id: ReturnId,
    /// The order whose goods come back.
    pub order_id: OrderId,
    /// The buyer.
    pub user_id: UserId,
    /// Its status.
    pub status: ReturnStatus,
    /// Why the goods come back.
    pub reason: ReturnReason,
    /// What the buyer wants, or got once it is closed.
    pub remedy: Remedy,
    /// Who pays for the way back.
    pub way_back: WayBack,
    /// The goods.
    pub lines: Vec<ReturnLineRow>,
    /// What was written with the request.
    pub note: Option<Remark>,
    /// Why it was rejected or withdrawn.
    pub ended_because: Option<Remark>,
    /// What was written at the inspection.
    pub inspection_note: Option<Remark>,
    /// What is taken off the refund for the way back.
    pub fee: Option<Money>,
    /// It lapses if the goods are not on their way by then.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub send_by: Option<Timestamp>,
    /// The carrier of the way back.
    pub carrier: Option<String>,
    /// The carrier's number.
    pub tracking_number: Option<String>,
    /// When the goods came back.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub received_at: Option<Timestamp>,
    /// The refund is late if it is not requested by then.
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    pub refund_due_at: Option<Timestamp>,
    /// What was refunded.
    pub refunded: Option<Money>,
    /// The refund.
    pub refund_id: Option<RefundId>,
    /// The payment that it was refunded from.
    pub payment_id: Option<PaymentId>,
    /// The further order of an exchange.
    pub replacement_order_id: Option<OrderId>,
    /// When it was requested.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
    /// When its last event was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub updated_at: Timestamp,
}

impl ReturnRow {
    /// By when the goods have to be on their way, while they are not.
    fn lapses_at(&self) -> Option<Timestamp> {
        self.send_by.filter(|_| self.status == ReturnStatus::Approved)
    }

    /// By when the refund has to be requested, while it is not.
    fn due_at(&self) -> Option<Timestamp> {
        self.refund_due_at.filter(|_| matches!(self.status, ReturnStatus::Received | ReturnStatus::Inspected))
    }
}

/// The view "returns".
pub struct ReturnsView;

impl View for ReturnsView {
    type Row = ReturnRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "returns",
        version: 1,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            fixed("order_id", Kind::Uuid),
            fixed("user_id", Kind::Uuid),
            column("status", Kind::Text),
            column("lapses_at", Kind::Time),
            column("due_at", Kind::Time),
            fixed("created_at", Kind::Time),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("created", "created_at, id"),
            index("order_created", "order_id, created_at, id"),
            index("user_created", "user_id, created_at, id"),
            index("status_created", "status, created_at, id"),
            index("lapses", "lapses_at, id"),
            index("due", "due_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Return);

    fn fold(row: &mut Option<ReturnRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Return(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let ReturnEvent::Requested(requested) = event {
            first(row, fact)?;
            *row = Some(begun(requested, fact));
            return Ok(());
        }
        let known = next(row, |row| row.version, fact)?;
        known.version = fact.version;
        known.updated_at = fact.at;
        change(known, event, fact);
        Ok(())
    }

    fn columns(row: &ReturnRow) -> Vec<Value> {
        vec![
            Value::id(row.order_id),
            Value::id(row.user_id),
            Value::name(row.status.name()),
            Value::Time(row.lapses_at()),
            Value::Time(row.due_at()),
            Value::time(row.created_at),
            Value::count(row.version),
        ]
    }
}

fn begun(requested: &ReturnRequested, fact: &Fact) -> ReturnRow {
    let lines = requested.lines.iter().map(|line| ReturnLineRow {
        product_id: line.product_id,
        name: line.name.clone(),
        unit_price: line.unit_price,
        quantity: line.quantity,
        restocked: 0,
        written_off: 0,
    });
    ReturnRow {
        id: ReturnId::new(fact.stream.id),
        order_id: requested.order_id,
        user_id: requested.user_id,
        status: ReturnStatus::Requested,
        reason: requested.reason,
        remedy: requested.remedy,
        way_back: requested.way_back,
        lines: lines.collect(),
        note: requested.note.clone(),
        ended_because: None,
        inspection_note: None,
        fee: None,
        send_by: None,
        carrier: None,
        tracking_number: None,
        received_at: None,
        refund_due_at: None,
        refunded: None,
        refund_id: None,
        payment_id: None,
        replacement_order_id: None,
        created_at: fact.at,
        version: fact.version,
        updated_at: fact.at,
    }
}

fn change(known: &mut ReturnRow, event: &ReturnEvent, fact: &Fact) {
    match event {
        ReturnEvent::Requested(_) => {}
        ReturnEvent::Approved(approved) => {
            known.status = ReturnStatus::Approved;
            (known.fee, known.send_by) = (Some(approved.fee), Some(approved.send_by));
        }
        ReturnEvent::Rejected(rejected) => {
            known.status = ReturnStatus::Rejected;
            known.ended_because = Some(rejected.reason.clone());
        }
        ReturnEvent::Withdrawn(withdrawn) => {
            known.status = ReturnStatus::Withdrawn;
            known.ended_because.clone_from(&withdrawn.reason);
        }
        ReturnEvent::Sent(sent) => {
            known.status = ReturnStatus::InTransit;
            known.carrier = Some(sent.carrier.clone());
            known.tracking_number = Some(sent.tracking_number.clone());
        }
        ReturnEvent::Received(received) => {
            known.status = ReturnStatus::Received;
            (known.received_at, known.refund_due_at) = (Some(fact.at), Some(received.refund_due_at));
        }
        ReturnEvent::Inspected(inspected) => {
            known.status = ReturnStatus::Inspected;
            known.inspection_note.clone_from(&inspected.note);
            for found in &inspected.lines {
                if let Some(line) = known.lines.iter_mut().find(|line| line.product_id == found.product_id) {
                    (line.restocked, line.written_off) = (found.restocked, found.written_off);
                }
            }
        }
        ReturnEvent::Closed(closed) => {
            known.status = ReturnStatus::Closed;
            known.remedy = closed.remedy;
            known.refunded = Some(closed.refunded);
            (known.refund_id, known.payment_id) = (closed.refund_id, closed.payment_id);
            known.replacement_order_id = closed.replacement_order_id;
        }
    }
}
