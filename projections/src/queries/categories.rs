//! Categories.

use jangbu_kernel::CategoryId;

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::engine::sql;
use crate::view::{Kind, Value};
use crate::views::CategoryRow;

/// Categories below one whose products are found with its own. A tree that is larger loses its
/// deepest.
pub const MOST_BELOW: i64 = 1_000;

const BY_NAME: Order =
    Order { name: "categories", columns: &[("name", Like::Text), ("id", Like::Uuid)], descending: false };

/// Which categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CategoryPlace {
    /// All of them.
    #[default]
    Anywhere,
    /// Those right below this one.
    Below(CategoryId),
    /// Those at the top.
    Top,
}

impl Queries {
    /// A category.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn category(&self, id: CategoryId) -> Result<Option<CategoryRow>, QueryError> {
        self.first(Select::from(self.models.engine.table("categories")).with("id", "=", Value::id(id)), "").await
    }

    /// Categories, by name.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn categories(&self, place: CategoryPlace, page: &PageRequest) -> Result<Page<CategoryRow>, QueryError> {
        let all = Select::from(self.models.engine.table("categories"));
        let select = match place {
            CategoryPlace::Anywhere => all,
            CategoryPlace::Below(parent_id) => all.with("parent_id", "=", Value::id(parent_id)),
            CategoryPlace::Top => all.when("parent_id is null"),
        };
        self.page(select, &BY_NAME, page, |row: &CategoryRow| vec![Value::text(&row.name), Value::id(row.id)]).await
    }

    /// A category and those below it on every level, the nearest first, [`MOST_BELOW`] at most.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn category_and_below(&self, id: CategoryId) -> Result<Vec<CategoryId>, QueryError> {
        let engine = &self.models.engine;
        let table = engine.table("categories");
        // The levels are counted so that a damaged table with a cycle ends, too.
        let text = format!(
            "with recursive below(id, level) as (
                 select $1, 1
                 union all
                 select c.id, b.level + 1 from {table} c join below b on c.parent_id = b.id where b.level < 64
             ) select id from below order by level limit {MOST_BELOW}"
        );
        let rows = engine.select(sql(text, vec![Value::id(id)]), &[Kind::Uuid]).await?;
        let ids = rows.iter().filter_map(|row| match row.first() {
            Some(Value::Uuid(Some(id))) => Some(CategoryId::new(*id)),
            Some(_) | None => None,
        });
        Ok(ids.collect())
    }
}
