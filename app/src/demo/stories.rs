//! The orders of the demo shop: a handful of scenarios, used in turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::catalogue::Catalogue;
use super::people::{Buyer, People};
use super::{DemoAccess, Steps, returns};
use crate::client::{Connection, Shopper, text};

/// The scenario of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Paid, sent, received, confirmed by the buyer.
    Completed,
    /// Arrived; not confirmed by the buyer yet.
    Delivered,
    /// Arrived, and one line of it came back for its money.
    Returned,
    /// Arrived, and one line of it was exchanged.
    Exchanged,
    /// Arrived, and the buyer wants to return something.
    WantsToReturn,
    /// Under way.
    Shipped,
    /// Paid, the parcel is being prepared.
    Preparing,
    /// Paid in two parts: points and card.
    PaidWithPoints,
    /// The gateway's answer was lost, and the outcome was found by an inquiry.
    LostAnswer,
    /// Placed, not paid.
    Unpaid,
    /// The card was declined; the buyer may try again.
    Declined,
    /// The buyer has to meet the gateway's challenge.
    Challenge,
    /// Cancelled before payment.
    CancelledUnpaid,
    /// Paid, and one of its lines was cancelled.
    Fewer,
    /// Cancelled after payment: money, goods and points are returned.
    CancelledPaid,
    /// The carrier refused it permanently: everything is undone.
    Failed,
    /// Not paid in time.
    Expired,
}

const STORIES: [Story; 17] = [
    Story::Completed,
    Story::Preparing,
    Story::Shipped,
    Story::CancelledPaid,
    Story::Delivered,
    Story::Returned,
    Story::PaidWithPoints,
    Story::Fewer,
    Story::Exchanged,
    Story::Unpaid,
    Story::CancelledUnpaid,
    Story::Declined,
    Story::LostAnswer,
    Story::WantsToReturn,
    Story::Challenge,
    Story::Failed,
    Story::Expired,
];
/// Limit for the end of a scenario; an order that takes longer is shown as it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// The number of orders with a scenario that takes seconds.
const SLOW_STORIES: usize = 4;

impl Story {
    /// The status that the server brings the order to by itself, within seconds.
    fn end(self) -> Option<&'static str> {
        match self {
            Self::Expired => Some("expired"),
            Self::Failed => Some("failed"),
            Self::Completed
            | Self::Delivered
            | Self::Returned
            | Self::Exchanged
            | Self::WantsToReturn
            | Self::Shipped
            | Self::Preparing
            | Self::PaidWithPoints
            | Self::LostAnswer
            | Self::Unpaid
            | Self::Declined
            | Self::Challenge
            | Self::CancelledUnpaid
            | Self::Fewer
            | Self::CancelledPaid => None,
        }
    }

    /// Whether its order can still be paid when the next one is placed.
    const fn leaves_waiting(self) -> bool {
        matches!(self, Self::Unpaid | Self::Declined | Self::Expired)
    }

    /// Whether it waits for retries or for a lost answer.
    const fn is_slow(self) -> bool {
        matches!(self, Self::Failed | Self::LostAnswer)
    }
}

/// The result of the scenarios.
#[derive(Default)]
pub struct Told {
    /// The number of orders by status.
    pub by_status: BTreeMap<String, usize>,
    /// Further remarks.
    pub notes: Vec<String>,
    /// The number of the last order that was cancelled after payment.
    pub last_number: Option<String>,
}

impl Told {
    /// The number of orders.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_status.values().sum()
    }
}

/// Runs the scenarios.
pub struct Teller<'a> {
    admin: &'a mut Shopper,
    access: &'a DemoAccess,
    catalogue: &'a Catalogue,
}

impl<'a> Teller<'a> {
    /// A teller with an administrator's rights.
    pub fn new(admin: &'a mut Shopper, access: &'a DemoAccess, catalogue: &'a Catalogue) -> Self {
        Self { admin, access, catalogue }
    }

