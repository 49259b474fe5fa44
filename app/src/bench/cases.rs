//! The cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::BenchArgs;
use super::load::{Ammunition, Shot, fire};
use super::report::{Report, per_second};
use super::seed::{self, PRICE, Shop};
use super::server::ServerUnderTest;

/// More than any run can sell.
const PLENTY: u32 = 4_000_000;
/// Points that let a buyer pay a few orders with them alone.
const POINTS: u64 = 10_000_000;
/// A point is used up PRICE at a time; a leg of this size leaves enough for many orders.
const POINTS_LEG: u64 = 10;
/// Every so many-th order is paid in part with points.
const WITH_POINTS_EVERY: u32 = 5;
/// How long the sagas of a run may take to come to rest after its end.
const REST_LIMIT: Duration = Duration::from_secs(120);

/// How an order is paid when it is placed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pay {
    /// A fifth of the orders hold points.
    SomeWithPoints,
    /// Every order by card.
    Card,
    /// Nobody pays.
    Nobody,
}

/// One connection's orders.
struct Orders {
    shop: Arc<Shop>,
    random: fastrand::Rng,
    pay: Pay,
    left: Option<Arc<AtomicUsize>>,
}

impl Ammunition for Orders {
    fn next(&mut self) -> Option<Shot> {
        if let Some(left) = &self.left {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        }
        let authorization = self.random.choice(&self.shop.buyers)?.clone();
        let count = self.random.usize(1..=3.min(self.shop.products.len()));
        let lines: Vec<Value> = self
            .random
            .choose_multiple(self.shop.products.iter(), count)
            .into_iter()
            .map(|id| json!({"product_id": id, "quantity": 1}))
            .collect();
        let total = PRICE * u64::try_from(count).ok()?;
        let payment = self.legs(total).map(|legs| json!({"legs": legs}));
        let body = json!({"lines": lines, "shipping_address": address(), "payment": payment});
        Some(Shot {
            path: "/v1/orders",
            authorization,
            key: uuid::Uuid::now_v7().to_string(),
            extra: &[],
            body: serde_json::to_vec(&body).ok()?,
        })
    }
}

impl Orders {
    fn legs(&mut self, total: u64) -> Option<Value> {
        let won = |amount: u64| json!({"amount": amount.to_string(), "currency": "KRW"});
        let card = |amount: u64| json!({"method": "card", "amount": won(amount), "card_token": "tok_ok"});
        match self.pay {
            Pay::Nobody => None,
            Pay::Card => Some(json!([card(total)])),
            Pay::SomeWithPoints if self.random.u32(0..WITH_POINTS_EVERY) > 0 => None,
            Pay::SomeWithPoints => {
                Some(json!([{"method": "points", "amount": won(POINTS_LEG)}, card(total - POINTS_LEG)]))
            }
        }
    }
}

fn address() -> Value {
    json!({
        "recipient": "김민준", "phone": "010-1234-5678",
        "postal_code": "06236", "line1": "서울특별시 강남구 테헤란로 152",
    })
}

fn guns(args: &BenchArgs, shop: Shop, pay: Pay, attempts: Option<usize>) -> (Arc<Shop>, Vec<Orders>) {
    let shop = Arc::new(shop);
    let left = attempts.map(|attempts| Arc::new(AtomicUsize::new(attempts)));
    let guns = (0..args.connections)
        .map(|number| Orders {
            shop: shop.clone(),
            random: fastrand::Rng::with_seed(number as u64),
            pay,
            left: left.clone(),
        })
        .collect();
    (shop, guns)
}

/// The full path of placing an order.
pub async fn place_order(args: &BenchArgs, server: &ServerUnderTest) -> anyhow::Result<Report> {
    let shop = seed::create(server, args.products, args.buyers, PLENTY, POINTS).await?;
    let (_, guns) = guns(args, shop, Pay::SomeWithPoints, None);
    let tally = fire(&server.address, guns, args.warmup(), args.measured()).await?;
    let mut report = Report::new("place-order");
    report.figure("connections", args.connections);
    report.tally(&tally);
    report.check("every answer is a 201", tally.statuses.keys().all(|status| *status == 201));
    let orders = count_events(server, "order.placed").await?;
    report.figure("orders_in_the_log", orders);
    report.check("every acknowledged order is in the log", orders >= tally.created() + tally.warmed_up);
    Ok(report)
}

