//! What a category keeps in mind.

use std::collections::BTreeSet;

use jangbu_kernel::CategoryId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::CategoryEvent;

/// A category; before it is created, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Category {
    shelf: Option<Shelf>,
    removed: bool,
}

/// A category that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Shelf {
    pub(super) name: String,
    pub(super) parent_id: Option<CategoryId>,
    pub(super) children: BTreeSet<CategoryId>,
}

impl Category {
    pub(super) fn fold(&mut self, event: &CategoryEvent) {
        match (event, &mut self.shelf) {
            (CategoryEvent::Created(created), shelf @ None) => {
                let (name, parent_id) = (created.name.clone(), created.parent_id);
                *shelf = Some(Shelf { name, parent_id, children: BTreeSet::new() });
            }
            (CategoryEvent::Renamed(renamed), Some(shelf)) => shelf.name.clone_from(&renamed.name),
            (CategoryEvent::Moved(moved), Some(shelf)) => shelf.parent_id = moved.parent_id,
            (CategoryEvent::ChildAdded(added), Some(shelf)) => {
                shelf.children.insert(added.category_id);
            }
            (CategoryEvent::ChildRemoved(gone), Some(shelf)) => {
                shelf.children.remove(&gone.category_id);
            }
            (CategoryEvent::Removed(_), shelf) => (*shelf, self.removed) = (None, true),
            (
                CategoryEvent::Created(_)
                | CategoryEvent::Renamed(_)
                | CategoryEvent::Moved(_)
                | CategoryEvent::ChildAdded(_)
                | CategoryEvent::ChildRemoved(_),
                Some(_) | None,
            ) => {}
        }
    }

    /// Whether products can be filed in it.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.shelf.is_some()
    }
    /// Whether it was there and is gone for good.
    #[must_use]
    pub const fn is_removed(&self) -> bool {
        self.removed
    }
    /// The category right above it; none for one at the top and for one that is not there.
    #[must_use]
    pub fn parent_id(&self) -> Option<CategoryId> {
        self.shelf.as_ref().and_then(|shelf| shelf.parent_id)
    }
    pub(super) const fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref()
    }
}
