//! The price of an order: makes the pricing decision without placing the order.

use std::collections::HashMap;
use std::sync::Arc;

use jangbu_aggregates::commands::{Quote, WantedLine, quote_order};
use jangbu_aggregates::product::Product;
use jangbu_aggregates::state::AnyState;
use jangbu_aggregates::{Facts, Missing, Policy, Scope, States};
use jangbu_kernel::log::LogError;
use jangbu_kernel::{Currency, ProductId, StreamId, Timestamp};

use crate::decider::Commands;
use crate::reader::{fold, load_state};
use crate::request::CommandError;

/// Products and stock in their present state.
#[derive(Default)]
struct Loaded(HashMap<StreamId, AnyState>);

impl States for Loaded {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        self.0.get(&stream)
    }
}

/// Prices lines as for an order that is placed now, and refuses them for the same reasons. Nothing
/// is reserved and nothing is written.
///
/// # Errors
/// A refusal, or a store that cannot be read.
pub async fn quote(
    commands: &Commands,
    policy: &Arc<Policy>,
    now: Timestamp,
    lines: &[WantedLine],
    postal_code: Option<&str>,
) -> Result<Quote, CommandError> {
    let facts = Facts { now, policy: Arc::clone(policy), scope: Scope::Any };
    let mut states = Loaded::default();
    // Lines beyond the limit are refused without loading their products.
    let distinct = lines.iter().take(policy.max_order_lines.saturating_add(1));
    let wanted = distinct.flat_map(|line| [StreamId::product(line.product_id), StreamId::stock(line.product_id)]);
    load(commands, &mut states, wanted.collect()).await?;
    loop {
        match quote_order(&states, &facts, lines, postal_code) {
            Ok(quote) => return quote.map_err(CommandError::Refused),
            // Every round loads a missing stream, so there are at most as many rounds as lines.
            Err(Missing(stream)) => load(commands, &mut states, vec![stream]).await?,
        }
    }
}

/// The currency of a product's price; none if there is no such product.
///
/// # Errors
/// When the store cannot be read.
pub async fn currency_of(commands: &Commands, product_id: ProductId) -> Result<Option<Currency>, LogError> {
    let (product, _) = load_state::<Product>(commands.log().as_ref(), product_id).await?;
    Ok(product.name_and_price().map(|(_, price)| price.currency()))
}

async fn load(commands: &Commands, states: &mut Loaded, streams: Vec<StreamId>) -> Result<(), LogError> {
    let log = commands.log().as_ref();
    let wanted = streams.iter().map(|stream| (*stream, AnyState::state_version(stream.kind))).collect();
    for (stream, loaded) in streams.into_iter().zip(log.load(wanted).await?) {
        let (state, _, _) = fold(log, stream, loaded).await?;
        states.0.insert(stream, state);
    }
    Ok(())
}
