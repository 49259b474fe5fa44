//! What a product decides.

use jangbu_kernel::{AggregateKind, Decider, Decision};

use super::change::{changed, check_created};
use super::command::ProductCommand;
use super::event::{ProductActivated, ProductDeactivated, ProductEvent};
use super::state::Product;
use crate::checks;
use crate::facts::Facts;

impl Decider for Product {
    const KIND: AggregateKind = AggregateKind::Product;
    const STATE_VERSION: u16 = 5;
    type Event = ProductEvent;
    type Command = ProductCommand;
    type Facts = Facts;

    fn decide(&self, command: &ProductCommand, _: &Facts) -> Decision<ProductEvent> {
        let Some(offer) = self.offer() else { return self.decide_without_offer(command) };
        match command {
            ProductCommand::Create(_) => Decision::AlreadyDone,
            ProductCommand::Activate if self.is_active() => Decision::AlreadyDone,
            ProductCommand::Activate => Decision::one(ProductActivated {}),
            ProductCommand::Deactivate if self.is_active() => Decision::one(ProductDeactivated {}),
            ProductCommand::Deactivate => Decision::AlreadyDone,
            ProductCommand::Change(change) => match changed(offer, change) {
                Ok(events) if events.is_empty() => Decision::AlreadyDone,
                Ok(events) => Decision::Record(events),
                Err(refusal) => refusal.into(),
            },
            ProductCommand::MakeVariant(of, options) => offer.make_variant(*of, options),
            ProductCommand::MakeSingle => offer.make_single(),
            ProductCommand::AddVariant(product_id, options) => offer.add_variant(*product_id, options),
            ProductCommand::RemoveVariant(product_id) => offer.remove_variant(*product_id),
            ProductCommand::Remove => offer.remove(),
        }
    }

    fn evolve(&mut self, event: &ProductEvent) {
        self.fold(event);
    }
}

impl Product {
    fn decide_without_offer(&self, command: &ProductCommand) -> Decision<ProductEvent> {
        match command {
            ProductCommand::Create(_) | ProductCommand::Remove | ProductCommand::RemoveVariant(_)
                if self.is_removed() =>
            {
                Decision::AlreadyDone
            }
            ProductCommand::Create(created) => match check_created(created) {
                Ok(()) => Decision::one(created.clone()),
                Err(refusal) => refusal.into(),
            },
            ProductCommand::Activate
            | ProductCommand::Deactivate
            | ProductCommand::Change(_)
            | ProductCommand::MakeVariant(..)
            | ProductCommand::MakeSingle
            | ProductCommand::AddVariant(..)
            | ProductCommand::RemoveVariant(_)
            | ProductCommand::Remove => checks::not_found("product").into(),
        }
    }
}