    /// Runs scenarios in turn until there are `count` orders.
    pub async fn tell_all(
        &mut self,
        people: &mut People,
        count: usize,
        random: &mut fastrand::Rng,
        steps: &mut Steps,
    ) -> anyhow::Result<Told> {
        let mut told = Told::default();
        let mut orders = Vec::with_capacity(count);
        let mut slow = 0;
        for story in STORIES.iter().copied().cycle() {
            if orders.len() >= count {
                break;
            }
            if story.is_slow() {
                slow += 1;
            }
            if (story.is_slow() && slow > SLOW_STORIES) || !self.can_tell(story) {
                continue;
            }
            let buyer = if story.leaves_waiting() {
                // If no buyer may have one more unpaid order, the scenario is left out.
                let Some(buyer) = people.any_with_room(random) else { continue };
                buyer.waiting += 1;
                buyer
            } else {
                people.any(random).context("there is no buyer")?
            };
            let order = self.tell(story, buyer, random).await.with_context(|| format!("in the story {story:?}"))?;
            if story == Story::CancelledPaid {
                told.last_number = Some(text(&order, "number")?.to_owned());
            }
            orders.push((story, text(&order, "id")?.to_owned()));
            steps.one();
        }
        steps.next("waiting for the last of them", orders.len(), "orders");
        for (story, id) in orders {
            let order = self.at_rest(story, &id).await?;
            *told.by_status.entry(text(&order, "status")?.to_owned()).or_default() += 1;
            steps.one();
        }
        if !self.can_tell(Story::Failed) {
            told.notes.push("no order failed: there is no sandbox carrier to refuse one (give --sandbox)".to_owned());
        }
        Ok(told)
    }

    async fn tell(&mut self, story: Story, buyer: &mut Buyer, random: &mut fastrand::Rng) -> anyhow::Result<Value> {
        if story == Story::Failed {
            self.carrier_refuses().await?;
        }
        let order = self.place(story, buyer, random).await?;
        let id = text(&order, "id")?.to_owned();
        match story {
            // The payment deadline of an order that is to expire passes while the other scenarios
            // run.
            Story::Unpaid | Story::Expired => {}
            Story::CancelledUnpaid => cancel(buyer, &id, "마음이 바뀌었어요").await?,
            Story::Declined => pay(buyer, &order, "tok_declined").await?,
            Story::Challenge => pay(buyer, &order, "tok_challenge").await?,
            Story::LostAnswer => pay(buyer, &order, "tok_timeout_charged").await?,
            Story::Preparing => {
                pay(buyer, &order, "tok_ok").await?;
                let note = json!({"text": "선물 포장을 부탁하셨어요"});
                self.admin.post(&format!("/v1/orders/{id}/notes"), &note).await?;
            }
            Story::PaidWithPoints => {
                pay_with_points(buyer, &order).await?;
                self.admin.post(&format!("/v1/orders/{id}/pack"), &json!({})).await?;
            }
            Story::Failed => pay(buyer, &order, "tok_ok").await?,
            Story::Fewer => {
                pay(buyer, &order, "tok_ok").await?;
                fewer(buyer, &order).await?;
            }
            Story::CancelledPaid => {
                pay(buyer, &order, "tok_ok").await?;
                cancel(buyer, &id, "다른 색으로 다시 주문할게요").await?;
            }
            Story::Shipped | Story::Delivered | Story::Completed => {
                pay(buyer, &order, "tok_ok").await?;
                self.send(&id, story).await?;
                if story == Story::Completed {
                    buyer.shopper.post(&format!("/v1/orders/{id}/confirm-delivery"), &json!({})).await?;
                }
            }
            Story::Returned | Story::Exchanged | Story::WantsToReturn => {
                pay(buyer, &order, "tok_ok").await?;
                self.send(&id, story).await?;
                self.give_back(story, buyer, &order).await?;
            }
        }
        Ok(order)
    }

    async fn give_back(&mut self, story: Story, buyer: &mut Buyer, order: &Value) -> anyhow::Result<()> {
        if story == Story::Exchanged {
            let path = returns::ask(buyer, order, "defect", "exchange", "포장이 찢어져 있었어요").await?;
            return returns::comes_back(self.admin, buyer, &path, false).await;
        }
        let path = returns::ask(buyer, order, "changed_mind", "refund", "생각보다 커요").await?;
        if story == Story::Returned {
            returns::comes_back(self.admin, buyer, &path, true).await?;
        }
        Ok(())
    }

