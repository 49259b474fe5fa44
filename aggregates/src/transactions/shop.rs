//! Commands that change one aggregate and only look at another: stock is kept of
//! products that exist, points are given to users who exist.

use jangbu_kernel::{Money, ProductId, Timestamp, UserId};

use super::append::{Stop, decide};
use crate::checks;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::points::{Points, PointsCommand};
use crate::product::Product;
use crate::state::{Missing, States};
use crate::stock::{Stock, StockCommand};
use crate::user::User;

/// Goods came in. Writes `stock`, reads `product`.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn receive_stock(
    states: &impl States,
    facts: &Facts,
    product_id: ProductId,
    quantity: u32,
) -> Result<Outcome, Missing> {
    change_stock(states, facts, product_id, &StockCommand::Receive { quantity })
}

/// Somebody counted. Writes `stock`, reads `product`.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn adjust_stock(
    states: &impl States,
    facts: &Facts,
    product_id: ProductId,
    delta: i64,
    reason: &str,
) -> Result<Outcome, Missing> {
    change_stock(states, facts, product_id, &StockCommand::Adjust { delta, reason: reason.to_owned() })
}

fn change_stock(
    states: &impl States,
    facts: &Facts,
    product_id: ProductId,
    command: &StockCommand,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        if !append.before::<Product>(product_id)?.exists() {
            return Err(Stop::Refused(checks::not_found("product")));
        }
        append.ask::<Stock>(product_id, command)?;
        Ok(())
    })
}

/// Gives points. Writes `points`, reads `user`.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn grant_points(
    states: &impl States,
    facts: &Facts,
    user_id: UserId,
    amount: Money,
    reference: &str,
    expires_at: Option<Timestamp>,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        if append.before::<User>(user_id)?.status().is_none() {
            return Err(Stop::Refused(checks::not_found("user")));
        }
        append.ask::<Points>(user_id, &PointsCommand::Grant { amount, reference: reference.to_owned(), expires_at })?;
        Ok(())
    })
}
