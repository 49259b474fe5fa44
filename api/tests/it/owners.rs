//! Every operation of the route table on a resource that has an owner: the owner reaches it, and
//! for all other users it does not exist. A 404 alone proves nothing, so the owner reads each one
//! in the same test.

use axum::body::Body;
use http_body_util::BodyExt as _;
use jangbu_aggregates::order::Order;
use jangbu_api::{Access, Route, openapi, route_table};
use jangbu_commands::commands::{ObserveLabel, ObservePayment, RecordNotice};
use jangbu_commands::{
    AnyCommand, Caller, NoticeAbout, NoticeOutcome, Reach, Recipient, Request, Scope, Source, allows, load_state,
};
use jangbu_kernel::gateway::{ChargeOutcome, LabelOutcome};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, Money, NoticeId, OrderId, PaymentId, Role, ShipmentId, StreamId, Version,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::house::{House, order_body, request};
use crate::places::Place;

const PRICE: i64 = 10_000;

/// The owner of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Owners,
    Shops,
}

/// One resource for each kind of id in a path.
pub struct Street {
    pub house: House,
    pub owner: String,
    stranger: String,
    staff: String,
    /// The segment before a parameter, the parameter's value, and the owner.
    things: Vec<(&'static str, String, Whose)>,
    position: String,
    /// A product that another one can be a variant of.
    other_product: String,
    document: Value,
}

impl Street {
    pub async fn new() -> Self {
        Self::around(House::new().await).await
    }

    pub async fn around(house: House) -> Self {
        let staff = house.somebody(&[Role::Staff]).await;
        let (owner, stranger) = (house.somebody(&[Role::Customer]).await, house.somebody(&[Role::Customer]).await);
        let product = house.product(&staff, &PRICE.to_string(), 5).await;
        let mut body = order_body(&product, 1);
        body["payment"] = json!({"legs": [{"method": "card", "amount": PRICE.to_string(), "card_token": "tok_ok"}]});
        let order =
            house.post(&owner, "/v1/orders", &[("idempotency-key", "the-owners-order")], &body).await.expect(201);
        let order_id = text(&order.body["id"]);
        let paid =
            read(&house, &owner, &format!("/v1/orders/{order_id}/payments"), order.header("jangbu-position")).await;
        let payment_id = text(&paid["items"][0]["id"]);
        let tracking_number = "TRACK-1";
        let shipment_id = carry_on(&house, &order_id, &payment_id, tracking_number).await;
        let refund = json!({"amount": "100", "reason": "broken"});
        let refunds = format!("/v1/payments/{payment_id}/refunds");
        house.post(&staff, &refunds, &[("idempotency-key", "the-owners-refund")], &refund).await.expect(201);
        let return_id = returned(&house, &owner, &staff, &order_id, shipment_id).await;
        let other_product = house.product(&staff, &PRICE.to_string(), 5).await;
        let transfer = transfer(&house, &staff, &product).await;
        let slug = json!({"slug": "jeju-감귤"}).to_string();
        house.send_json("PUT", &staff, &format!("/v1/products/{product}"), &[], &slug).await.expect(200);
        let category = house.post(&staff, "/v1/categories", &[], &json!({"name": "과일"})).await.expect(201);
        let category = text(&category.body["id"]);
        let file = request("POST", "/v1/imports/products", &staff, &[("content-type", "text/csv")]);
        let import = house.send(file.body(Body::from("name\n")).unwrap()).await;
        let import = import.header("location").rsplit('/').next().unwrap().to_owned();
        let user = text(&house.get(&owner, "/v1/auth/profile").await.expect(200).body["id"]);
        let notice_id = told(&house, &order_id, &user).await;
        let position = house.state.commands.log().head().await.unwrap().to_string();
        let things = vec![
            ("/v1/notices/{id}", notice_id.to_string(), Whose::Shops),
            ("/v1/orders/{id}", order_id.clone(), Whose::Owners),
            ("/v1/orders/by-number/{number}", text(&order.body["number"]), Whose::Owners),
            ("/v1/payments/{id}", payment_id, Whose::Owners),
            ("/v1/shipments/{id}", shipment_id.to_string(), Whose::Owners),
            ("/v1/shipments/tracking/{tracking_number}", tracking_number.to_owned(), Whose::Owners),
            ("/v1/returns/{id}", return_id, Whose::Owners),
            ("/v1/users/{id}", user, Whose::Owners),
            ("/v1/sagas/{order_id}", order_id.clone(), Whose::Owners),
            ("/v1/audit/streams/{stream}", format!("order-{order_id}"), Whose::Owners),
            ("/v1/products/{id}", product.clone(), Whose::Shops),
            ("/v1/products/by-slug/{slug}", "jeju-감귤".to_owned(), Whose::Shops),
            ("/v1/categories/{id}", category, Whose::Shops),
            ("/v1/stock/{product_id}", product, Whose::Shops),
            ("/v1/imports/{id}", import, Whose::Shops),
            ("/v1/stock/{product_id}/transfers/{id}", transfer, Whose::Shops),
            ("/v1/locations/{code}", "pangyo".to_owned(), Whose::Shops),
            ("/v1/projections/{name}", "orders".to_owned(), Whose::Shops),
        ];
        let document = serde_json::to_value(openapi()).unwrap();
        Self { house, owner, stranger, staff, things, position, other_product, document }
    }