    async fn place(&self, story: Story, buyer: &mut Buyer, random: &mut fastrand::Rng) -> anyhow::Result<Value> {
        let count = if story == Story::Fewer { 2 } else { random.usize(1..=3) };
        let lines: Vec<Value> = self
            .catalogue
            .pick(count, random)
            .into_iter()
            .map(|item| json!({"product_id": item.id, "quantity": random.u32(1..=2)}))
            .collect();
        let pay_within_seconds = (story == Story::Expired).then_some(1);
        let body = json!({
            "lines": lines, "shipping_address": buyer.address, "pay_within_seconds": pay_within_seconds,
        });
        buyer.shopper.post("/v1/orders", &body).await
    }

    /// Hands the parcel over and moves it as far as the scenario says.
    async fn send(&mut self, order_id: &str, story: Story) -> anyhow::Result<()> {
        let shipments = self.admin.get(&format!("/v1/orders/{order_id}/shipments")).await?;
        let parcel = shipments.pointer("/items/0").context("the order has no parcel")?;
        let id = text(parcel, "id")?.to_owned();
        let dispatch = json!({
            "carrier": text(parcel, "carrier")?,
            "tracking_number": text(parcel, "tracking_number")?,
        });
        self.admin.post(&format!("/v1/shipments/{id}/dispatch"), &dispatch).await?;
        let scans: &[&str] =
            if story == Story::Shipped { &["in_transit"] } else { &["in_transit", "out_for_delivery", "delivered"] };
        for status in scans {
            let scan = json!({"status": status, "note": "데모"});
            self.admin.post_settled(&format!("/v1/shipments/{id}/status"), &scan).await?;
        }
        Ok(())
    }

    /// The order at the end of its scenario; expiring is done by the server.
    async fn at_rest(&mut self, story: Story, id: &str) -> anyhow::Result<Value> {
        let begun = Instant::now();
        loop {
            let order = self.admin.get(&format!("/v1/orders/{id}")).await?;
            let over = story.end().is_none_or(|end| order.get("status").and_then(Value::as_str) == Some(end));
            if over || begun.elapsed() > PATIENCE {
                return Ok(order);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn can_tell(&self, story: Story) -> bool {
        story != Story::Failed || self.access.sandbox.is_some()
    }

    async fn carrier_refuses(&self) -> anyhow::Result<()> {
        /// As many refusals as the process retries before it undoes the order.
        const REFUSALS: u32 = 3;
        let address = self.access.sandbox.as_deref().context("no sandbox")?;
        let mut sandbox = Connection::open(address).await?;
        let body = serde_json::to_vec(&json!({"refuse": REFUSALS}))?;
        let reply = sandbox.send(http::Method::POST, "/sandbox/carrier/faults", &[], body).await?;
        anyhow::ensure!(reply.status.is_success(), "the sandbox answered {}", reply.status);
        Ok(())
    }
}

async fn pay(buyer: &mut Buyer, order: &Value, token: &str) -> anyhow::Result<()> {
    let body = json!({
        "order_id": text(order, "id")?,
        "legs": [{"method": "card", "amount": order.get("total"), "card_token": token}],
    });
    buyer.shopper.post_settled("/v1/payments", &body).await?;
    Ok(())
}

async fn pay_with_points(buyer: &mut Buyer, order: &Value) -> anyhow::Result<()> {
    const POINTS: u64 = 1_000;
    let total: u64 = order.pointer("/total/amount").and_then(Value::as_str).unwrap_or_default().parse()?;
    let body = json!({
        "order_id": text(order, "id")?,
        "legs": [
            {"method": "points", "amount": {"amount": POINTS.to_string(), "currency": "KRW"}},
            {"method": "card", "amount": {"amount": (total - POINTS).to_string(), "currency": "KRW"}, "card_token": "tok_ok"},
        ],
    });
    buyer.shopper.post_settled("/v1/payments", &body).await?;
    Ok(())
}

/// Cancels the order's first line.
async fn fewer(buyer: &mut Buyer, order: &Value) -> anyhow::Result<()> {
    let product_id = order.pointer("/lines/0/product_id").context("the order has no line")?;
    let body = json!({"lines": [{"product_id": product_id}], "reason": "하나만 필요해요"});
    buyer.shopper.post_settled(&format!("/v1/orders/{}/lines/cancel", text(order, "id")?), &body).await?;
    Ok(())
}

async fn cancel(buyer: &mut Buyer, order_id: &str, reason: &str) -> anyhow::Result<()> {
    buyer.shopper.post_settled(&format!("/v1/orders/{order_id}/cancel"), &json!({"reason": reason})).await?;
    Ok(())
}
