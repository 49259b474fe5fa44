//! Commands and queries through HTTP that need no external systems.

use std::sync::atomic::Ordering;

use jangbu_kernel::Role;
use serde_json::{Value, json};

use crate::house::{Answer, House, order_body};

struct Shop {
    house: House,
    staff: String,
    buyer: String,
    product: String,
}

impl Shop {
    async fn new() -> Self {
        Self::in_a(House::new().await).await
    }

    /// The shop's default rules, with its limits on unpaid orders.
    async fn strict() -> Self {
        Self::in_a(House::with(None, None, jangbu_commands::Policy::default()).await).await
    }

    async fn in_a(house: House) -> Self {
        let staff = house.somebody(&[Role::Staff]).await;
        let buyer = house.somebody(&[Role::Customer]).await;
        let product = house.product(&staff, "25000", 10).await;
        Self { house, staff, buyer, product }
    }

    async fn place(&self, key: &str, body: &Value) -> Answer {
        self.house.post(&self.buyer, "/v1/orders", &[("idempotency-key", key)], body).await
    }
}

fn path(order: &Answer) -> String {
    format!("/v1/orders/{}", order.body["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_new_order_is_answered_with_the_address_at_hand() {
    let shop = Shop::new().await;
    let opened = || shop.house.world.opened.load(Ordering::Relaxed);
    let before = opened();
    let placed = shop.place("the-address-at-hand", &order_body(&shop.product, 1)).await.expect(201);
    assert_eq!(opened(), before, "nothing is opened that was sealed a moment ago");
    let again = shop.place("the-address-at-hand", &order_body(&shop.product, 1)).await.expect(201);
    assert_eq!((again.header("idempotent-replayed"), opened()), ("true", before + 1), "the first order's is opened");
    assert_eq!(again.body, placed.body);
    assert_eq!(shop.house.get(&shop.buyer, &path(&placed)).await.expect(200).body, placed.body);
}

/// A shop on the mainland that asks more for an island, and for heavy goods.
fn with_fees() -> jangbu_commands::Policy {
    use jangbu_aggregates::shipping::{Region, ShippingFee, WeightStep};
    let won = |units: i64| jangbu_kernel::Money::krw(units).unwrap();
    let fee = ShippingFee {
        base: won(3_000),
        free_from: Some(won(50_000)),
        per_seller: false,
        regions: vec![Region { from: "63000".to_owned(), to: "63644".to_owned(), fee: won(4_000) }],
        weights: vec![WeightStep { over_grams: 10_000, fee: won(2_000) }],
    };
    jangbu_commands::Policy { shipping_fees: vec![fee], ..jangbu_commands::Policy::default() }
}

#[tokio::test]
async fn shipping_costs_what_was_quoted_for_the_place_and_the_weight() {
    let shop = Shop::in_a(House::with(None, None, with_fees()).await).await;
    let weigh = json!({"weight_grams": 6_000});
    let path = format!("/v1/products/{}", shop.product);
    let weighed = shop.house.send_json("PUT", &shop.staff, &path, &[], &weigh.to_string()).await.expect(200);
    assert_eq!(weighed.body["weight_grams"], 6_000);
    for (number, (quantity, postal_code, fee)) in
        [(1, "06236", "3000"), (1, "63100", "7000"), (2, "06236", "2000"), (2, "63100", "6000")].into_iter().enumerate()
    {
        let asked = json!({"lines": [{"product_id": shop.product, "quantity": quantity}], "postal_code": postal_code});
        let quote = shop.house.post(&shop.buyer, "/v1/shipping/quote", &[], &asked).await.expect(200);
        assert_eq!(quote.body["shipping_fee"], json!({"amount": fee, "currency": "KRW"}), "{asked}");
        let mut body = order_body(&shop.product, quantity);
        body["shipping_address"]["postal_code"] = json!(postal_code);
        let quote = shop.house.post(&shop.buyer, "/v1/orders/quote", &[], &body).await.expect(200);
        let placed = shop.place(&format!("shipped-{number}-for-a-fee"), &body).await.expect(201);
        for amount in ["subtotal", "shipping_fee", "total"] {
            assert_eq!(placed.body[amount], quote.body[amount], "{amount}");
        }
        assert_eq!(placed.body["shipping_fee"]["amount"], fee);
        shop.house.post(&shop.buyer, &format!("{}/cancel", self::path(&placed)), &[], &json!({})).await;
    }
    let bad = json!({"lines": [], "postal_code": "06236"});
    shop.house.post(&shop.buyer, "/v1/shipping/quote", &[], &bad).await.problem(400, "validation_failed");
}

#[tokio::test]
async fn an_order_is_placed_shown_and_called_off() {
    let shop = Shop::new().await;
    let placed = shop.place("placed-and-shown", &order_body(&shop.product, 2)).await.expect(201);
    assert_eq!(placed.header("location"), path(&placed));
    assert_eq!(placed.header("etag"), "\"1\"");
    assert_eq!(placed.body["status"], "placed");
    assert_eq!(placed.body["total"], json!({"amount": "50000", "currency": "KRW"}));
    assert_eq!(placed.body["shipping_address"]["recipient"], "김민지");
    assert_eq!(placed.body["placed_at"], "2026-11-21T01:00:00.000Z");

    let position = placed.header("jangbu-position").to_owned();
    let behind = crate::house::request(
        "GET",
        &path(&placed),
        &shop.buyer,
        &[("jangbu-min-position", &position), ("prefer", "wait=30")],
    );
    let read = shop.house.send(behind.body(axum::body::Body::empty()).unwrap()).await.expect(200);
    assert_eq!((&read.body, read.header("etag")), (&placed.body, "\"1\""));
    let number = placed.body["number"].as_str().unwrap();
    let by_number = shop.house.get(&shop.buyer, &format!("/v1/orders/by-number/{number}")).await.expect(200);
    assert_eq!(by_number.body, placed.body);

    // A buyer sees how many can be bought, and nothing else.
    let stock = shop.house.get(&shop.buyer, &format!("/v1/stock/{}", shop.product)).await.expect(200);
    assert_eq!(stock.body["available"], 8);
    assert_eq!(
        stock.body,
        json!({"product_id": shop.product, "available": 8, "orderable": 8, "version": stock.body["version"]})
    );
    let earlier = format!("/v1/stock/{}?as_of=1", shop.product);
    shop.house.get(&shop.buyer, &earlier).await.problem(403, "forbidden");

    let cancel = format!("{}/cancel", path(&placed));
    let cancelled = shop.house.send_json("PUT", &shop.buyer, &cancel, &[("if-match", "\"1\"")], "").await.expect(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    assert_eq!(cancelled.header("etag"), "\"2\"");
    let again = shop.house.post(&shop.buyer, &cancel, &[], &json!({"reason": "twice"})).await.expect(200);
    assert_eq!(again.body["status"], "cancelled", "what is done is done");

    let then = shop.house.get(&shop.buyer, &format!("{}?as_of=1", path(&placed))).await.expect(200);
    assert_eq!(then.body, placed.body);
    shop.house.get(&shop.buyer, &format!("{}?as_of=99", path(&placed))).await.problem(404, "not_found");
    let before = format!("{}?as_of=2020-01-01T00:00:00Z", path(&placed));
    shop.house.get(&shop.buyer, &before).await.problem(404, "not_found");

    let history = shop.house.get(&shop.buyer, &format!("{}/history", path(&placed))).await.expect(200);
    let types: Vec<_> =
        history.body["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["order.placed", "order.cancelled"]);
    assert!(!history.text.contains("김민지"), "personal fields stay sealed");
}

#[tokio::test]
async fn a_repeat_gives_the_first_answer_byte_for_byte() {
    let shop = Shop::new().await;
    let body = order_body(&shop.product, 1);
    let first = shop.place("the-same-key", &body).await.expect(201);
    shop.house.post(&shop.buyer, &format!("{}/cancel", path(&first)), &[], &json!({})).await.expect(200);
    let second = shop.place("the-same-key", &body).await.expect(201);
    assert_eq!(second.text, first.text);
    assert_eq!(second.header("idempotent-replayed"), "true");
    for name in ["etag", "location", "jangbu-position"] {
        assert_eq!(second.header(name), first.header(name), "{name}");
    }
    assert!(first.headers.get("idempotent-replayed").is_none());
    shop.place("the-same-key", &order_body(&shop.product, 2)).await.problem(422, "idempotency_key_reused");
    let listed = shop.house.get(&shop.buyer, "/v1/orders").await.expect(200);
    assert!(listed.body["items"].as_array().unwrap().len() <= 1);
}

#[tokio::test]
async fn many_equal_requests_at_once_make_one_order() {
    let shop = Shop::new().await;
    let body = order_body(&shop.product, 1);
    let answers = futures::future::join_all((0..20).map(|_| shop.place("all-at-once", &body))).await;
    let bodies: std::collections::BTreeSet<_> = answers.into_iter().map(|answer| answer.expect(201).text).collect();
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn what_is_about_to_begin_has_no_version_and_no_condition_on_one_holds() {
    let shop = Shop::new().await;
    let staff = shop.house.somebody(&[Role::Staff]).await;
    let condition = [("if-match", "\"3\""), ("idempotency-key", "begins-with-a-condition")];
    let product = json!({"name": "제주 감귤", "price": {"amount": "10000", "currency": "KRW"}});
    shop.house.post(&staff, "/v1/products", &condition, &product).await.problem(412, "version_conflict");
    let order = order_body(&shop.product, 1);
    shop.house.post(&shop.buyer, "/v1/orders", &condition, &order).await.problem(412, "version_conflict");
}

#[tokio::test]
async fn a_version_that_moved_on_is_412_and_says_where_it_is() {
    let shop = Shop::new().await;
    let placed = shop.place("versions-of-it", &order_body(&shop.product, 1)).await.expect(201);
    let cancel = format!("{}/cancel", path(&placed));
    for tag in ["\"7\"", "W/\"1\"", "\"7\", \"8\"", "\"abc\""] {
        let answer = shop.house.post(&shop.buyer, &cancel, &[("if-match", tag)], &json!({})).await;
        assert_eq!(answer.problem(412, "version_conflict").header("etag"), "\"1\"", "{tag}");
    }
    shop.house.post(&shop.buyer, &cancel, &[("if-match", "\"7\", \"1\"")], &json!({})).await.expect(200);
    let read = crate::house::request(
        "GET",
        &path(&placed),
        &shop.buyer,
        &[("if-none-match", "\"2\""), ("jangbu-min-position", "1")],
    );
    // The read model may still be at version 1; the answer is the whole order then.
    let status = shop.house.send(read.body(axum::body::Body::empty()).unwrap()).await.status.as_u16();
    assert!(status == 304 || status == 200, "{status}");
}

#[tokio::test]
async fn refusals_of_the_shop_keep_their_codes_and_pointers() {
    let shop = Shop::new().await;
    let short = shop.place("too-many-of-it", &order_body(&shop.product, 11)).await.problem(409, "insufficient_stock");
    assert_eq!(short.pointers(), ["/lines/0"]);
    let mut body = order_body(&shop.product, 1);
    body["expected_total"] = json!("24999");
    shop.place("another-total", &body).await.problem(422, "total_changed");
    let mut body = order_body(&shop.product, 1);
    body["payment"] = json!({"legs": [{"method": "card", "amount": "1000", "card_token": "tok_ok"}]});
    shop.place("the-wrong-sum", &body).await.problem(422, "payment_total_mismatch");
    shop.place("no-such-product", &order_body(crate::house::NOBODY, 1)).await.problem(404, "not_found");
    let placed = shop.place("to-be-confirmed", &order_body(&shop.product, 1)).await.expect(201);
    let confirm = format!("{}/confirm-delivery", path(&placed));
    let answer = shop.house.post(&shop.buyer, &confirm, &[], &json!({})).await.problem(409, "order_state_conflict");
    assert_eq!(answer.body["current_state"], "placed");
    assert!(answer.body["allowed_commands"].as_array().is_some_and(|allowed| !allowed.is_empty()), "{answer:?}");
}

#[tokio::test]
async fn a_quote_says_what_the_order_will_cost_and_writes_nothing() {
    let shop = Shop::new().await;
    let head = shop.house.state.commands.log().head().await.unwrap();
    let body =
        json!({"lines": [{"product_id": shop.product, "quantity": 2}, {"product_id": shop.product, "quantity": 1}]});
    let quote = shop.house.post(&shop.buyer, "/v1/orders/quote", &[], &body).await.expect(200);
    assert_eq!(quote.body["total"], json!({"amount": "75000", "currency": "KRW"}));
    assert_eq!(quote.body["lines"].as_array().unwrap().len(), 1, "equal products are one line");
    let too_many = json!({"lines": [{"product_id": shop.product, "quantity": 11}]});
    shop.house.post(&shop.buyer, "/v1/orders/quote", &[], &too_many).await.problem(409, "insufficient_stock");
    assert_eq!(shop.house.state.commands.log().head().await.unwrap(), head);
    let mut order = order_body(&shop.product, 3);
    order["expected_total"] = quote.body["total"].clone();
    let placed = shop.place("as-it-was-quoted", &order).await.expect(201);
    assert_eq!(placed.body["total"], quote.body["total"]);
}

#[tokio::test]
async fn waiting_for_a_stage_is_200_when_it_came_and_202_when_it_did_not() {
    let shop = Shop::new().await;
    let headers = |stage: &'static str, wait: &'static str, key: &'static str| {
        [("idempotency-key", key), ("jangbu-wait-for", stage), ("prefer", wait)]
    };
    let body = order_body(&shop.product, 1);
    let projected = shop
        .house
        .post(&shop.buyer, "/v1/orders", &headers("projected", "wait=30", "wait-projected"), &body)
        .await
        .expect(201);
    assert_eq!(projected.header("preference-applied"), "wait=30");
    let listed = shop.house.get(&shop.buyer, "/v1/orders").await.expect(200);
    assert_eq!(listed.body["items"][0], projected.body, "the list shows it at once");
    // There is no process manager here, so nothing ever settles.
    let settled = shop
        .house
        .post(&shop.buyer, "/v1/orders", &headers("settled", "wait=0", "wait-settled"), &body)
        .await
        .expect(202);
    assert_eq!(settled.body["status"], "placed");
    assert_eq!(settled.header("location"), path(&settled));
}

/// A read without a wait, at a position that the read models may not have applied yet.
fn read_at(shop: &Shop, position: u64) -> http::Request<axum::body::Body> {
    let headers = [("jangbu-min-position", &*position.to_string()), ("prefer", "wait=0")];
    crate::house::request("GET", "/v1/orders", &shop.buyer, &headers).body(axum::body::Body::empty()).unwrap()
}

#[tokio::test]
async fn a_read_model_that_is_behind_says_so() {
    let shop = Shop::new().await;
    shop.house.projector.stop().await;
    let placed = shop.place("not-shown-yet", &order_body(&shop.product, 1)).await.expect(201);
    let position = placed.header("jangbu-position").parse().unwrap();
    let answer = shop.house.send(read_at(&shop, position)).await.problem(503, "read_model_behind");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_position_that_the_log_never_gave_is_refused_at_once() {
    let shop = Shop::new().await;
    let head = shop.house.state.commands.log().head().await.unwrap();
    for position in [head.next().get(), 999_999_999, u64::MAX] {
        shop.house.send(read_at(&shop, position)).await.problem(409, "position_unknown");
    }
}

#[tokio::test]
async fn a_card_token_appears_nowhere() {
    let shop = Shop::new().await;
    let mut body = order_body(&shop.product, 1);
    body["payment"] = json!({"legs": [{"method": "card", "amount": "25000", "card_token": "tok_ok_17"}]});
    let placed = shop.place("with-a-payment", &body).await.expect(201);
    assert_eq!(placed.body["status"], "awaiting_payment");
    let payment = placed.body["payment_id"].as_str().unwrap();
    let read = shop.house.get(&shop.buyer, &format!("/v1/payments/{payment}")).await.expect(200);
    assert_eq!(read.body["legs"][0]["method"], "card");
    let auditor = shop.house.somebody(&[Role::Auditor]).await;
    let audit = shop.house.get(&auditor, &format!("/v1/audit/streams/payment-{payment}")).await.expect(200);
    for text in [&placed.text, &read.text, &audit.text] {
        assert!(!text.contains("tok_ok_17"), "{text}");
    }
}

#[tokio::test]
async fn somebody_signs_up_logs_in_changes_and_leaves() {
    let house = House::new().await;
    let registration = json!({"email": "Minji@Example.com", "password": "a long passphrase", "name": "김민지"});
    let key = [("idempotency-key", "sign-up-once")];
    let made = house.post("", "/v1/auth/register", &key, &registration).await.expect(201);
    assert_eq!(
        (made.body["email"].as_str(), made.body["roles"].clone()),
        (Some("minji@example.com"), json!(["customer"]))
    );
    let again = house.post("", "/v1/auth/register", &key, &registration).await.expect(201);
    assert_eq!((again.text, again.headers["idempotent-replayed"].as_bytes()), (made.text, b"true".as_slice()));
    house.post("", "/v1/auth/register", &[], &registration).await.problem(409, "email_taken");
    let bad = json!({"email": "nobody", "password": "short", "name": "x"});
    let answer = house.post("", "/v1/auth/register", &[], &bad).await.problem(400, "validation_failed");
    assert_eq!(answer.pointers(), ["/email", "/password"]);

    let wrong = json!({"email": "minji@example.com", "password": "another passphrase"});
    house.post("", "/v1/auth/login", &[], &wrong).await.problem(401, "unauthenticated");
    let right = json!({"email": "minji@example.com", "password": "a long passphrase"});
    let login = house.post("", "/v1/auth/login", &[], &right).await.expect(200);
    assert_eq!((login.body["token_type"].as_str(), login.body["expires_in"].as_i64()), (Some("Bearer"), Some(300)));
    assert_eq!(login.header("cache-control"), "no-store");
    let token = login.body["access_token"].as_str().unwrap();

    let profile = house.get(token, "/v1/auth/profile").await.expect(200);
    assert_eq!(profile.body["name"], "김민지");
    let version = profile.header("etag").to_owned();
    let change = json!({"phone": "010-1234-5678"}).to_string();
    let changed =
        house.send_json("PUT", token, "/v1/auth/profile", &[("if-match", &version)], &change).await.expect(200);
    assert_eq!(changed.body["phone"], "010-1234-5678");
    house
        .send_json("PUT", token, "/v1/auth/profile", &[("if-match", &version)], &change)
        .await
        .problem(412, "version_conflict");

    let refresh = json!({"refresh_token": login.body["refresh_token"]});
    let next = house.post("", "/v1/auth/refresh", &[], &refresh).await.expect(200);
    // A lost answer, or two tabs at once: the same token gets the same successor for a while.
    let again = house.post("", "/v1/auth/refresh", &[], &refresh).await.expect(200);
    assert_eq!(again.body["refresh_token"], next.body["refresh_token"]);
    house.post("", "/v1/auth/logout", &[], &json!({"refresh_token": next.body["refresh_token"]})).await.expect(204);
}

#[tokio::test]
async fn an_admin_gives_and_takes_roles() {
    let house = House::new().await;
    let admin = house.somebody(&[Role::Admin]).await;
    let customer = house.somebody(&[Role::Customer]).await;
    let me = house.get(&customer, "/v1/auth/profile").await.expect(200);
    let path = format!("/v1/users/{}/roles", me.body["id"].as_str().unwrap());
    let changed = house
        .send_json("PUT", &admin, &path, &[], &json!({"roles": ["staff", "auditor"]}).to_string())
        .await
        .expect(200);
    assert_eq!(changed.body["roles"], json!(["staff", "auditor"]));
    let answer = house.send_json("PUT", &admin, &path, &[], &json!({"roles": ["king"]}).to_string()).await;
    assert_eq!(answer.problem(400, "validation_failed").pointers(), ["/roles/0"]);
}

#[tokio::test]
async fn points_are_given_once_for_a_reference() {
    let shop = Shop::new().await;
    let me = shop.house.get(&shop.buyer, "/v1/auth/profile").await.expect(200);
    let points = format!("/v1/users/{}/points", me.body["id"].as_str().unwrap());
    let none = shop.house.get(&shop.buyer, &points).await.expect(200);
    assert_eq!(none.body["balance"]["amount"], "0");
    let grant = format!("{points}/grant");
    let body = json!({"amount": "5000", "reference": "welcome"});
    let first = shop.house.post(&shop.staff, &grant, &[("idempotency-key", "grant-once-1")], &body).await.expect(200);
    assert_eq!(first.body["available"]["amount"], "5000");
    shop.house.post(&shop.staff, &grant, &[("idempotency-key", "grant-once-2")], &body).await.expect(200);
    let now = shop.house.get(&shop.buyer, &points).await.expect(200);
    assert_eq!(now.body["balance"]["amount"], "5000");
    let negative = json!({"amount": "-5", "reference": "x"});
    shop.house
        .post(&shop.staff, &grant, &[("idempotency-key", "grant-less")], &negative)
        .await
        .problem(400, "validation_failed");
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let shop = Shop::new().await;
    for index in 0..5 {
        let key = format!("page-order-{index}");
        let headers = [("idempotency-key", key.as_str()), ("jangbu-wait-for", "projected"), ("prefer", "wait=30")];
        shop.house.post(&shop.buyer, "/v1/orders", &headers, &order_body(&shop.product, 1)).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/orders?limit=2".to_owned();
    loop {
        let page = shop.house.get(&shop.buyer, &path).await.expect(200);
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/orders?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (5, 5));
}

#[tokio::test]
async fn an_amount_without_a_currency_is_in_that_of_the_goods() {
    let shop = Shop::new().await;
    let price = json!({"amount": "10.50", "currency": "USD"});
    let made = json!({"name": "coffee", "price": price});
    let made = shop.house.post(&shop.staff, "/v1/products", &[], &made).await.expect(201);
    assert_eq!(made.body["price"], price, "with the decimals of its currency");
    let id = made.body["id"].as_str().unwrap();
    let receive = format!("/v1/stock/{id}/receive");
    shop.house
        .post(&shop.staff, &receive, &[("idempotency-key", "usd-goods")], &json!({"quantity": 9}))
        .await
        .expect(200);
    let body = |total: &str, amount: &str| {
        let mut body = order_body(id, 2);
        body["expected_total"] = json!(total);
        body["payment"] = json!({"legs": [{"method": "card", "amount": amount, "card_token": "tok_ok"}]});
        body
    };
    let placed = shop.place("paid-in-dollars", &body("21.00", "21.00")).await.expect(201);
    assert_eq!(placed.body["total"], json!({"amount": "21.00", "currency": "USD"}));
    let payment = format!("/v1/payments/{}", placed.body["payment_id"].as_str().unwrap());
    let payment = shop.house.get(&shop.buyer, &payment).await.expect(200);
    assert_eq!(payment.body["legs"][0]["amount"], json!({"amount": "21.00", "currency": "USD"}));
    assert_eq!(payment.body["refunded"], json!({"amount": "0.00", "currency": "USD"}));
    shop.place("another-total-usd", &body("20.99", "21.00")).await.problem(422, "total_changed");
    shop.place("another-amount-usd", &body("21.00", "20.99")).await.problem(422, "payment_total_mismatch");
    let refused = shop.place("too-many-decimals", &body("21.00", "21.001")).await;
    assert_eq!(refused.problem(400, "validation_failed").pointers(), ["/payment/legs/0/amount"]);
}

#[tokio::test]
async fn a_buyer_keeps_three_orders_waiting_and_is_told_what_to_do() {
    let shop = Shop::strict().await;
    let key = |number: u32| format!("waiting-order-{number}");
    let first = shop.place(&key(0), &order_body(&shop.product, 1)).await.expect(201);
    for number in 1..3 {
        shop.place(&key(number), &order_body(&shop.product, 1)).await.expect(201);
    }
    let refused = shop.place(&key(3), &order_body(&shop.product, 1)).await.problem(409, "too_many_open_orders");
    assert!(refused.body["detail"].as_str().unwrap().contains("pay one or call one off"), "{}", refused.text);
    // A repeat of an executed request is answered as one; other buyers are not affected.
    assert_eq!(shop.place(&key(0), &order_body(&shop.product, 1)).await.expect(201).body, first.body);
    let other = shop.house.somebody(&[Role::Customer]).await;
    let body = order_body(&shop.product, 1);
    shop.house.post(&other, "/v1/orders", &[("idempotency-key", "somebody-else")], &body).await.expect(201);
    shop.house.post(&shop.buyer, &format!("{}/cancel", path(&first)), &[], &json!({})).await.expect(200);
    shop.place(&key(4), &order_body(&shop.product, 1)).await.expect(201);
}

#[tokio::test]
async fn of_orders_that_come_at_once_no_more_wait_than_may() {
    let shop = Shop::strict().await;
    let bodies: Vec<(String, Value)> =
        (0..8).map(|number| (format!("all-at-once-{number}"), order_body(&shop.product, 1))).collect();
    let placed = futures::future::join_all(bodies.iter().map(|(key, body)| shop.place(key, body))).await;
    let statuses: Vec<u16> = placed.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
}
