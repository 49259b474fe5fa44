//! Users and their points.

use jangbu_kernel::UserId;

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::Value;
use crate::views::{PointsEntryRow, PointsRow, UserRow, UserStatus};

/// Which users to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// In this state.
    pub status: Option<UserStatus>,
    /// True: with a role beyond customer. False: without one.
    pub staff: Option<bool>,
}

const REGISTERED: Order =
    Order { name: "users", columns: &[("registered_at", Like::Time), ("id", Like::Uuid)], descending: true };
const ENTRIES: Order = Order { name: "points_entries", columns: &[("number", Like::Int)], descending: true };

impl Queries {
    /// A user.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, QueryError> {
        self.first(Select::from(self.models.engine.table("users")).with("id", "=", Value::id(id)), "").await
    }

    /// Users, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn users(&self, filter: &UserFilter, page: &PageRequest) -> Result<Page<UserRow>, QueryError> {
        let select = Select::from(self.models.engine.table("users"))
            .with_some("status", "=", filter.status.map(|status| Value::text(status.name())))
            .with_some("is_staff", "=", filter.staff.map(Value::bool));
        self.page(select, &REGISTERED, page, |row: &UserRow| vec![Value::time(row.registered_at), Value::id(row.id)])
            .await
    }

    /// A user's points; zero for a user who was never granted any.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn points(&self, user_id: UserId) -> Result<PointsRow, QueryError> {
        let select = Select::from(self.models.engine.table("points")).with("user_id", "=", Value::id(user_id));
        Ok(self.first(select, "").await?.unwrap_or_else(|| PointsRow::empty(user_id)))
    }

    /// The entries that changed a user's balance, the newest first. Their amounts add up to the
    /// balance.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn points_entries(
        &self,
        user_id: UserId,
        page: &PageRequest,
    ) -> Result<Page<PointsEntryRow>, QueryError> {
        let select = Select::from(self.models.engine.table("points_entries"))
            .with("user_id", "=", Value::id(user_id))
            .when("changes_balance");
        self.page(select, &ENTRIES, page, |row: &PointsEntryRow| vec![Value::count(row.number)]).await
    }
}
