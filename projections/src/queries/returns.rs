//! Returns of goods.

use jangbu_aggregates::returns::ReturnStatus;
use jangbu_kernel::{OrderId, ReturnId, Timestamp, UserId};

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::Value;
use crate::views::ReturnRow;

/// Which returns to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnFilter {
    /// Of this order.
    pub order_id: Option<OrderId>,
    /// Of this buyer.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<ReturnStatus>,
    /// Whose refund had to be requested at this moment and was not.
    pub late_at: Option<Timestamp>,
}

const RETURNS: Order =
    Order { name: "returns", columns: &[("created_at", Like::Time), ("id", Like::Uuid)], descending: true };
/// What is late, the latest first.
const LATE: Order =
    Order { name: "returns-late", columns: &[("due_at", Like::Time), ("id", Like::Uuid)], descending: false };

impl Queries {
    /// A return.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn goods_return(&self, id: ReturnId) -> Result<Option<ReturnRow>, QueryError> {
        let select = Select::from(self.models.engine.table("returns")).with("id", "=", Value::id(id));
        self.first(select, "").await
    }

    /// Returns, the newest first; those that are late, the latest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn returns(&self, filter: &ReturnFilter, page: &PageRequest) -> Result<Page<ReturnRow>, QueryError> {
        let select = Select::from(self.models.engine.table("returns"))
            .with_some("order_id", "=", filter.order_id.map(Value::id))
            .with_some("user_id", "=", filter.user_id.map(Value::id))
            .with_some("status", "=", filter.status.map(|status| Value::text(status.name())));
        let Some(late_at) = filter.late_at else {
            let keys = |row: &ReturnRow| vec![Value::time(row.created_at), Value::id(row.id)];
            return self.page(select, &RETURNS, page, keys).await;
        };
        // Only rows that have the moment are listed.
        let keys = |row: &ReturnRow| vec![Value::Time(row.refund_due_at), Value::id(row.id)];
        self.page(select.with("due_at", "<=", Value::time(late_at)), &LATE, page, keys).await
    }
}
