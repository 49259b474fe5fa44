//! Somebody wants to return goods of an order. Writes `return` and `order`.
//!
//! One append, so that the order, which knows what was sold and what came back, lets no unit come
//! back twice.

use jangbu_kernel::{OrderId, ProductId, Refusal, RefusalCode, Remark, ReturnId, StreamId, UserId};

use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::orders::part_of;
use crate::order::{CancelledBy, Order, OrderCommand, OrderLine, ReturnToOpen};
use crate::returns::{Remedy, Replacement, Return, ReturnCommand, ReturnReason, ReturnRequested, WayBack};
use crate::state::{Missing, States};

/// Requests a return.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestReturn {
    /// The id of the return.
    pub return_id: ReturnId,
    /// The order.
    pub order_id: OrderId,
    /// The buyer or staff; only the buyer has to be in time.
    pub by: CancelledBy,
    /// Why the goods come back.
    pub reason: ReturnReason,
    /// What the buyer gets for them.
    pub remedy: Remedy,
    /// The goods: products of the order, each once. No quantity means all of them.
    pub lines: Vec<(ProductId, Option<u32>)>,
    /// What was written about it.
    pub note: Option<Remark>,
    /// The further order, for an exchange.
    pub replacement: Option<Replacement>,
}

impl Command for RequestReturn {
    const RULES: Rules = Rules::new(
        "request_return",
        Reach::OwnOrAny { own: Permission::ReturnsRequestOwn, any: Permission::ReturnsWrite },
        Key::Required,
        &[
            RefusalCode::OrderStateConflict,
            RefusalCode::ReturnWindowOver,
            RefusalCode::ReturnExceedsDelivered,
            RefusalCode::ValidationFailed,
        ],
    );

    fn subject(&self) -> StreamId {
        StreamId::of_return(self.return_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::order(self.order_id));
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::of_return(self.return_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order = append.before::<Order>(self.order_id)?;
        let Some(user_id) = order.user_id() else { return Err(checks::not_found("order").into()) };
        if self.lines.is_empty() {
            let refusal = Refusal::new(RefusalCode::ValidationFailed, "name what is to be returned");
            return Err(refusal.at("/lines").into());
        }
        if (self.remedy == Remedy::Exchange) != self.replacement.is_some() {
            let refusal = Refusal::new(RefusalCode::ValidationFailed, "an exchange has a further order, a refund none");
            return Err(refusal.at("/remedy").into());
        }
        let lines = part_of(order, self.lines.iter().copied())?;
        let (return_id, by, reason) = (self.return_id, self.by, self.reason);
        let open = ReturnToOpen { return_id, by, reason, lines: lines.clone() };
        append.ask::<Order>(self.order_id, &OrderCommand::OpenReturn(Box::new(open)))?;
        let requested = self.requested(user_id, lines);
        append.only::<Return>(return_id, &ReturnCommand::Request(Box::new(requested)))
    }
}

impl RequestReturn {
    fn requested(&self, user_id: UserId, lines: Vec<OrderLine>) -> ReturnRequested {
        ReturnRequested {
            order_id: self.order_id,
            user_id,
            reason: self.reason,
            remedy: self.remedy,
            way_back: match self.reason {
                ReturnReason::ChangedMind => WayBack::Buyer,
                ReturnReason::Defect | ReturnReason::ReturnedToSender => WayBack::Shop,
            },
            lines,
            note: self.note.clone(),
            replacement: self.replacement.clone(),
        }
    }
}
