//! The state and the decisions of a slug.

use jangbu_kernel::{AggregateKind, Decider, Decision, ProductId, Refusal, RefusalCode, StreamId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::{SlugClaimed, SlugEvent, SlugFreed};
use crate::facts::Facts;

/// The streams of slugs are named for them under this. Storage format.
const SLUG_NAMESPACE: Uuid = Uuid::from_u128(0x9c41_07be_52d3_4f0a_b6c8_1d7e_33a5_6f12);

/// The stream of a slug in its stored form ([`jangbu_kernel::text::slug`]).
#[must_use]
pub fn slug_stream(slug: &str) -> StreamId {
    StreamId::new(AggregateKind::Slug, Uuid::new_v5(&SLUG_NAMESPACE, slug.as_bytes()))
}

/// Who has a slug.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlugClaim {
    claimed_by: Option<ProductId>,
}

/// A command of a slug.
#[derive(Clone, Debug, PartialEq)]
pub enum SlugCommand {
    /// Belong to a product.
    Claim {
        /// To which.
        product_id: ProductId,
        /// The slug.
        slug: String,
    },
    /// Do not belong to this product any more.
    Free {
        /// Which product had it.
        product_id: ProductId,
    },
}

impl SlugClaim {
    /// The product that has it.
    #[must_use]
    pub const fn product_id(&self) -> Option<ProductId> {
        self.claimed_by
    }
}

impl Decider for SlugClaim {
    const KIND: AggregateKind = AggregateKind::Slug;
    const STATE_VERSION: u16 = 1;
    type Event = SlugEvent;
    type Command = SlugCommand;
    type Facts = Facts;

    fn decide(&self, command: &SlugCommand, _: &Facts) -> Decision<SlugEvent> {
        match command {
            SlugCommand::Claim { product_id, slug } => match self.claimed_by {
                None => Decision::one(SlugClaimed { product_id: *product_id, slug: slug.clone() }),
                Some(owner) if owner == *product_id => Decision::AlreadyDone,
                Some(_) => Refusal::new(RefusalCode::SlugTaken, "another product has this slug").at("/slug").into(),
            },
            SlugCommand::Free { product_id } if self.claimed_by == Some(*product_id) => {
                Decision::one(SlugFreed { product_id: *product_id })
            }
            SlugCommand::Free { .. } => Decision::AlreadyDone,
        }
    }

    fn evolve(&mut self, event: &SlugEvent) {
        match event {
            SlugEvent::Claimed(claimed) => self.claimed_by = Some(claimed.product_id),
            SlugEvent::Freed(_) => self.claimed_by = None,
        }
    }
}
