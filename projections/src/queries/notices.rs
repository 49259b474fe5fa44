//! The notices.

use jangbu_aggregates::notice::NoticeState;
use jangbu_kernel::{NoticeId, OrderId};

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::Value;
use crate::views::NoticeRow;

/// Which notices to list. An absent field is no condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// In this state.
    pub state: Option<NoticeState>,
    /// About this order.
    pub order_id: Option<OrderId>,
}

const CREATED: Order =
    Order { name: "notices", columns: &[("created_at", Like::Time), ("notice_id", Like::Uuid)], descending: true };

impl Queries {
    /// A notice.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn notice(&self, id: NoticeId) -> Result<Option<NoticeRow>, QueryError> {
        let select = Select::from(self.models.engine.table("notices")).with("notice_id", "=", Value::id(id));
        self.first(select, "").await
    }

    /// Notices, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn notices(&self, filter: NoticeFilter, page: &PageRequest) -> Result<Page<NoticeRow>, QueryError> {
        let select = Select::from(self.models.engine.table("notices"))
            .with_some("state", "=", filter.state.map(|state| Value::text(state.name())))
            .with_some("order_id", "=", filter.order_id.map(Value::id));
        self.page(select, &CREATED, page, |row: &NoticeRow| vec![Value::time(row.created_at), Value::id(row.id)]).await
    }
}
