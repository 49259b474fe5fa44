//! People who place orders without a pause while a fault happens, and a journal of the answers they
//! got, which is kept outside the shop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::Value;

use super::client::{Call, Client, Reply, fresh_key};
use super::shopping::{basket, by_card, number};
use super::{World, eventually};

/// The card tokens of the load, with their behaviours.
const TOKENS: [&str; 6] =
    ["tok_ok", "tok_ok", "tok_declined", "tok_timeout_charged", "tok_error_then_ok", "tok_duplicate_webhook"];
/// Concurrent shoppers.
pub const SHOPPERS: usize = 8;
/// How often people log in again: several times during the life of a token.
const LOGIN_EVERY: Duration = Duration::from_secs(60);
/// Stock for every order of the load.
const PLENTY: u32 = 100_000;

/// Staff, buyers and a product.
pub struct Shop {
    pub admin: Client,
    pub buyers: Vec<Client>,
    pub product: String,
}

impl Shop {
    pub async fn open(world: &World) -> Self {
        let admin = world.admin().await;
        let product = world.product(&admin, "보이차", 12_000, PLENTY).await;
        let mut buyers = Vec::new();
        for name in ["minji", "jisoo"] {
            buyers.push(world.buyer(name).await.client);
        }
        Self { admin, buyers, product }
    }

    /// Runs the load while something happens, and lets everything that was begun finish; returns
    /// the journal.
    pub async fn under_load(&self, happens: impl AsyncFnOnce(&Journal<'_>)) -> Vec<Placed> {
        let journal =
            Journal { shop: self, placed: RefCell::default(), stop: Cell::new(false), turned_away: Cell::new(0) };
        let shoppers = (0..SHOPPERS).map(async |number| {
            let mut turn = number;
            while !journal.stop.get() {
                journal.shop_once(number % self.buyers.len(), TOKENS[turn % TOKENS.len()]).await;
                turn += 1;
            }
        });
        let happening = async {
            happens(&journal).await;
            journal.stop.set(true);
        };
        tokio::select! {
            _ = join(join_all(shoppers), happening) => {}
            () = self.log_in_now_and_then() => {}
        }
        journal.placed.into_inner()
    }

    async fn log_in_now_and_then(&self) {
        loop {
            tokio::time::sleep(LOGIN_EVERY).await;
            // A login that fails because of the fault is repeated at the next interval.
            join_all(self.everybody().map(Client::log_in_again)).await;
        }
    }

    fn everybody(&self) -> impl Iterator<Item = &Client> {
        self.buyers.iter().chain([&self.admin])
    }
}

/// An order that was acknowledged.
#[derive(Clone)]
pub struct Placed {
    buyer: usize,
    key: String,
    pub order: Value,
    /// The body of the answer, byte for byte.
    answer: Vec<u8>,
}

/// The answers so far.
pub struct Journal<'a> {
    shop: &'a Shop,
    placed: RefCell<Vec<Placed>>,
    stop: Cell<bool>,
    turned_away: Cell<usize>,
}

impl Journal<'_> {
    /// The number of acknowledged orders.
    pub fn count(&self) -> usize {
        self.placed.borrow().len()
    }

    /// The number of requests without an answer, or with one that asks for a retry.
    pub const fn turned_away(&self) -> usize {
        self.turned_away.get()
    }

    /// The orders acknowledged after the first `seen`.
    pub fn since(&self, seen: usize) -> Vec<Placed> {
        self.placed.borrow()[seen..].to_vec()
    }

    /// Waits until this many more orders are acknowledged.
    pub async fn goes_on(&self, more: usize) {
        let before = self.count();
        eventually("the load goes on", async || (self.count() >= before + more).then_some(())).await;
    }

    /// Repeats the request of every order after the first `seen`, under its key, and compares the
    /// answer with the first one. Returns the present number of orders.
    pub async fn word_is_kept(&self, seen: usize) -> usize {
        let placed = self.since(seen);
        join_all(placed.iter().map(async |placed| {
            let again = self.place(placed.buyer, &placed.key).await;
            assert_eq!(again.expect(201)["id"], placed.order["id"], "another order under the same key");
            assert_eq!(again.body, placed.answer, "another answer under the same key");
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }))
        .await;
        seen + placed.len()
    }

    async fn place(&self, buyer: usize, key: &str) -> Reply {
        let body = basket(&[(&self.shop.product, 1)]);
        self.until_answered(|| self.shop.buyers[buyer].post("/v1/orders", &body).key(key)).await
    }

    /// Places an order and pays it. A request without an answer is repeated under the same key, as
    /// a correct client does.
    async fn shop_once(&self, buyer: usize, token: &str) {
        let key = fresh_key();
        let reply = self.place(buyer, &key).await;
        let order = reply.expect(201);
        self.placed.borrow_mut().push(Placed { buyer, key: key.clone(), order: order.clone(), answer: reply.body });
        let payment_key = fresh_key();
        let payment = by_card(&order, token);
        let pay = || self.shop.buyers[buyer].post("/v1/payments", &payment).key(&payment_key);
        let answer = self.until_answered(pay).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        // A repeat of an answered request returns the same order.
        let again = self.place(buyer, &key).await;
        assert_eq!(again.expect(201)["id"], order["id"]);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }

    /// Repeats a request until there is a definite answer. An unknown outcome, or one that is not
    /// possible now, is only ever answered with a 503.
    async fn until_answered(&self, request: impl Fn() -> Call) -> Reply {
        eventually("an answer", async || {
            let reply = request().try_send().await.ok().filter(|reply| reply.status != 503);
            if reply.is_none() {
                self.turned_away.set(self.turned_away.get() + 1);
            }
            reply
        })
        .await
    }
}

/// Compares the shop and the gateway with the answers that people got, once everything has come to
/// rest.
pub async fn all_is_as_told(world: &World, shop: &Shop, told: &[Placed]) {
    assert!(!told.is_empty());
    let admin = &shop.admin;
    assert!(admin.log_in_again().await, "the administrator logs in again");
    let ids: BTreeSet<&str> = told.iter().map(|placed| placed.order["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), told.len(), "every key has an order of its own");
    for id in &ids {
        admin.saga_rests(id).await;
    }
    // With all processes at rest a read model may still be behind: the list is complete when it has
    // as many.
    let orders = eventually("the list shows every order", async || {
        let orders = admin.read_all("/v1/orders?limit=200").await;
        (orders.len() >= ids.len()).then_some(orders)
    })
    .await;
    let there: BTreeSet<&str> = orders.iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(orders.len(), there.len(), "no order twice");
    assert_eq!(there, ids, "exactly the acknowledged orders are there");

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
    admin.stock_becomes(&shop.product, i64::from(PLENTY), waiting, sold).await;
    assert!(sold > 0 && waiting > 0, "the load had both outcomes: {sold} sold, {waiting} waiting");
    world.replay_at_the_end();
    println!("{} orders acknowledged, {sold} sold, {waiting} waiting for their payment", told.len());
}

/// The order, once its payments are decided and it shows their outcome.
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
