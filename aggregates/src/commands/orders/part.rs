//! A part of an order's lines, as somebody names it.

use jangbu_kernel::{ProductId, Refusal, RefusalCode};

use crate::order::{Order, OrderLine};

/// The named lines at the prices of the order: products of the order, each once, at most as many
/// units as are in it. No quantity means all of them.
///
/// # Errors
/// `validation_failed`, with a pointer to the line that does not fit.
pub(in crate::commands) fn part_of(
    order: &Order,
    named: impl IntoIterator<Item = (ProductId, Option<u32>)>,
) -> Result<Vec<OrderLine>, Refusal> {
    let wrong = |index: usize, field: &str, detail: String| {
        Refusal::new(RefusalCode::ValidationFailed, detail).at(format!("/lines/{index}/{field}"))
    };
    let mut lines: Vec<OrderLine> = Vec::new();
    for (index, (product_id, quantity)) in named.into_iter().enumerate() {
        let Some(sold) = order.lines().iter().find(|line| line.product_id == product_id) else {
            return Err(wrong(index, "product_id", format!("{product_id} is not in the order")));
        };
        if lines.iter().any(|line| line.product_id == product_id) {
            return Err(wrong(index, "product_id", format!("{product_id} is named twice")));
        }
        let quantity = quantity.unwrap_or(sold.quantity);
        if quantity == 0 || quantity > sold.quantity {
            return Err(wrong(index, "quantity", format!("the order has {} of it", sold.quantity)));
        }
        let line_total = sold.unit_price.checked_mul(quantity);
        let line_total = line_total.map_err(|error| wrong(index, "quantity", error.to_string()))?;
        lines.push(OrderLine { quantity, line_total, ..sold.clone() });
    }
    Ok(lines)
}
