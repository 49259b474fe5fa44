//! What staff wrote about orders.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderEvent, OrderNoted};
use jangbu_kernel::{AggregateKind, OrderId, Remark, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Key, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, fixed};

/// A note about an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderNoteRow {
    /// About which order.
    pub order_id: OrderId,
    /// The version of the order's stream that it is: rising, with gaps.
    pub number: Version,
    /// What was written.
    pub note: Remark,
    /// Who wrote it.
    pub by: UserId,
    /// The time at which it was recorded.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub at: Timestamp,
}

/// The view "order_notes".
pub struct OrderNotesView;

impl View for OrderNotesView {
    type Row = OrderNoteRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "order_notes",
        version: 1,
        key: &[column("order_id", Kind::Uuid), column("number", Kind::Int)],
        columns: &[fixed("by_user", Kind::Uuid), fixed("at", Kind::Time)],
        indexes: &[],
    };
    const SHOWS: Shows = Shows::Only(AggregateKind::Order, &[OrderNoted::TYPE]);

    fn key(fact: &Fact) -> Key {
        Key::number(fact.stream.id, fact.version)
    }

    fn builds_on_row(_: &Fact) -> bool {
        false
    }

    fn fold(row: &mut Option<OrderNoteRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Order(OrderEvent::Noted(noted)) = &fact.event else { return Err(NOT_SHOWN) };
        *row = Some(OrderNoteRow {
            order_id: OrderId::new(fact.stream.id),
            number: fact.version,
            note: noted.note.clone(),
            by: noted.by,
            at: fact.at,
        });
        Ok(())
    }

    fn columns(row: &OrderNoteRow) -> Vec<Value> {
        vec![Value::id(row.by), Value::time(row.at)]
    }
}
