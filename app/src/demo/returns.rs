//! Goods that come back after their delivery.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::people::Buyer;
use crate::client::{Shopper, text};

/// The buyer wants to return the first line of an order. Returns the path of the return.
pub async fn ask(buyer: &mut Buyer, order: &Value, reason: &str, remedy: &str, note: &str) -> anyhow::Result<String> {
    let product_id = order.pointer("/lines/0/product_id").context("the order has no line")?;
    let lines = [json!({"product_id": product_id})];
    let body = json!({"reason": reason, "remedy": remedy, "lines": lines, "note": note});
    let asked = buyer.shopper.post(&format!("/v1/orders/{}/returns", text(order, "id")?), &body).await?;
    Ok(format!("/v1/returns/{}", text(&asked, "id")?))
}

/// The goods come back and are looked at; then the return is closed as the buyer wants it.
pub async fn comes_back(admin: &mut Shopper, buyer: &mut Buyer, path: &str, is_sold_again: bool) -> anyhow::Result<()> {
    admin.post(&format!("{path}/approve"), &json!({})).await?;
    let sent = json!({"carrier": "우체국택배", "tracking_number": "6012-3456-7890"});
    buyer.shopper.post(&format!("{path}/send"), &sent).await?;
    let asked = admin.post(&format!("{path}/receive"), &json!({})).await?;
    let line = asked.pointer("/lines/0").context("the return has no line")?;
    let (product_id, quantity) = (line.get("product_id"), line.get("quantity"));
    let found = if is_sold_again {
        json!({"product_id": product_id, "restocked": quantity})
    } else {
        json!({"product_id": product_id, "written_off": quantity})
    };
    admin.post(&format!("{path}/inspect"), &json!({"lines": [found]})).await?;
    admin.post_settled(&format!("{path}/close"), &json!({})).await?;
    Ok(())
}
