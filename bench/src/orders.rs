//! Requests that place orders, as bytes.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::load::{Ammunition, Gun, Head, Request};
use super::server::ServerUnderTest;
use super::shop::{PRICE, Shop};

/// Points are spent `PRICE` at a time; a leg of this size leaves enough for many orders.
const POINTS_LEG: u64 = 10;
/// One of this many orders is paid in part with points.
const WITH_POINTS_EVERY: u32 = 5;
/// Lines of an order at most.
const MOST_LINES: usize = 3;
const ADDRESS: &str =
    r#"{"recipient":"김민준","phone":"010-1234-5678","postal_code":"06236","line1":"서울특별시 강남구 테헤란로 152"}"#;

/// How an order is paid when it is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pay {
    /// A fifth of the orders hold points.
    SomeWithPoints,
    /// Every order by card.
    Card,
    /// Unpaid orders.
    Nobody,
}

/// The buyers, products and payment of the orders.
#[derive(Clone)]
pub struct OrderPlan {
    heads: Arc<[Head]>,
    products: Arc<[String]>,
    pay: Pay,
    left: Option<Arc<AtomicUsize>>,
    in_turn: bool,
}

impl OrderPlan {
    /// Orders of everything in the shop.
    #[must_use]
    pub fn of(shop: &Shop, pay: Pay) -> Self {
        Self {
            heads: shop.buyers.iter().map(|authorization| Head::post("/v1/orders", authorization)).collect(),
            products: shop.products.clone().into(),
            pay,
            left: None,
            in_turn: false,
        }
    }

    /// Orders of the length of real ones, of products that do not exist: for the echo.
    #[must_use]
    pub fn of_nothing_in_particular(pay: Pay) -> Self {
        let products: Vec<String> = (0..10_000).map(|_| uuid::Uuid::now_v7().to_string()).collect();
        // About as long as an access token.
        let token = "x".repeat(400);
        Self {
            heads: [Head::post("/v1/orders", &format!("Bearer {token}"))].into(),
            products: products.into(),
            pay,
            left: None,
            in_turn: false,
        }
    }

    /// Limits the number of orders over all connections.
    #[must_use]
    pub fn at_most(self, orders: usize) -> Self {
        Self { left: Some(Arc::new(AtomicUsize::new(orders))), ..self }
    }

    /// One order of every buyer.
    #[must_use]
    pub fn one_of_each_buyer(self) -> Self {
        let buyers = self.heads.len();
        Self { in_turn: true, ..self.at_most(buyers) }
    }

    /// Restricts the orders to one of this many equal parts of the products.
    #[must_use]
    pub fn part(&self, number: usize, of: usize) -> Self {
        let products = self.products.iter().skip(number).step_by(of.max(1)).cloned().collect();
        Self { products, ..self.clone() }
    }

    /// Connections that place such orders, spread over the nodes.
    #[must_use]
    pub fn guns(&self, server: &ServerUnderTest, connections: usize) -> Vec<Gun<Orders>> {
        let addresses = server.nodes.iter().cycle().take(connections).enumerate();
        addresses.map(|(number, address)| self.gun(*address, number)).collect()
    }

    /// A connection that places such orders.
    #[must_use]
    pub fn gun(&self, address: SocketAddr, number: usize) -> Gun<Orders> {
        Gun { address, ammunition: self.orders(number) }
    }

    /// One connection's orders.
    #[must_use]
    pub fn orders(&self, number: usize) -> Orders {
        Orders { plan: self.clone(), random: fastrand::Rng::with_seed(fastrand::u64(..) ^ number as u64) }
    }
}

/// One connection's orders.
pub struct Orders {
    plan: OrderPlan,
    random: fastrand::Rng,
}

impl Ammunition for Orders {
    fn next(&mut self, request: &mut Request) -> bool {
        let mut in_turn = None;
        if let Some(left) = &self.plan.left {
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            let Ok(before) = taken else { return false };
            in_turn = self.plan.in_turn.then(|| before.saturating_sub(1));
        }
        let lines = self.body(&mut request.body);
        self.payment(&mut request.body, PRICE * lines);
        request.body.push(b'}');
        let buyer = in_turn.unwrap_or_else(|| self.random.usize(0..self.plan.heads.len().max(1)));
        let Some(head) = self.plan.heads.get(buyer) else { return false };
        request.finish(head, Some(self.random.u128(..)));
        true
    }
}

impl Orders {
    /// Writes the body up to the payment; returns the number of lines. Writing into memory does not
    /// fail.
    fn body(&mut self, body: &mut Vec<u8>) -> u64 {
        let products = &self.plan.products;
        let wanted = self.random.usize(1..=MOST_LINES.min(products.len().max(1)));
        // Neighbours in the list are as random as any, because the list has no order.
        let first = self.random.usize(0..products.len().max(1));
        let stride = (products.len() / MOST_LINES).max(1);
        body.extend_from_slice(b"{\"lines\":[");
        let mut lines = 0;
        for number in 0..wanted {
            let Some(product) = products.get((first + number * stride) % products.len().max(1)) else { break };
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(body, "{comma}{{\"product_id\":\"{product}\",\"quantity\":1}}");
            lines += 1;
        }
        let _ = write!(body, "],\"shipping_address\":{ADDRESS}");
        lines
    }

    fn payment(&mut self, body: &mut Vec<u8>, total: u64) {
        let points = match self.plan.pay {
            Pay::Nobody => return,
            Pay::Card => 0,
            Pay::SomeWithPoints if self.random.u32(0..WITH_POINTS_EVERY) > 0 => return,
            Pay::SomeWithPoints => POINTS_LEG,
        };
        body.extend_from_slice(b",\"payment\":{\"legs\":[");
        if points > 0 {
            let _ = write!(body, "{{\"method\":\"points\",\"amount\":{}}},", won(points));
        }
        let _ = write!(body, "{{\"method\":\"card\",\"amount\":{},\"card_token\":\"tok_ok\"}}]}}", won(total - points));
    }
}

fn won(amount: u64) -> String {
    format!("{{\"amount\":\"{amount}\",\"currency\":\"KRW\"}}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use serde_json::Value;

    use super::*;

    #[test]
    fn orders_are_well_formed_and_distinct_products_are_bought() {
        for (products, pay) in [(1, Pay::Nobody), (2, Pay::Card), (5, Pay::Card), (10_000, Pay::SomeWithPoints)] {
            let products: Vec<String> = (0..products).map(|number| format!("product-{number}")).collect();
            let heads = [Head::post("/v1/orders", "Bearer token")].into();
            let plan = OrderPlan { heads, products: products.into(), pay, left: None, in_turn: false }.at_most(200);
            let (mut orders, mut request) = (plan.orders(1), Request::default());
            let mut written = 0;
            while orders.next(&mut request) {
                written += 1;
                let text = std::str::from_utf8(request.bytes()).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
                let body: Value = serde_json::from_str(body).unwrap();
                let lines = body["lines"].as_array().unwrap();
                let ids: std::collections::BTreeSet<&str> =
                    lines.iter().map(|line| line["product_id"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), lines.len(), "each product once");
                if let Some(legs) = body["payment"]["legs"].as_array() {
                    let sum: u64 =
                        legs.iter().map(|leg| leg["amount"]["amount"].as_str().unwrap().parse::<u64>().unwrap()).sum();
                    assert_eq!(sum, PRICE * lines.len() as u64);
                } else {
                    assert_ne!(pay, Pay::Card);
                }
            }
            assert_eq!(written, 200);
        }
    }
}
