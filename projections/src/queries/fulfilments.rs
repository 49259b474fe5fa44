//! The process manager's instances.

use std::time::Duration;

use jangbu_kernel::{OrderId, Timestamp};

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::Value;
use crate::views::FulfilmentRow;

/// The states by which operators tell processes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FulfilmentState {
    /// In progress.
    Running,
    /// Undoing what was done.
    Compensating,
    /// A person has to decide.
    Parked,
    /// It has ended.
    Ended,
}

jangbu_kernel::named!(FulfilmentState);

/// Which processes to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FulfilmentFilter {
    /// In this state.
    pub state: Option<FulfilmentState>,
    /// Those that somebody should look at: parked ones, and those that have not ended, are not at
    /// rest, and have had no event for this long before the given time.
    pub stuck_for: Option<(Duration, Timestamp)>,
}

const STARTED: Order =
    Order { name: "fulfilments", columns: &[("started_at", Like::Time), ("order_id", Like::Uuid)], descending: true };

impl Queries {
    /// The fulfilment of an order.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn fulfilment(&self, order_id: OrderId) -> Result<Option<FulfilmentRow>, QueryError> {
        let select = Select::from(self.models.engine.table("fulfilments")).with("order_id", "=", Value::id(order_id));
        self.first(select, "").await
    }

    /// Processes, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn fulfilments(
        &self,
        filter: &FulfilmentFilter,
        page: &PageRequest,
    ) -> Result<Page<FulfilmentRow>, QueryError> {
        let mut select = Select::from(self.models.engine.table("fulfilments")).with_some(
            "state",
            "=",
            filter.state.map(|state| Value::text(state.name())),
        );
        if let Some((quiet, now)) = filter.stuck_for {
            let quiet = chrono::TimeDelta::from_std(quiet).unwrap_or(chrono::TimeDelta::MAX);
            let since = now.checked_sub_signed(quiet).unwrap_or_default();
            let since = select.param(Value::time(since));
            select = select.when(format!(
                "(state = 'parked' or (state in ('running', 'compensating') and not at_rest and updated_at <= {since}))"
            ));
        }
        self.page(select, &STARTED, page, |row: &FulfilmentRow| {
            vec![Value::time(row.started_at), Value::id(row.order_id)]
        })
        .await
    }
}
