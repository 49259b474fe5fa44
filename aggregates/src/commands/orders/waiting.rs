//! Which orders of a buyer wait for somebody to pay them. Writes `buyer`, in the append of
//! what makes an order wait or ends its waiting: the limit is judged on the same facts.

use jangbu_kernel::OrderId;

use crate::buyer::{Buyer, BuyerCommand, WaitingLine};
use crate::command::{Append, Stop};
use crate::order::{Order, OrderStatus};
use crate::policy::Policy;

/// Whether anybody wants to know: where no limit is set, nothing is written.
const fn is_limited(policy: &Policy) -> bool {
    policy.max_open_unpaid_orders.is_some() || policy.max_unpaid_units.is_some()
}

/// An order is being placed that waits, or is paid from the start.
pub(super) fn note_placed(append: &mut Append<'_>, order_id: OrderId, is_paid_at_once: bool) -> Result<(), Stop> {
    let facts = append.facts();
    if !is_limited(&facts.policy) {
        return Ok(());
    }
    let order = append.after::<Order>(order_id)?;
    let Some(user_id) = order.user_id() else { return Ok(()) };
    let lines = lines_of(&order);
    if is_paid_at_once {
        append.before::<Buyer>(user_id)?.may_pay_another(&lines, facts)?;
        return Ok(());
    }
    let until = order.payment_deadline().unwrap_or(facts.now);
    append.ask::<Buyer>(user_id, &BuyerCommand::Open { order_id, lines, until })?;
    Ok(())
}

/// Something was decided about an order that stands: it may wait no more, or again.
pub(crate) fn note_changed(append: &mut Append<'_>, order_id: OrderId) -> Result<(), Stop> {
    let facts = append.facts();
    if !is_limited(&facts.policy) {
        return Ok(());
    }
    let (was, is) = (append.before::<Order>(order_id)?, append.after::<Order>(order_id)?);
    let Some(user_id) = is.user_id() else { return Ok(()) };
    match (waits(was), waits(&is)) {
        (true, false) => {
            append.ask::<Buyer>(user_id, &BuyerCommand::Close { order_id })?;
        }
        (false, true) => {
            let until = is.payment_deadline().unwrap_or(facts.now);
            append.ask::<Buyer>(user_id, &BuyerCommand::Reopen { order_id, lines: lines_of(&is), until })?;
        }
        (true, true) | (false, false) => {}
    }
    Ok(())
}

/// Whether an order can be paid and nobody is paying it.
fn waits(order: &Order) -> bool {
    match order.status() {
        Some(OrderStatus::Placed | OrderStatus::AwaitingPayment) => order.open_payment().is_none(),
        Some(
            OrderStatus::Paid
            | OrderStatus::Preparing
            | OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelling
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed,
        )
        | None => false,
    }
}

fn lines_of(order: &Order) -> Vec<WaitingLine> {
    order.lines().iter().map(|line| WaitingLine { product_id: line.product_id, quantity: line.quantity }).collect()
}
