//! The process of an order takes an input in. Writes `fulfilment`.

use jangbu_kernel::{OrderId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::order::Order;
use crate::processes::{Fulfilment, FulfilmentCommand, FulfilmentInput};
use crate::state::{Missing, States};

/// The process takes an input in.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvanceFulfilment {
    /// The order whose process learns something.
    pub order_id: OrderId,
    /// The input.
    pub input: FulfilmentInput,
}

impl Command for AdvanceFulfilment {
    const RULES: Rules = Rules::internal("advance_fulfilment");

    fn subject(&self) -> StreamId {
        StreamId::fulfilment(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Fulfilment>(self.order_id, &FulfilmentCommand::Take(self.input.clone()))
    }
}