    /// The id that replaces this parameter.
    pub fn thing(&self, place: &str) -> &str {
        let thing = self.things.iter().find(|(known, ..)| *known == place);
        thing.map(|(_, thing, _)| thing.as_str()).unwrap()
    }

    /// The same resources after the shop was closed and opened again, and the rows that its
    /// database had read until then.
    pub async fn opened_again(self, place: &Place) -> (Self, Option<i64>) {
        let Self { house, owner, stranger, staff, things, position, other_product, document } = self;
        let world = house.world.clone();
        house.close().await;
        let rows = place.rows_read().await;
        let house = House::on(place, world).await;
        (Self { house, owner, stranger, staff, things, position, other_product, document }, rows)
    }

    /// The ids of the owner's order and of what belongs to it.
    pub fn names_of_the_order(&self) -> Vec<String> {
        let of_the_order = self.things.iter().filter(|(place, _, whose)| {
            let kinds = ["/v1/orders/", "/v1/payments/", "/v1/shipments/", "/v1/returns/"];
            *whose == Whose::Owners && kinds.iter().any(|kind| place.starts_with(kind))
        });
        of_the_order.map(|(_, thing, _)| thing.clone()).collect()
    }

    /// From now on reads include everything that is in the log.
    pub async fn catch_up(&mut self) {
        self.position = self.house.state.commands.log().head().await.unwrap().to_string();
    }

    /// What a path answers once it includes everything up to the last catching up.
    pub async fn read(&self, token: &str, path: &str) -> Value {
        read(&self.house, token, path, &self.position).await
    }

    /// The route's path with an id in it, and that resource's owner.
    pub fn concrete(&self, path: &str) -> (String, Whose) {
        let thing =
            self.things.iter().filter(|(place, ..)| path.starts_with(place)).max_by_key(|(place, ..)| place.len());
        let (place, thing, whose) = thing.unwrap_or_else(|| panic!("no thing for {path}: add one to the street"));
        let (before, _) = place.split_once('{').unwrap();
        let rest = &path[place.len()..];
        assert!(!rest.contains('{'), "no thing for the last part of {path}: add one to the street");
        (format!("{before}{thing}{rest}"), *whose)
    }

    fn operation(&self, route: &Route) -> &Value {
        &self.document["paths"][&route.path][route.method.as_str().to_lowercase()]
    }

