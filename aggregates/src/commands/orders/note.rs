//! Keeps what staff write about an order. Writes `order`.

use jangbu_kernel::{OrderId, RefusalCode, Remark, StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Keeps what staff write about an order, in any state. Writes `order`.
#[derive(Clone, Debug, PartialEq)]
pub struct NoteOrder {
    /// Which order.
    pub order_id: OrderId,
    /// What they write, 1-2,000 characters before it is sealed.
    pub note: Remark,
    /// Who writes it.
    pub by: UserId,
}

impl Command for NoteOrder {
    const RULES: Rules =
        Rules::new("note_order", Reach::Any(Permission::OrdersNote), Key::Optional, &[RefusalCode::TooManyNotes]);

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::Note { note: self.note.clone(), by: self.by })
    }
}
