//! Placing an order. Writes `order`, its `fulfilment`, `stock` per line and, when the
//! payment is known, `payment` and `points`, else `buyer`; reads `user` and `product` per line.
//!
//! One append, because an order is a promise: it stands with everything it needs kept
//! for it, or nothing happened.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{Refusal, RefusalCode, Timestamp};

use super::append::{Stop, decide};
use super::payments::open_payment;
use super::pricing::{Quote, price};
use super::waiting::note_placed;
use crate::command::{Outcome, PlaceOrder, WantedPayment};
use crate::facts::Facts;
use crate::order::{Order, OrderCommand, OrderPlaced};
use crate::processes::{Fulfilment, FulfilmentCommand};
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};
use crate::user::User;

/// Places an order.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn place_order(states: &impl States, facts: &Facts, command: &PlaceOrder) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        if append.before::<Order>(command.order_id)?.status().is_some() {
            return Ok(());
        }
        append.before::<User>(command.user_id)?.may_act()?;
        let quote = price(append, facts, &command.lines)?;
        check_expectation(command, &quote)?;
        let (total, products): (_, Vec<_>) =
            (quote.total, quote.lines.iter().map(|line| (line.product_id, line.quantity)).collect());
        let payment_deadline = deadline(command, facts);
        let placed = placed(command, quote, payment_deadline);
        append.ask::<Order>(command.order_id, &OrderCommand::Place(Box::new(placed)))?;
        let start = FulfilmentCommand::Start { order_id: command.order_id, total, payment_deadline };
        append.ask::<Fulfilment>(command.order_id, &start)?;
        for (product_id, quantity) in &products {
            let (order_id, expires_at) = (command.order_id, payment_deadline);
            let reserve = StockCommand::Reserve { order_id, quantity: *quantity, expires_at };
            append.ask::<Stock>(*product_id, &reserve)?;
        }
        if !total.is_zero() {
            note_placed(append, facts, command.order_id, command.payment.is_some())?;
        }
        match &command.payment {
            Some(payment) if total.is_zero() => Err(nothing_to_pay(payment).into()),
            Some(payment) => open_payment(append, command.order_id, command.user_id, total, payment).map_err(in_body),
            None if total.is_zero() => {
                append.ask::<Order>(command.order_id, &OrderCommand::MarkPaid { payment_id: None })?;
                for (product_id, _) in &products {
                    append.ask::<Stock>(*product_id, &StockCommand::Allocate { order_id: command.order_id })?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    })
}

fn check_expectation(command: &PlaceOrder, quote: &Quote) -> Result<(), Refusal> {
    match command.expected_total {
        Some(expected) if expected != quote.total => {
            let detail = format!("{expected} was expected, the total is {}", quote.total);
            Err(Refusal::new(RefusalCode::TotalChanged, detail).at("/expected_total"))
        }
        Some(_) | None => Ok(()),
    }
}

fn placed(command: &PlaceOrder, quote: Quote, payment_deadline: Timestamp) -> OrderPlaced {
    let Quote { lines, subtotal, discount, shipping_fee, total } = quote;
    OrderPlaced {
        number: command.number.clone(),
        user_id: command.user_id,
        lines,
        subtotal,
        discount,
        shipping_fee,
        total,
        shipping_address: command.shipping_address.clone(),
        payment_deadline,
    }
}

fn deadline(command: &PlaceOrder, facts: &Facts) -> Timestamp {
    let longest = facts.policy.payment_deadline;
    let time_to_pay = command.pay_within.map_or(longest, |wanted| wanted.min(longest));
    to_millis(facts.now.checked_add_signed(time_to_pay).unwrap_or(facts.now))
}

fn nothing_to_pay(payment: &WantedPayment) -> Refusal {
    let detail = format!("there is nothing to pay, and {} legs were named", payment.legs.len());
    Refusal::new(RefusalCode::PaymentMethodInvalid, detail).at("/payment")
}

/// A payment's own pointers start at the payment; here it is a part of the order's body.
fn in_body(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(mut refusal) => {
            refusal.pointer = refusal.pointer.map(|pointer| format!("/payment{pointer}"));
            Stop::Refused(refusal)
        }
        Stop::Missing(missing) => Stop::Missing(missing),
    }
}
