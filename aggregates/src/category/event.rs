//! What happened to a category. Storage format.

use jangbu_kernel::{CategoryId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a category.
    pub enum CategoryEvent {
        "category.created" v 1 => Created(CategoryCreated),
        "category.renamed" v 1 => Renamed(CategoryRenamed),
        "category.moved" v 1 => Moved(CategoryMoved),
        "category.child_added" v 1 => ChildAdded(CategoryChildAdded),
        "category.child_removed" v 1 => ChildRemoved(CategoryChildRemoved),
        "category.removed" v 1 => Removed(CategoryRemoved),
    }
}

/// Products can be filed here from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryCreated {
    /// What it is called.
    pub name: String,
    /// The category that it is a part of; none for one at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
}

/// It has another name from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryRenamed {
    /// What it is called.
    pub name: String,
}

/// It is a part of another category from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryMoved {
    /// The category that it is a part of; none for one at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
}

/// Another category is right below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryChildAdded {
    /// The category below.
    pub category_id: CategoryId,
}

/// Another category is not below it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryChildRemoved {
    /// The category that was below.
    pub category_id: CategoryId,
}

/// It is gone for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryRemoved {}
