//! The machine stops in the middle of things, and starts again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::{Call, Client, Reply, World, basket, by_card, eventually, fresh_key, number};

/// How the cards of the load behave.
const TOKENS: [&str; 6] =
    ["tok_ok", "tok_ok", "tok_declined", "tok_timeout_charged", "tok_error_then_ok", "tok_duplicate_webhook"];
/// Shoppers at once.
const SHOPPERS: usize = 8;
/// Enough for every order of the load.
const PLENTY: u32 = 100_000;

/// What people were told who place and pay orders without a pause.
#[derive(Default)]
struct Journal {
    /// The order that was acknowledged under each key.
    orders: RefCell<BTreeMap<String, Value>>,
    stop: Cell<bool>,
}

impl Journal {
    /// Waits until so many more orders were acknowledged.
    async fn goes_on(&self, more: usize) {
        let before = self.orders.borrow().len();
        eventually("the load goes on", async || (self.orders.borrow().len() >= before + more).then_some(())).await;
    }
}

/// Has people shop while something happens to the machine, and lets everybody finish;
/// what they were told.
async fn under_load(buyers: &[Client], product: &str, happens: impl AsyncFnOnce(&Journal)) -> BTreeMap<String, Value> {
    let journal = Journal::default();
    let shoppers = (0..SHOPPERS).map(async |number| {
        let mut turn = number;
        while !journal.stop.get() {
            shop_once(&buyers[number % buyers.len()], product, TOKENS[turn % TOKENS.len()], &journal).await;
            turn += 1;
        }
    });
    let happening = async {
        happens(&journal).await;
        journal.stop.set(true);
    };
    join(join_all(shoppers), happening).await;
    journal.orders.into_inner()
}

