//! The categories of the catalogue.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::category::CategoryEvent;
use jangbu_kernel::{AggregateKind, CategoryId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryRow {
    /// Its id.
    pub id: CategoryId,
    /// What it is called.
    pub name: String,
    /// The category that it is a part of; none for one at the top.
    pub parent_id: Option<CategoryId>,
    /// Categories right below it.
    pub children: u32,
    /// When it was made.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
}

/// The view "categories".
pub struct CategoriesView;

impl View for CategoriesView {
    type Row = CategoryRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "categories",
        version: 1,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            column("name", Kind::Text),
            column("parent_id", Kind::Uuid),
            fixed("created_at", Kind::Time),
            column("version", Kind::Int),
        ],
        indexes: &[index("name", "name, id"), index("parent", "parent_id, name, id")],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Category);

    fn fold(row: &mut Option<CategoryRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Category(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let CategoryEvent::Created(created) = event {
            first(row, fact)?;
            *row = Some(CategoryRow {
                id: CategoryId::new(fact.stream.id),
                name: created.name.clone(),
                parent_id: created.parent_id,
                children: 0,
                created_at: fact.at,
                version: fact.version,
            });
            return Ok(());
        }
        let known = next(row, |row| row.version, fact)?;
        known.version = fact.version;
        match event {
            CategoryEvent::Renamed(renamed) => known.name.clone_from(&renamed.name),
            CategoryEvent::Moved(moved) => known.parent_id = moved.parent_id,
            CategoryEvent::ChildAdded(_) => known.children = known.children.saturating_add(1),
            CategoryEvent::ChildRemoved(_) => known.children = known.children.saturating_sub(1),
            CategoryEvent::Removed(_) => *row = None,
            CategoryEvent::Created(_) => {}
        }
        Ok(())
    }

    fn columns(row: &CategoryRow) -> Vec<Value> {
        vec![
            Value::text(&row.name),
            Value::Uuid(row.parent_id.map(Into::into)),
            Value::time(row.created_at),
            Value::count(row.version),
        ]
    }
}