    /// Whether the route accepts `as_of`.
    pub fn knows_the_past(&self, route: &Route) -> bool {
        let parameters = self.operation(route)["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| parameter["name"] == "as_of")
    }

    /// A body that the route accepts.
    fn body(&self, route: &Route) -> Value {
        let body = &self.operation(route)["requestBody"];
        let example = &body["content"]["application/json"]["example"];
        // Where the document has no example, a reason is all that is required.
        let mut example =
            if !body.is_null() && example.is_null() { json!({"reason": "a walk"}) } else { example.clone() };
        if let Some(product) = example.pointer_mut("/lines/0/product_id") {
            *product = json!(self.thing("/v1/products/{id}"));
        }
        if let Some(of) = example.get_mut("of") {
            *of = json!(self.other_product);
        }
        example
    }

    /// The status, and the code of a rejection. A stream of events is not read.
    pub async fn ask(&self, route: &Route, path: &str, token: &str, key: &str) -> (u16, String) {
        let mut headers = vec![("content-type", "application/json")];
        if route.method == http::Method::GET {
            headers.extend([("jangbu-min-position", self.position.as_str()), ("prefer", "wait=30")]);
        } else {
            headers.push(("idempotency-key", key));
        }
        let body = self.body(route);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let asked = request(route.method.as_str(), path, token, &headers).body(body).unwrap();
        let response = self.house.router.clone().oneshot(asked).await.unwrap();
        let status = response.status().as_u16();
        if status < 400 {
            return (status, String::new());
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        (status, text(&problem["code"]))
    }
}

/// A transfer of two units that are on their way, under its product.
async fn transfer(house: &House, staff: &str, product: &str) -> String {
    let location = json!({"code": "pangyo", "name": "판교 매장"});
    house.post(staff, "/v1/locations", &[], &location).await.expect(201);
    let (path, body) = (format!("/v1/stock/{product}/transfers"), json!({"to": "pangyo", "quantity": 2}));
    let sent = house.post(staff, &path, &[("idempotency-key", "the-shops-transfer")], &body).await.expect(200);
    format!("{product}/transfers/{}", text(&sent.body["transfers"][0]["id"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

/// A return of the order, after its parcel has arrived.
async fn returned(house: &House, owner: &str, staff: &str, order_id: &str, shipment_id: ShipmentId) -> String {
    for status in ["dispatched", "delivered"] {
        let scan = json!({"status": status});
        house.post(staff, &format!("/v1/shipments/{shipment_id}/status"), &[], &scan).await.expect(200);
    }
    let order = house.get(owner, &format!("/v1/orders/{order_id}")).await.expect(200);
    let asked = json!({"reason": "changed_mind", "lines": [{"product_id": order.body["lines"][0]["product_id"]}]});
    let returns = format!("/v1/orders/{order_id}/returns");
    let asked = house.post(owner, &returns, &[("idempotency-key", "the-owners-return")], &asked).await.expect(201);
    text(&asked.body["id"])
}

async fn read(house: &House, token: &str, path: &str, position: &str) -> Value {
    let headers = [("jangbu-min-position", position), ("prefer", "wait=30")];
    house.send(request("GET", path, token, &headers).body(Body::empty()).unwrap()).await.expect(200).body
}

/// Does the work of the process manager: the money is captured, the parcel gets its number. Returns
/// the parcel that the order's process has opened.
async fn carry_on(house: &House, order: &str, payment: &str, tracking_number: &str) -> ShipmentId {
    let order_id = OrderId::new(order.parse().unwrap());
    let payment_id = PaymentId::new(payment.parse().unwrap());
    let charged = ChargeOutcome::Captured { reference: "charge-1".to_owned(), amount: Money::krw(PRICE).unwrap() };
    carry_out(house, ObservePayment { payment_id, observation: charged, source: Source::Answer }).await;
    let (order, _) = load_state::<Order>(house.state.commands.log().as_ref(), order_id).await.unwrap();
    let shipment_id = order.shipment_id().expect("the process has opened it");
    let label = LabelOutcome::Ready { tracking_number: tracking_number.to_owned() };
    carry_out(house, ObserveLabel { shipment_id, carrier: "sandbox".to_owned(), observation: label }).await;
    shipment_id
}

/// The owner is told of the order, in vain so far.
async fn told(house: &House, order: &str, user: &str) -> NoticeId {
    let notice_id = NoticeId::new(house.world.new_id());
    let about = NoticeAbout {
        name: "order_placed".to_owned(),
        to: Recipient::Buyer,
        channel: "mail".to_owned(),
        stream: StreamId::order(OrderId::new(order.parse().unwrap())),
        version: Version::FIRST,
        user_id: user.parse().ok(),
        order_id: order.parse().ok(),
    };
    let outcome = NoticeOutcome::Failed { reason: "timed_out".to_owned(), for_good: false };
    carry_out(house, RecordNotice { notice_id, about, attempt: 1, outcome }).await;
    notice_id
}

pub async fn carry_out(house: &House, command: impl Into<AnyCommand>) {
    let command = command.into();
    let name = command.name();
    let caller = Caller { actor: Actor::System("system"), scope: Scope::Any };
    let (id, correlation) = (CommandId::new(house.world.new_id()), CorrelationId::new(house.world.new_id()));
    let done = house.state.commands.execute(Request::new(command, caller, id, correlation)).await;
    done.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Whether the gate lets customers pass.
fn is_for_customers(access: Access) -> bool {
    let holds = |permission| allows(&[Role::Customer], permission);
    match access {
        Access::Open | Access::Public | Access::Auth | Access::Holder(Reach::LoggedIn) => true,
        Access::Holder(Reach::Any(permission) | Reach::Own(permission)) => holds(permission),
        Access::Holder(Reach::OwnOrAny { own, any }) => holds(own) || holds(any),
    }
}

/// The routes that a customer may use, except for probes and documents.
pub fn customers_routes() -> impl Iterator<Item = Route> {
    route_table().into_iter().filter(|route| route.access != Access::Open && is_for_customers(route.access))
}

#[tokio::test]
async fn what_is_somebody_elses_does_not_exist() {
    let street = Street::new().await;
    let (mut seen, mut acted) = (0, 0);
    let routes = route_table().into_iter().filter(|route| route.path.contains('{') && route.access != Access::Open);
    for route in routes {
        // A staff-only route has a resource here too, so that it is tested once customers may use
        // it.
        let (path, whose) = street.concrete(&route.path);
        if !is_for_customers(route.access) {
            continue;
        }
        let place = format!("{} {}", route.method, route.path);
        if route.method != http::Method::GET {
            assert_eq!(whose, Whose::Owners, "{place}: what a customer may change is somebody's");
            let key = format!("walk-{acted}-of-nobody");
            assert_eq!(street.ask(&route, &path, "", &key).await.0, 401, "{place}");
            let strangers = street.ask(&route, &path, &street.stranger, &format!("walk-{acted}-stranger")).await;
            assert_eq!(strangers, (404, "not_found".to_owned()), "{place}: a stranger");
            let (status, code) = street.ask(&route, &path, &street.owner, &format!("walk-{acted}-of-owner")).await;
            assert!(![400, 401, 403, 404, 405].contains(&status), "{place}: the owner gets {status} {code}");
            acted += 1;
            continue;
        }
        let mut paths = vec![path.clone()];
        if whose == Whose::Owners && street.knows_the_past(&route) {
            paths.push(format!("{path}?as_of=1"));
        }
        for path in paths {
            assert_eq!(street.ask(&route, &path, &street.owner, "").await.0, 200, "{place}: the owner of {path}");
            assert_eq!(street.ask(&route, &path, &street.staff, "").await.0, 200, "{place}: somebody of the shop");
            let strangers = street.ask(&route, &path, &street.stranger, "").await;
            let anonymous = street.ask(&route, &path, "", "").await.0;
            match whose {
                Whose::Owners => {
                    assert_eq!(strangers, (404, "not_found".to_owned()), "{place}: a stranger at {path}");
                    assert_eq!(anonymous, 401, "{place}");
                }
                Whose::Shops => {
                    assert_eq!(strangers.0, 200, "{place}: a stranger at {path}");
                    assert_eq!(anonymous, if route.access == Access::Public { 200 } else { 401 }, "{place}");
                }
            }
            seen += 1;
        }
    }
    assert!(seen >= 15 && acted >= 5, "the walk is the whole walk: {seen} {acted}");
}

#[tokio::test]
async fn a_list_shows_ones_own_and_nobody_elses() {
    let street = Street::new().await;
    let user = text(&street.house.get(&street.owner, "/v1/auth/profile").await.expect(200).body["id"]);
    let mut walked = 0;
    for route in route_table() {
        let is_own = matches!(route.access, Access::Holder(Reach::Own(_) | Reach::OwnOrAny { .. }));
        if route.method != http::Method::GET || route.path.contains('{') || !is_own {
            continue;
        }
        let list = async |token: &str, query: &str| {
            let answer = street.read(token, &format!("{}{query}", route.path)).await;
            answer["items"].as_array().unwrap_or_else(|| panic!("{} is a list: {answer}", route.path)).len()
        };
        assert_eq!(list(&street.owner, "").await, 1, "{}", route.path);
        assert_eq!(list(&street.staff, "").await, 1, "{}", route.path);
        for query in [String::new(), format!("?user_id={user}")] {
            assert_eq!(list(&street.stranger, &query).await, 0, "{}{query}", route.path);
        }
        walked += 1;
    }
    assert!(walked >= 3, "{walked}");
}