/// Places an order and pays it. Whatever is not answered is asked again under the
/// same key, as a careful client does.
async fn shop_once(buyer: &Client, product: &str, token: &str, journal: &Journal) {
    let key = fresh_key();
    let body = basket(&[(product, 1)]);
    let order = until_answered(|| buyer.post("/v1/orders", &body).key(&key)).await.expect(201);
    journal.orders.borrow_mut().insert(key.clone(), order.clone());
    let payment_key = fresh_key();
    let payment = by_card(&order, token);
    let answer = until_answered(|| buyer.post("/v1/payments", &payment).key(&payment_key)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    // A repeat of what was answered is the same order still.
    let again = until_answered(|| buyer.post("/v1/orders", &body).key(&key)).await;
    assert_eq!(again.expect(201)["id"], order["id"]);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

/// Asks until there is an answer that decides something.
async fn until_answered(request: impl Fn() -> Call) -> Reply {
    eventually("an answer", async || {
        let reply = request().try_send().await.ok()?;
        (reply.status != 503).then_some(reply)
    })
    .await
}

/// Holds the shop and the outside world against what the shoppers were told.
async fn hold_against_the_journal(world: &World, admin: &Client, journal: &BTreeMap<String, Value>) {
    assert!(!journal.is_empty());
    let told: BTreeSet<&str> = journal.values().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(told.len(), journal.len(), "every key has an order of its own");
    for id in &told {
        admin.saga_rests(id).await;
    }
    // A process at rest may still have a read model a moment behind: the list is complete when it has as many.
    let orders = eventually("the list shows every order", async || {
        let orders = admin.read_all("/v1/orders?limit=200").await;
        (orders.len() >= told.len()).then_some(orders)
    })
    .await;
    let there: BTreeSet<&str> = orders.iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(orders.len(), there.len(), "no order twice");
    assert_eq!(there, told, "exactly the acknowledged orders are there");

    let mut sold = 0;
    let mut waiting = 0;
    for order in &orders {
        let order = at_rest(admin, order).await;
        let total = number(&order["total"]);
        let (net, live) = (world.books().net(&order).await, world.books().live_charges(&order).await);
        match order["status"].as_str().unwrap() {
            "preparing" => {
                assert_eq!((net, live), (total, 1), "{order}");
                sold += 1;
            }
            "awaiting_payment" | "placed" => {
                assert_eq!((net, live), (0, 0), "{order}");
                waiting += 1;
            }
            other => panic!("an order came to rest as {other}: {order}"),
        }
    }
    let product = orders[0]["lines"][0]["product_id"].as_str().unwrap();
    admin.stock_becomes(product, i64::from(PLENTY), waiting, sold).await;
    assert!(sold > 0 && waiting > 0, "the load had both outcomes: {sold} sold, {waiting} waiting");
}

/// The order once its payments are decided and it shows what they came to.
async fn at_rest(admin: &Client, order: &Value) -> Value {
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    eventually(&format!("{path} is at rest"), async || {
        let order = admin.read(&path).await;
        let payments = admin.read_all(&format!("{path}/payments")).await;
        let is = |payment: &Value, names: &[&str]| names.iter().any(|name| payment["status"] == *name);
        let decided = payments.iter().all(|payment| is(payment, &["captured", "failed", "voided"]));
        let captured = payments.iter().any(|payment| is(payment, &["captured"]));
        (!payments.is_empty() && decided && captured == (order["status"] == "preparing")).then_some(order)
    })
    .await
}

/// Staff, people and something to buy.
async fn open_shop(world: &World) -> (Client, Vec<Client>, String) {
    let admin = world.admin().await;
    let tea = world.product(&admin, "보이차", 12_000, PLENTY).await;
    let mut buyers = Vec::new();
    for name in ["minji", "jisoo"] {
        buyers.push(world.buyer(name).await.client);
    }
    (admin, buyers, tea)
}

pub async fn kill_nine_under_load(world: &mut World) {
    let (admin, buyers, tea) = open_shop(world).await;
    let journal = under_load(&buyers, &tea, async |journal: &Journal| {
        for _ in 0..5 {
            journal.goes_on(6 * SHOPPERS).await;
            world.kill_shop().await;
            world.start_shop().await;
        }
        journal.goes_on(SHOPPERS).await;
    })
    .await;
    hold_against_the_journal(world, &admin, &journal).await;
}

pub async fn sigterm_under_load(world: &mut World) {
    let (admin, buyers, tea) = open_shop(world).await;
    let journal = under_load(&buyers, &tea, async |journal: &Journal| {
        for _ in 0..2 {
            journal.goes_on(6 * SHOPPERS).await;
            let status = world.terminate_shop().await;
            assert!(status.success(), "the shop ended with {status}");
            // It had time to write everything: the log holds as it lies there.
            world.run_well(&["audit", "verify"]).await;
            world.start_shop().await;
        }
        journal.goes_on(SHOPPERS).await;
    })
    .await;
    hold_against_the_journal(world, &admin, &journal).await;
}

/// What `/readyz` says of the gateway and the carrier.
fn outside_is(ready: &Value) -> Option<&str> {
    let checks = ready["checks"].as_array().unwrap();
    let outside = checks.iter().find(|check| check["required"] == false)?;
    outside["state"].as_str()
}

pub async fn the_outside_world_goes_away_and_comes_back(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let before = buyer.buy(&[(&tea, 1)]).await;
    world.kill_sandbox().await;

    let order = buyer.place(&[(&tea, 1)]).await;
    let asked = buyer.post("/v1/payments", &by_card(&order, "tok_ok")).header("prefer", "wait=1");
    let payment = asked.header("jangbu-wait-for", "settled").send().await;
    assert!(matches!(payment.status, 201 | 202), "{} {}", payment.status, payment.text());
    let path = format!("/v1/payments/{}", payment.json()["id"].as_str().unwrap());
    let undecided = admin.read(&path).await;
    assert!(matches!(undecided["status"].as_str(), Some("requested" | "processing" | "unknown")), "{undecided}");
    // The shop itself goes on.
    buyer.place(&[(&tea, 1)]).await;
    // It can serve without them, and says that they are away.
    let ready = world.visitor().read("/readyz").await;
    assert_eq!((&ready["status"], outside_is(&ready)), (&json!("ready"), Some("down")), "{ready}");

    world.start_sandbox().await;
    assert_eq!(outside_is(&world.visitor().read("/readyz").await), Some("up"));
    let decided = eventually("the payment is decided", async || {
        let payment = admin.read(&path).await;
        matches!(payment["status"].as_str(), Some("captured" | "failed" | "voided")).then_some(payment)
    })
    .await;
    if decided["status"] == "captured" {
        buyer.order_reaches(&order, "preparing").await;
    } else {
        assert_eq!(world.books().net(&order).await, 0);
        eventually("the order can be paid again", async || {
            (buyer.pay(&order, "tok_ok").send().await.status == 201).then_some(())
        })
        .await;
        buyer.order_reaches(&order, "preparing").await;
    }
    assert_eq!(world.books().net(&order).await, number(&order["total"]));
    assert_eq!(world.books().net(&before).await, number(&before["total"]), "a killed gateway forgets nothing");
}
