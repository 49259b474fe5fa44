//! A return whose goods were not sent back in time ends. Writes `return` and `order`.

use jangbu_kernel::{ReturnId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::commands::returns::{end, order_of};
use crate::returns::{Return, ReturnCommand, WithdrawnBy};
use crate::state::{Missing, States};

/// A return whose goods were not sent back in time ends. Writes `return` and `order`.
#[derive(Clone, Debug, PartialEq)]
pub struct LapseReturn {
    /// The return.
    pub return_id: ReturnId,
}

impl Command for LapseReturn {
    const RULES: Rules = Rules::internal("lapse_return");

    fn subject(&self) -> StreamId {
        StreamId::of_return(self.return_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Return>(self.return_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        let order_id = states.get::<Return>(self.return_id).ok().and_then(Return::order_id);
        streams.extend(order_id.map(StreamId::order));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order_id = order_of(append, self.return_id)?;
        if !append.before::<Return>(self.return_id)?.has_lapsed(append.facts()) {
            append.unmoved::<Return>(self.return_id)?;
            return Ok(());
        }
        let withdraw = ReturnCommand::Withdraw { by: WithdrawnBy::Timer, reason: None };
        append.ask::<Return>(self.return_id, &withdraw)?;
        end(append, order_id, self.return_id, &[])
    }
}
