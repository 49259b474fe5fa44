//! What can be asked of a category, and what it decides.

use jangbu_kernel::{AggregateKind, CategoryId, Decider, Decision, Refusal, RefusalCode};

use super::event::{
    CategoryChildAdded, CategoryChildRemoved, CategoryCreated, CategoryEvent, CategoryMoved, CategoryRemoved,
    CategoryRenamed,
};
use super::state::{Category, Shelf};
use crate::checks;
use crate::facts::Facts;

/// Characters of a category's name.
const LONGEST_NAME: usize = 100;
/// Categories right below one.
pub const MOST_CHILDREN: usize = 1_000;

/// What can be asked of a category.
#[derive(Clone, Debug, PartialEq)]
pub enum CategoryCommand {
    /// Be there.
    Create(CategoryCreated),
    /// Have this name.
    Rename(String),
    /// Be right below this category, or at the top.
    Move(Option<CategoryId>),
    /// Have this category right below.
    AddChild(CategoryId),
    /// Do not have this category right below.
    RemoveChild(CategoryId),
    /// Be gone for good.
    Remove,
}

impl Decider for Category {
    const KIND: AggregateKind = AggregateKind::Category;
    const STATE_VERSION: u16 = 1;
    type Event = CategoryEvent;
    type Command = CategoryCommand;
    type Facts = Facts;

    fn decide(&self, command: &CategoryCommand, _: &Facts) -> Decision<CategoryEvent> {
        let Some(shelf) = self.shelf() else { return self.decide_without_shelf(command) };
        match command {
            CategoryCommand::Create(_) => Decision::AlreadyDone,
            CategoryCommand::Rename(name) if *name == shelf.name => Decision::AlreadyDone,
            CategoryCommand::Rename(name) => match check_name(name) {
                Ok(()) => Decision::one(CategoryRenamed { name: name.clone() }),
                Err(refusal) => refusal.into(),
            },
            CategoryCommand::Move(parent_id) if *parent_id == shelf.parent_id => Decision::AlreadyDone,
            CategoryCommand::Move(parent_id) => Decision::one(CategoryMoved { parent_id: *parent_id }),
            CategoryCommand::AddChild(category_id) => add(shelf, *category_id),
            CategoryCommand::RemoveChild(category_id) if shelf.children.contains(category_id) => {
                Decision::one(CategoryChildRemoved { category_id: *category_id })
            }
            CategoryCommand::RemoveChild(_) => Decision::AlreadyDone,
            CategoryCommand::Remove if shelf.children.is_empty() => Decision::one(CategoryRemoved {}),
            CategoryCommand::Remove => {
                let detail = format!("{} categories are below it: move or remove them first", shelf.children.len());
                Refusal::new(RefusalCode::CategoryNotEmpty, detail).into()
            }
        }
    }

    fn evolve(&mut self, event: &CategoryEvent) {
        self.fold(event);
    }
}

impl Category {
    fn decide_without_shelf(&self, command: &CategoryCommand) -> Decision<CategoryEvent> {
        match command {
            CategoryCommand::Create(_) | CategoryCommand::Remove | CategoryCommand::RemoveChild(_)
                if self.is_removed() =>
            {
                Decision::AlreadyDone
            }
            CategoryCommand::Create(created) => match check_name(&created.name) {
                Ok(()) => Decision::one(created.clone()),
                Err(refusal) => refusal.into(),
            },
            CategoryCommand::Rename(_)
            | CategoryCommand::Move(_)
            | CategoryCommand::AddChild(_)
            | CategoryCommand::RemoveChild(_)
            | CategoryCommand::Remove => checks::not_found("category").into(),
        }
    }
}

fn add(shelf: &Shelf, category_id: CategoryId) -> Decision<CategoryEvent> {
    if shelf.children.contains(&category_id) {
        return Decision::AlreadyDone;
    }
    if shelf.children.len() >= MOST_CHILDREN {
        let detail = format!("a category has at most {MOST_CHILDREN} right below it");
        return Refusal::new(RefusalCode::ValidationFailed, detail).at("/parent_id").into();
    }
    Decision::one(CategoryChildAdded { category_id })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        let detail = format!("a name has 1 to {LONGEST_NAME} characters");
        return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/name"));
    }
    Ok(())
}
