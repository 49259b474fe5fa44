//! What a product decides.

use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode};

use super::command::ProductCommand;
use super::event::{ProductActivated, ProductCreated, ProductDeactivated, ProductEvent};
use super::state::Product;
use crate::checks;
use crate::facts::Facts;

/// Characters of a product's name.
const LONGEST_NAME: usize = 200;
/// Characters of a product's description.
const LONGEST_DESCRIPTION: usize = 5_000;

impl Decider for Product {
    const KIND: AggregateKind = AggregateKind::Product;
    const STATE_VERSION: u16 = 1;
    type Event = ProductEvent;
    type Command = ProductCommand;
    type Facts = Facts;

    fn decide(&self, command: &ProductCommand, _: &Facts) -> Decision<ProductEvent> {
        match command {
            ProductCommand::Create(_) if self.exists() => Decision::AlreadyDone,
            ProductCommand::Create(created) => match check(created) {
                Ok(()) => Decision::one(created.clone()),
                Err(refusal) => refusal.into(),
            },
            ProductCommand::Activate | ProductCommand::Deactivate if !self.exists() => {
                checks::not_found("product").into()
            }
            ProductCommand::Activate if self.is_active() => Decision::AlreadyDone,
            ProductCommand::Activate => Decision::one(ProductActivated {}),
            ProductCommand::Deactivate if self.is_active() => Decision::one(ProductDeactivated {}),
            ProductCommand::Deactivate => Decision::AlreadyDone,
        }
    }

    fn evolve(&mut self, event: &ProductEvent) {
        self.fold(event);
    }
}

fn check(created: &ProductCreated) -> Result<(), Refusal> {
    let invalid = |detail: String, pointer| Err(Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer));
    if created.name.trim().is_empty() || created.name.chars().count() > LONGEST_NAME {
        return invalid(format!("a name has 1 to {LONGEST_NAME} characters"), "/name");
    }
    if created.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return invalid(format!("a description has at most {LONGEST_DESCRIPTION} characters"), "/description");
    }
    if created.price.is_negative() {
        return invalid("a price is not negative".to_owned(), "/price");
    }
    Ok(())
}
