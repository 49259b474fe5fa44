//! The orders of a buyer that wait for payment. Writes `buyer`, in the append that makes an order
//! wait or ends its waiting, so that the limit is checked against the same facts.

use jangbu_kernel::{OrderId, ProductId, UserId};

use crate::buyer::{Buyer, BuyerCommand, WaitingLine};
use crate::command::{Append, Stop};
use crate::order::{Order, OrderStatus};
use crate::stock::Stock;

/// Whether there is a limit, of the shop or of a product of the order; without one, nothing is
/// written.
fn is_limited(append: &Append<'_>, order: &Order) -> Result<bool, Stop> {
    let policy = &append.facts().policy;
    if policy.max_open_unpaid_orders.is_some() || policy.max_unpaid_units.is_some() {
        return Ok(true);
    }
    for line in order.lines() {
        if append.before::<Stock>(line.product_id)?.buyer_limit().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks that an order stays within the buyer limits of its products, however it is paid.
pub(super) fn check_limits(append: &Append<'_>, user_id: UserId, lines: &[(ProductId, u32)]) -> Result<(), Stop> {
    for (product_id, quantity) in lines {
        if let Some(most) = append.before::<Stock>(*product_id)?.buyer_limit() {
            let line = WaitingLine { product_id: *product_id, quantity: *quantity };
            append.before::<Buyer>(user_id)?.may_have(&line, most, append.facts())?;
        }
    }
    Ok(())
}

/// Notes an order that is being placed, which waits for payment or is paid from the start.
pub(super) fn note_placed(append: &mut Append<'_>, order_id: OrderId, is_paid_at_once: bool) -> Result<(), Stop> {
    let facts = append.facts();
    let order = append.after::<Order>(order_id)?;
    if !is_limited(append, &order)? {
        return Ok(());
    }
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

/// Notes a change of an existing order, which may not wait any longer, or wait again.
pub(crate) fn note_changed(append: &mut Append<'_>, order_id: OrderId) -> Result<(), Stop> {
    let facts = append.facts();
    let (was, is) = (append.before::<Order>(order_id)?, append.after::<Order>(order_id)?);
    if waits(was) == waits(&is) || !is_limited(append, &is)? {
        return Ok(());
    }
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

/// Lines of a waiting order were cancelled: it holds less.
pub(super) fn note_fewer(append: &mut Append<'_>, order_id: OrderId) -> Result<(), Stop> {
    let facts = append.facts();
    let (was, is) = (append.before::<Order>(order_id)?, append.after::<Order>(order_id)?);
    // What is not held any more may have been the only product with a limit.
    if !waits(&is) || !is_limited(append, was)? {
        return Ok(());
    }
    let Some(user_id) = is.user_id() else { return Ok(()) };
    append.ask::<Buyer>(user_id, &BuyerCommand::Close { order_id })?;
    let until = is.payment_deadline().unwrap_or(facts.now);
    append.ask::<Buyer>(user_id, &BuyerCommand::Reopen { order_id, lines: lines_of(&is), until })?;
    Ok(())
}

/// Whether an order can be paid and has no open payment.
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
