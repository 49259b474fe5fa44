//! What an order would cost. Reads `product` and `stock` of every line and writes nothing. A quote
//! shows the same amounts that `order.placed` records.

use jangbu_kernel::{Money, MoneyError, Refusal, RefusalCode};

use super::WantedLine;
use crate::checks;
use crate::command::{Append, Stop};
use crate::facts::Facts;
use crate::order::OrderLine;
use crate::product::Product;
use crate::shipping::Goods;
use crate::state::{Missing, States};
use crate::stock::Stock;

/// What an order would cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// One line per product, in the order in which they were first named.
    pub lines: Vec<OrderLine>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// The discount.
    pub discount: Money,
    /// What shipping costs.
    pub shipping_fee: Money,
    /// `subtotal - discount + shipping_fee`.
    pub total: Money,
}

/// Prices lines as an order that is placed now would be priced, and makes the same checks: that
/// every product can be bought and is in stock.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn quote_order(
    states: &dyn States,
    facts: &Facts,
    lines: &[WantedLine],
    postal_code: Option<&str>,
) -> Result<Result<Quote, Refusal>, Missing> {
    match price(&Append::new(states, facts), lines, postal_code) {
        Ok(quote) => Ok(Ok(quote)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Missing(missing)) => Err(missing),
    }
}

/// A line after equal products are merged.
struct Merged {
    /// Where the product was first named in the request.
    index: usize,
    line: WantedLine,
}

pub(super) fn price(append: &Append<'_>, wanted: &[WantedLine], postal_code: Option<&str>) -> Result<Quote, Stop> {
    let facts = append.facts();
    let merged = merge(wanted, facts)?;
    let mut lines = Vec::with_capacity(merged.len());
    let mut goods = Vec::with_capacity(merged.len());
    for Merged { index, line } in &merged {
        let product = append.before::<Product>(line.product_id)?;
        let Some((name, unit_price)) = product.name_and_price() else {
            return Err(checks::not_found("product").at(format!("/lines/{index}/product_id")).into());
        };
        if !product.is_active() {
            let refusal = Refusal::new(RefusalCode::ProductNotActive, "the product cannot be bought now");
            return Err(refusal.at(format!("/lines/{index}/product_id")).into());
        }
        let line_total = unit_price.checked_mul(line.quantity).map_err(|error| too_much(error, *index))?;
        let grams = u64::from(product.weight_grams()).saturating_mul(u64::from(line.quantity));
        goods.push(Goods { seller_id: product.seller_id(), value: line_total, grams });
        let (product_id, name, quantity) = (line.product_id, name.to_owned(), line.quantity);
        lines.push(OrderLine { product_id, name, unit_price, quantity, line_total });
    }
    check_stock(append, &merged)?;
    add_up(lines, &merged, |subtotal| facts.policy.shipping_fee(subtotal.currency(), &goods, postal_code))
}

fn merge(wanted: &[WantedLine], facts: &Facts) -> Result<Vec<Merged>, Refusal> {
    let invalid = |detail: String, pointer: String| Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer);
    let most = facts.policy.max_line_quantity;
    let mut merged: Vec<Merged> = Vec::with_capacity(wanted.len().min(facts.policy.max_order_lines));
    for (index, line) in wanted.iter().enumerate() {
        let limits = || invalid(format!("a quantity is 1 to {most}"), format!("/lines/{index}/quantity"));
        if line.quantity == 0 {
            return Err(limits());
        }
        let quantity = if let Some(known) = merged.iter_mut().find(|known| known.line.product_id == line.product_id) {
            known.line.quantity = known.line.quantity.checked_add(line.quantity).ok_or_else(limits)?;
            known.line.quantity
        } else if merged.len() < facts.policy.max_order_lines {
            merged.push(Merged { index, line: line.clone() });
            line.quantity
        } else {
            let detail = format!("an order has at most {} lines", facts.policy.max_order_lines);
            return Err(invalid(detail, "/lines".to_owned()));
        };
        if quantity > most {
            return Err(limits());
        }
    }
    if merged.is_empty() {
        return Err(invalid("an order has at least one line".to_owned(), "/lines".to_owned()));
    }
    Ok(merged)
}

/// Every line without enough stock is named, so that the buyer can correct all of them at once.
fn check_stock(append: &Append<'_>, merged: &[Merged]) -> Result<(), Stop> {
    let mut short: Vec<String> = Vec::new();
    let mut first = None;
    for Merged { index, line } in merged {
        let available = append.before::<Stock>(line.product_id)?.orderable();
        if i64::from(line.quantity) > available {
            let WantedLine { product_id, quantity } = line;
            short.push(format!("line {index} wants {quantity} of product {product_id}, {available} available"));
            first = first.or(Some(*index));
        }
    }
    match first {
        None => Ok(()),
        Some(index) => {
            let refusal = Refusal::new(RefusalCode::InsufficientStock, short.join("; "));
            Err(refusal.at(format!("/lines/{index}")).into())
        }
    }
}

fn add_up(
    lines: Vec<OrderLine>,
    merged: &[Merged],
    shipping: impl Fn(&Money) -> Result<Money, MoneyError>,
) -> Result<Quote, Stop> {
    let mut subtotal: Option<Money> = None;
    for (line, Merged { index, .. }) in lines.iter().zip(merged) {
        let sum = match subtotal {
            None => line.line_total,
            Some(sum) => sum.checked_add(&line.line_total).map_err(|error| too_much(error, *index))?,
        };
        subtotal = Some(sum);
    }
    let Some(subtotal) = subtotal else {
        return Err(Refusal::new(RefusalCode::ValidationFailed, "an order has at least one line").at("/lines").into());
    };
    let discount = Money::zero(subtotal.currency());
    let sum = || -> Result<(Money, Money), MoneyError> {
        let shipping_fee = shipping(&subtotal)?;
        Ok((shipping_fee, subtotal.checked_sub(&discount)?.checked_add(&shipping_fee)?))
    };
    let (shipping_fee, total) = sum().map_err(|error| too_much(error, 0))?;
    Ok(Quote { lines, subtotal, discount, shipping_fee, total })
}

fn too_much(error: MoneyError, index: usize) -> Refusal {
    let detail = match error {
        MoneyError::CurrencyMismatch => "all lines of an order are in one currency",
        MoneyError::OutOfRange
        | MoneyError::TooManyDecimals
        | MoneyError::NotADecimal
        | MoneyError::UnknownCurrency => "the order is too large to count",
    };
    Refusal::new(RefusalCode::ValidationFailed, detail).at(format!("/lines/{index}"))
}