/// Many buyers, few units.
pub async fn flash_sale(args: &BenchArgs, server: &ServerUnderTest) -> anyhow::Result<Report> {
    let shop = seed::create(server, 1, args.buyers, args.units, 0).await?;
    let (_, guns) = guns(args, shop, Pay::Nobody, Some(args.attempts));
    let tally = fire(&server.address, guns, Duration::ZERO, args.measured()).await?;
    let mut report = Report::new("flash-sale");
    report.figure("attempts", args.attempts);
    report.figure("units", args.units);
    report.figure("answers_per_second", per_second(tally.statuses.values().sum(), tally.elapsed));
    report.tally(&tally);
    let sold = u64::from(args.units).min(args.attempts as u64);
    report.check("exactly the stock was sold", tally.created() == sold);
    let refused = tally.codes.get("insufficient_stock").copied().unwrap_or_default();
    report.check("everybody else was told insufficient_stock", refused + sold == args.attempts as u64);
    Ok(report)
}

/// From placed to a parcel that is ready.
pub async fn saga(args: &BenchArgs, server: &ServerUnderTest) -> anyhow::Result<Report> {
    let shop = seed::create(server, args.products, args.buyers, PLENTY, 0).await?;
    let begun = Instant::now();
    let (_, guns) = guns(args, shop, Pay::Card, None);
    let tally = fire(&server.address, guns, Duration::ZERO, args.measured()).await?;
    let placed = tally.created();
    let ready = wait_for_events(server, "shipment.ready", placed).await?;
    let elapsed = begun.elapsed();
    let mut report = Report::new("saga");
    report.figure("connections", args.connections);
    report.tally(&tally);
    report.figure("parcels_ready", ready);
    report.figure("sagas_per_second", per_second(ready, elapsed));
    report.check("every order came to a parcel that is ready", ready == placed);
    Ok(report)
}

/// Rebuilding every read model.
pub async fn replay(args: &BenchArgs, server: &ServerUnderTest) -> anyhow::Result<Report> {
    let shop = seed::create(server, args.products.min(args.orders), args.buyers, PLENTY, POINTS).await?;
    let (_, guns) = guns(args, shop, Pay::SomeWithPoints, Some(args.orders));
    let tally = fire(&server.address, guns, Duration::ZERO, Duration::from_secs(600)).await?;
    let events = head(server).await?;
    let begun = Instant::now();
    let output = server.command(&["replay"]).await?;
    let elapsed = begun.elapsed();
    let mut report = Report::new("replay");
    report.figure("orders", tally.created());
    report.figure("events", events);
    report.figure("seconds", elapsed.as_secs());
    report.figure("events_per_second", per_second(events, elapsed));
    report.check("the replay ended well", output.status.success());
    let verified = server.command(&["replay", "--verify-only"]).await?;
    report.check("live and rebuilt read models are equal", verified.status.success());
    Ok(report)
}

async fn wait_for_events(server: &ServerUnderTest, event_type: &str, wanted: u64) -> anyhow::Result<u64> {
    let begun = Instant::now();
    loop {
        let count = count_events(server, event_type).await?;
        if count >= wanted || begun.elapsed() > REST_LIMIT {
            return Ok(count);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Counts events of a type in the log, by another process that reads beside the server.
async fn count_events(server: &ServerUnderTest, event_type: &str) -> anyhow::Result<u64> {
    let output = server.command(&["events", "count", "--type", event_type]).await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().context("`events count` printed no number")
}

async fn head(server: &ServerUnderTest) -> anyhow::Result<u64> {
    let output = server.command(&["events", "count"]).await?;
    String::from_utf8_lossy(&output.stdout).trim().parse().context("`events count` printed no number")
}
