//! Common steps of a scenario.

use serde_json::{Value, json};

use super::client::{Call, Client, Reply};
use super::eventually;
use super::world::{ADMIN_EMAIL, ADMIN_PASSWORD, World};

/// An amount in won.
pub fn krw(amount: u64) -> Value {
    json!({"amount": amount.to_string(), "currency": "KRW"})
}

/// The amount as a whole number.
#[track_caller]
pub fn number(amount: &Value) -> u64 {
    let text = amount["amount"].as_str().or_else(|| amount.as_str());
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("not an amount in won: {amount}"))
}

/// The body of an order.
pub fn basket(lines: &[(&str, u32)]) -> Value {
    let lines: Vec<_> = lines.iter().map(|(id, quantity)| json!({"product_id": id, "quantity": quantity})).collect();
    let address = json!({
        "recipient": "김민지", "phone": "010-1234-5678", "postal_code": "06236", "line1": "서울특별시 강남구 테헤란로 152",
    });
    json!({"lines": lines, "shipping_address": address})
}

/// The body of a payment of the whole order by card.
pub fn by_card(order: &Value, token: &str) -> Value {
    json!({"order_id": order["id"], "legs": [{"method": "card", "amount": order["total"], "card_token": token}]})
}

/// A customer.
#[derive(Clone)]
pub struct Buyer {
    pub client: Client,
    pub id: String,
    pub email: String,
    pub refresh_token: String,
}

pub const BUYER_PASSWORD: &str = "a long enough password";

impl World {
    /// A client with an administrator's rights.
    pub async fn admin(&self) -> Client {
        self.visitor().log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await.0
    }

    /// A new customer, logged in.
    pub async fn buyer(&self, name: &str) -> Buyer {
        let visitor = self.visitor();
        let email = format!("{name}@example.com");
        let account = json!({"email": email, "password": BUYER_PASSWORD, "name": name});
        let user = visitor.post("/v1/auth/register", &account).send().await.expect(201);
        let (client, answer) = visitor.log_in(&email, BUYER_PASSWORD).await;
        Buyer {
            client,
            id: user["id"].as_str().unwrap().to_owned(),
            email,
            refresh_token: answer["refresh_token"].as_str().unwrap().to_owned(),
        }
    }

    /// A product with this many pieces in stock; returns its id.
    pub async fn product(&self, admin: &Client, name: &str, price: u64, pieces: u32) -> String {
        let body = json!({"name": name, "price": krw(price)});
        let product = admin.post("/v1/products", &body).send().await.expect(201);
        let id = product["id"].as_str().unwrap().to_owned();
        if pieces > 0 {
            let received = json!({"quantity": pieces});
            admin.post(&format!("/v1/stock/{id}/receive"), &received).send().await.expect(200);
        }
        id
    }
}

impl Client {
    /// Places an order, which has to be accepted.
    pub async fn place(&self, lines: &[(&str, u32)]) -> Value {
        self.post("/v1/orders", &basket(lines)).send().await.expect(201)
    }

    /// Pays an order by card and waits until everything has settled.
    pub fn pay(&self, order: &Value, token: &str) -> Call {
        self.post("/v1/payments", &by_card(order, token)).settled()
    }

    /// Places an order, pays it and waits until its parcel is being prepared.
    pub async fn buy(&self, lines: &[(&str, u32)]) -> Value {
        let order = self.place(lines).await;
        self.pay(&order, "tok_ok").send().await;
        self.order_reaches(&order, "preparing").await
    }

    /// Waits until an order has this status.
    pub async fn order_reaches(&self, order: &Value, status: &str) -> Value {
        self.becomes(&format!("/v1/orders/{}", order["id"].as_str().unwrap()), status).await
    }

    /// Waits until the resource at a path has this status.
    pub async fn becomes(&self, path: &str, status: &str) -> Value {
        eventually(&format!("{path} is {status}"), async || {
            let seen = self.get(path).send().await;
            (seen.status == 200).then(|| seen.json()).filter(|seen| seen["status"] == status)
        })
        .await
    }

    /// Waits until a list has this many items; returns them.
    pub async fn list_of(&self, count: usize, path: &str) -> Vec<Value> {
        eventually(&format!("{path} lists {count}"), async || {
            Some(self.read_all(path).await).filter(|items| items.len() == count)
        })
        .await
    }

    /// Waits until the only parcel of an order has this status; returns the parcel.
    pub async fn parcel_of(&self, order: &Value, status: &str) -> Value {
        let path = format!("/v1/orders/{}/shipments", order["id"].as_str().unwrap());
        let parcel = self.list_of(1, &path).await.remove(0);
        self.becomes(&format!("/v1/shipments/{}", parcel["id"].as_str().unwrap()), status).await
    }

    /// Waits until the stock of a product has these counts.
    pub async fn stock_becomes(&self, product: &str, on_hand: i64, reserved: i64, allocated: i64) {
        let path = format!("/v1/stock/{product}");
        let wanted = [on_hand, reserved, allocated, on_hand - reserved - allocated];
        let names = ["on_hand", "reserved", "allocated", "available"];
        eventually(&format!("{path} has {names:?} {wanted:?}"), async || {
            let stock = self.read(&path).await;
            let numbers = names.map(|name| stock[name].as_i64().unwrap());
            (numbers == wanted).then_some(())
        })
        .await;
    }

    /// Waits until the process of an order waits only for people.
    pub async fn saga_rests(&self, order: &str) -> Value {
        self.saga(order, "is at rest", |saga| saga["at_rest"] == true || saga["state"] == "ended").await
    }

    /// Waits until the process of an order has ended.
    pub async fn saga_ends(&self, order: &str) -> Value {
        self.saga(order, "has ended", |saga| saga["state"] == "ended").await
    }

    async fn saga(&self, order: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the process of {order} {what}"), async || {
            let saga = self.get(&format!("/v1/sagas/{order}")).send().await;
            (saga.status == 200).then(|| saga.json()).filter(&is_so)
        })
        .await
    }
}

/// The tester's interface of the sandbox.
pub struct Books {
    client: Client,
}

impl Books {
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    pub async fn charges(&self, order: &Value) -> Vec<Value> {
        self.client.read_all(&format!("/sandbox/charges?order_id={}", order["id"].as_str().unwrap())).await
    }

    pub async fn refunds(&self, order: &Value) -> Vec<Value> {
        self.client.read_all(&format!("/sandbox/refunds?order_id={}", order["id"].as_str().unwrap())).await
    }

    /// The amount that an order has cost its buyer in the end.
    pub async fn net(&self, order: &Value) -> u64 {
        let charges = self.charges(order).await;
        charges
            .iter()
            .filter(|charge| charge["status"] == "captured")
            .map(|c| number(&c["amount"]) - number(&c["refunded"]))
            .sum()
    }

    /// The number of an order's charges that still hold money.
    pub async fn live_charges(&self, order: &Value) -> usize {
        let charges = self.charges(order).await;
        charges.iter().filter(|c| c["status"] == "captured" && c["amount"] != c["refunded"]).count()
    }

    /// The carrier scans a parcel.
    pub async fn scan(&self, tracking_number: &str, status: &str) -> Reply {
        let scan = json!({"tracking_number": tracking_number, "status": status});
        self.client.post("/sandbox/carrier/advance", &scan).send().await
    }

    /// Makes the carrier refuse this many labels.
    pub async fn refuse_labels(&self, count: u32) {
        self.client.post("/sandbox/carrier/faults", &json!({"refuse": count})).send().await.expect(200);
    }
}
