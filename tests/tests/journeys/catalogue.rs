//! The catalogue changes while people buy from it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, basket, eventually, krw};

pub async fn a_product_changes_and_orders_keep_what_they_were_placed_with(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let visitor = world.visitor();
    let tea = world.product(&admin, "보이차 100g", 12_000, 10).await;
    let path = format!("/v1/products/{tea}");
    let quoted = buyer.post("/v1/orders/quote", &json!({"lines": [{"product_id": tea, "quantity": 1}]})).send().await;
    let quoted = quoted.expect(200)["total"].clone();
    let order = buyer.place(&[(&tea, 1)]).await;

    let change = |body: Value| admin.call(Method::PUT, &path).json(&body).send();
    let changed = change(json!({"name": "우롱차 100g", "description": "산지에서", "price": krw(15_000)})).await;
    let product = changed.expect(200);
    assert_eq!((&product["name"], &product["price"]), (&json!("우롱차 100g"), &krw(15_000)), "{product}");
    assert_eq!(product["version"], 4, "each part is a fact: {product}");
    let same = change(json!({"name": "우롱차 100g", "price": krw(15_000)})).await;
    assert_eq!(same.expect(200)["version"], 4, "nothing was there to change");
    assert_eq!(change(json!({"description": null})).await.expect(200)["description"], Value::Null);
    assert_eq!(change(json!({})).await.expect(200)["version"], 5);
    assert_eq!(change(json!({"name": " "})).await.expect(200)["version"], 5, "a blank field is an absent one");
    for (body, pointer) in [
        (json!({"name": "가".repeat(201)}), "/name"),
        (json!({"price": {"amount": "-1", "currency": "KRW"}}), "/price/amount"),
        (json!({"price": {"amount": "10.00", "currency": "USD"}}), "/price"),
        (json!({"available": 3}), "/available"),
    ] {
        let problem = change(body.clone()).await.expect_problem(400, "validation_failed");
        assert!(problem.to_string().contains(&format!("\"{pointer}\"")), "{body}: {problem}");
    }
    let stale = admin.call(Method::PUT, &path).header("if-match", "\"1\"").json(&json!({"price": krw(1)})).send().await;
    stale.expect_problem(412, "version_conflict");
    buyer.call(Method::PUT, &path).json(&json!({"price": krw(1)})).send().await.expect_problem(403, "forbidden");

    let named = async |words: &str| {
        let items = visitor.read(&format!("/v1/products?q={words}")).await["items"].clone();
        items.as_array().unwrap().len()
    };
    let oolong = "%EC%9A%B0%EB%A1%B1";
    let puer = "%EB%B3%B4%EC%9D%B4";
    eventually("search knows the new name", async || (named(oolong).await == 1).then_some(())).await;
    assert_eq!(named(puer).await, 0, "and the old one no more");

    let mut again = basket(&[(&tea, 1)]);
    again["expected_total"] = quoted;
    buyer.post("/v1/orders", &again).send().await.expect_problem(422, "total_changed");
    let kept = buyer.read(&format!("/v1/orders/{}", order["id"].as_str().unwrap())).await;
    assert_eq!((&kept["lines"][0]["name"], &kept["lines"][0]["unit_price"]), (&json!("보이차 100g"), &krw(12_000)));
    it_leaves_for_good(world, &admin, &buyer, &tea).await;
}

pub async fn sizes_and_colours_are_products_of_a_group(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let shirt = world.product(&admin, "모시 셔츠", 45_000, 0).await;
    let (small, large) =
        (world.product(&admin, "모시 셔츠 S", 45_000, 3).await, world.product(&admin, "모시 셔츠 L", 47_000, 2).await);
    let path = |id: &str| format!("/v1/products/{id}/variant");
    let make = |id: &str, body: Value| admin.call(Method::PUT, &path(id)).json(&body).send();
    let made = make(&small, json!({"of": shirt, "options": {"크기": "S"}})).await.expect(200);
    assert_eq!((&made["variant_of"], &made["options"]), (&json!(shirt), &json!({"크기": "S"})));
    make(&large, json!({"of": shirt, "options": {"크기": "S"}})).await.expect_problem(409, "variant_conflict");
    make(&large, json!({"of": shirt, "options": {"색상": "남색"}})).await.expect_problem(409, "variant_conflict");
    make(&large, json!({"of": small, "options": {"크기": "L"}})).await.expect_problem(409, "variant_conflict");
    make(&shirt, json!({"of": large, "options": {"크기": "L"}})).await.expect_problem(409, "variant_conflict");
    make(&large, json!({"of": large, "options": {"크기": "L"}})).await.expect_problem(404, "not_found");
    make(&large, json!({"of": shirt, "options": {}})).await.expect_problem(400, "validation_failed");
    buyer
        .call(Method::PUT, &path(&large))
        .json(&json!({"of": shirt, "options": {"크기": "L"}}))
        .send()
        .await
        .expect_problem(403, "forbidden");
    make(&large, json!({"of": shirt, "options": {"크기": "L"}})).await.expect(200);

    let shown = eventually("the group has both", async || {
        let shown = buyer.read(&format!("/v1/products/{shirt}")).await;
        (shown["variants"].as_array().unwrap().len() == 2).then_some(shown)
    })
    .await;
    assert_eq!(shown["variants"][1], json!({"product_id": large, "options": {"크기": "L"}}), "{shown}");
    eventually("both are listed", async || {
        let listed = buyer.read_all(&format!("/v1/products?variant_of={shirt}&sort=-price&limit=1")).await;
        let names: Vec<_> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
        (names == ["모시 셔츠 L", "모시 셔츠 S"]).then_some(())
    })
    .await;
    // Each has a stock and a price of its own.
    assert_eq!(buyer.place(&[(&large, 2)]).await["total"], krw(94_000));
    buyer.post("/v1/orders", &basket(&[(&large, 1)])).send().await.expect_problem(409, "insufficient_stock");
    buyer.place(&[(&small, 1)]).await;

    admin.call(Method::DELETE, &format!("/v1/products/{shirt}")).send().await.expect_problem(409, "variant_conflict");
    let single = admin.call(Method::DELETE, &path(&small)).send().await.expect(200);
    assert_eq!((&single["variant_of"], &single["options"]), (&Value::Null, &json!({})));
    assert_eq!(admin.call(Method::DELETE, &format!("/v1/products/{large}")).send().await.status, 204);
    assert_eq!(admin.call(Method::DELETE, &format!("/v1/products/{shirt}")).send().await.status, 204);
    world.run_well(&["replay", "--verify-only"]).await;
}

pub async fn a_product_is_found_by_its_slug_and_counted(world: &mut World) {
    let admin = world.admin().await;
    let visitor = world.visitor();
    let body = |slug: &str, price: u64| json!({"name": "감귤", "price": krw(price), "slug": slug});
    let made = admin.post("/v1/products", &body("jeju-감귤-5kg", 25_000)).send().await.expect(201);
    assert_eq!(made["slug"], "jeju-감귤-5kg");
    // Found at once, before any read model shows it.
    let path = |slug: &str| format!("/v1/products/by-slug/{slug}");
    assert_eq!(visitor.read(&path("jeju-감귤-5kg")).await["id"], made["id"]);
    let taken = admin.post("/v1/products", &body("jeju-감귤-5kg", 1)).send().await.expect_problem(409, "slug_taken");
    assert!(taken.to_string().contains("\"/slug\""), "{taken}");
    for wrong in ["Jeju", "a b", "-a", ""] {
        admin.post("/v1/products", &body(wrong, 1)).send().await.expect_problem(400, "validation_failed");
    }
    let other = admin.post("/v1/products", &body("other", 9_000)).send().await.expect(201);
    let change = |id: &Value, slug: Value| {
        let path = format!("/v1/products/{}", id.as_str().unwrap());
        admin.call(Method::PUT, &path).json(&json!({"slug": slug})).send()
    };
    change(&other["id"], json!("jeju-감귤-5kg")).await.expect_problem(409, "slug_taken");
    change(&made["id"], json!("감귤")).await.expect(200);
    assert_eq!(change(&other["id"], json!("jeju-감귤-5kg")).await.expect(200)["slug"], "jeju-감귤-5kg");
    eventually("each is found by its own", async || {
        let (one, two) = (visitor.read(&path("감귤")).await, visitor.read(&path("jeju-감귤-5kg")).await);
        (one["id"] == made["id"] && two["id"] == other["id"]).then_some(())
    })
    .await;
    assert_eq!(change(&other["id"], Value::Null).await.expect(200)["slug"], Value::Null);
    eventually("it is free", async || (visitor.get(&path("jeju-감귤-5kg")).send().await.status == 404).then_some(()))
        .await;

    let counted = eventually("both are counted", async || {
        let page = visitor.read("/v1/products?facets=price,in_stock&limit=1").await;
        (page["facets"]["count"] == 2).then_some(page)
    })
    .await;
    let band = |min: u64, max: u64| json!({"min_price": krw(min), "max_price": krw(max), "count": 1});
    assert_eq!(counted["facets"]["price"], json!([band(0, 9_999), band(10_000, 29_999)]));
    assert_eq!(counted["facets"]["in_stock"], json!({"available": 0, "sold_out": 2}));
    assert_eq!((&counted["facets"]["category"], &counted["facets"]["more"]), (&Value::Null, &json!(false)));
    assert_eq!(visitor.read("/v1/products").await["facets"], Value::Null);
    visitor.get("/v1/products?facets=colour").send().await.expect_problem(400, "validation_failed");
    let gone = admin.call(Method::DELETE, &format!("/v1/products/{}", made["id"].as_str().unwrap())).send().await;
    assert_eq!(gone.status, 204);
    change(&other["id"], json!("감귤")).await.expect(200);
    world.run_well(&["replay", "--verify-only"]).await;
}

pub async fn every_movement_of_goods_is_listed(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 10).await;
    let path = format!("/v1/stock/{tea}");
    admin.post(&format!("{path}/adjust"), &json!({"delta": -1, "reason": "broken"})).send().await.expect(200);
    // What is kept for an order moves nothing.
    buyer.place(&[(&tea, 1)]).await;
    let sold = buyer.buy(&[(&tea, 3)]).await;
    let parcel = admin.parcel_of(&sold, "ready").await;
    let dispatch = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&dispatch, &json!({})).send().await.expect(200);
    admin.stock_becomes(&tea, 6, 1, 0).await;

    let list = format!("{path}/movements");
    let moved = admin.read_all(&format!("{list}?limit=1")).await;
    let told: Vec<_> =
        moved.iter().map(|one| (one["kind"].as_str().unwrap(), one["delta"].as_i64().unwrap())).collect();
    assert_eq!(told, [("shipped", -3), ("adjusted", -1), ("received", 10)], "{moved:?}");
    goods_are_counted_and_written_off(&admin, &path).await;
    assert_eq!((&moved[0]["order_id"], &moved[1]["reason"]), (&sold["id"], &json!("broken")));
    buyer.get(&list).send().await.expect_problem(403, "forbidden");
    let nothing = "/v1/stock/01890a5d-ac96-774b-bcce-000000000009/movements";
    admin.get(nothing).send().await.expect_problem(404, "not_found");
}

pub async fn what_runs_low_is_told_once_and_listed(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 5).await;
    let cup = world.product(&admin, "청자 찻잔", 30_000, 1).await;
    let threshold = async |low: u32| {
        let path = format!("/v1/stock/{tea}/threshold");
        admin.call(Method::PUT, &path).json(&json!({"low": low})).send().await
    };
    let set = threshold(3).await.expect(200);
    assert_eq!((&set["low"], &set["level"]), (&json!(3), &json!("enough")), "{set}");
    assert_eq!(threshold(3).await.expect(200)["version"], set["version"], "it was set already");
    let path = format!("/v1/stock/{tea}/threshold");
    buyer.call(Method::PUT, &path).json(&json!({"low": 1})).send().await.expect_problem(403, "forbidden");

    let order = buyer.place(&[(&tea, 3), (&cup, 1)]).await;
    admin.stock_becomes(&tea, 5, 3, 0).await;
    admin.stock_becomes(&cup, 1, 1, 0).await;
    let at = async |level: &str| {
        let items = admin.read_all(&format!("/v1/stock?level={level}&limit=1")).await;
        items.iter().map(|item| item["name"].clone()).collect::<Vec<_>>()
    };
    let (few, none) = (json!("보이차 100g"), json!("청자 찻잔"));
    let is_listed = async || at("low").await == [few.clone()] && at("depleted").await == [none.clone()];
    eventually("both are listed", async || is_listed().await.then_some(())).await;
    assert_eq!(admin.read_all("/v1/stock").await.len(), 2);
    buyer.get("/v1/stock?level=low").send().await.expect_problem(403, "forbidden");
    admin.get("/v1/stock?level=gone").send().await.expect_problem(400, "validation_failed");
    assert_eq!(buyer.read(&format!("/v1/stock/{tea}")).await["level"], Value::Null, "only for the shop");

    // It stays low, and is told once; what comes back with the order is told too.
    let write_off = json!({"quantity": 1, "reason": "mould"});
    admin.post(&format!("/v1/stock/{tea}/write-off"), &write_off).send().await.expect(200);
    let cancel = format!("/v1/orders/{}/cancel", order["id"].as_str().unwrap());
    buyer.post(&cancel, &json!({})).send().await.expect(200);
    admin.stock_becomes(&tea, 4, 0, 0).await;
    admin.stock_becomes(&cup, 1, 0, 0).await;
    let is_empty = async || at("low").await.is_empty() && at("depleted").await.is_empty();
    eventually("nothing is short", async || is_empty().await.then_some(())).await;
    let told = async |product: &str| {
        let events = admin.read_all(&format!("/v1/audit/streams/stock-{product}?limit=200")).await;
        let types = events.iter().map(|event| event["type"].as_str().unwrap().to_owned());
        types
            .filter(|kind| ["stock.ran_low", "stock.depleted", "stock.replenished"].contains(&&**kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&tea).await, ["stock.ran_low", "stock.replenished"]);
    assert_eq!(told(&cup).await, ["stock.depleted", "stock.replenished"]);
}

pub async fn what_is_promised_ahead_leaves_when_it_is_here(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 1).await;
    let path = format!("/v1/stock/{tea}");
    buyer.post("/v1/orders", &basket(&[(&tea, 3)])).send().await.expect_problem(409, "insufficient_stock");
    let back_order = format!("{path}/back-order");
    buyer.call(Method::PUT, &back_order).json(&json!({"limit": 2})).send().await.expect_problem(403, "forbidden");
    let set = admin.call(Method::PUT, &back_order).json(&json!({"limit": 2})).send().await.expect(200);
    assert_eq!((&set["available"], &set["orderable"]), (&json!(1), &json!(3)), "{set}");

    let order = buyer.buy(&[(&tea, 3)]).await;
    admin.stock_becomes(&tea, 1, 0, 3).await;
    let shown = buyer.read(&path).await;
    assert_eq!((&shown["available"], &shown["orderable"]), (&json!(0), &json!(0)), "{shown}");
    let product = format!("/v1/products/{tea}");
    eventually("it is sold out", async || (buyer.read(&product).await["available"] == 0).then_some(())).await;
    buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await.expect_problem(409, "insufficient_stock");

    let parcel = admin.parcel_of(&order, "ready").await;
    let dispatch = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    let early = admin.post(&dispatch, &json!({})).send().await.expect_problem(409, "insufficient_stock");
    assert!(early.to_string().contains("1 are on hand"), "{early}");
    admin.post(&format!("{path}/receive"), &json!({"quantity": 2})).send().await.expect(200);
    admin.post(&dispatch, &json!({})).send().await.expect(200);
    admin.stock_becomes(&tea, 0, 0, 0).await;
    world.run_well(&["audit", "verify"]).await;
}

pub async fn a_product_has_a_limit_for_each_buyer(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let other = world.buyer("jisu").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 20).await;
    let limit = format!("/v1/stock/{tea}/buyer-limit");
    buyer.call(Method::PUT, &limit).json(&json!({"limit": 9})).send().await.expect_problem(403, "forbidden");
    admin.call(Method::PUT, &limit).json(&json!({"limit": 3})).send().await.expect(200);
    let refused = async |client: &Client, quantity| {
        let order = client.post("/v1/orders", &basket(&[(&tea, quantity)])).send().await;
        order.expect_problem(409, "too_many_open_orders")
    };
    let problem = refused(&buyer, 4).await;
    assert!(problem.to_string().contains("at most 3 units"), "{problem}");
    let waiting = buyer.place(&[(&tea, 2)]).await;
    refused(&buyer, 2).await;
    // Everybody has a limit of their own, and what was called off does not count.
    other.place(&[(&tea, 3)]).await;
    let cancel = format!("/v1/orders/{}/cancel", waiting["id"].as_str().unwrap());
    buyer.post(&cancel, &json!({})).send().await.expect(200);
    buyer.buy(&[(&tea, 3)]).await;
    admin.call(Method::PUT, &limit).json(&json!({"limit": 0})).send().await.expect(200);
    buyer.place(&[(&tea, 4)]).await;
}

/// Six on hand, one of them kept for an order.
async fn goods_are_counted_and_written_off(admin: &Client, path: &str) {
    let ask = async |what: &str, body: Value| admin.post(&format!("{path}/{what}"), &body).send().await;
    let too_few = ask("count", json!({"counted": 0})).await.expect_problem(409, "insufficient_stock");
    assert!(too_few.to_string().contains("1 are promised to orders"), "{too_few}");
    let counted = ask("count", json!({"counted": 4, "reason": "yearly count"})).await.expect(200);
    assert_eq!((&counted["on_hand"], &counted["reserved"], &counted["available"]), (&json!(4), &json!(1), &json!(3)));
    ask("write-off", json!({"quantity": 4, "reason": "mould"})).await.expect_problem(409, "insufficient_stock");
    ask("write-off", json!({"quantity": 1})).await.expect_problem(400, "validation_failed");
    assert_eq!(ask("write-off", json!({"quantity": 2, "reason": "mould"})).await.expect(200)["on_hand"], 2);
    let moved = eventually("both are listed", async || {
        let moved = admin.read_all(&format!("{path}/movements")).await;
        (moved.len() == 5).then_some(moved)
    })
    .await;
    let told = |at: usize| (moved[at]["kind"].clone(), moved[at]["delta"].clone(), moved[at]["reason"].clone());
    assert_eq!(told(0), (json!("written_off"), json!(-2), json!("mould")));
    assert_eq!(told(1), (json!("counted"), json!(-2), json!("yearly count")));
}

async fn it_leaves_for_good(world: &World, admin: &Client, buyer: &Client, tea: &str) {
    let path = format!("/v1/products/{tea}");
    buyer.call(Method::DELETE, &path).send().await.expect_problem(403, "forbidden");
    let removed = admin.call(Method::DELETE, &path).send().await;
    assert_eq!(removed.status, 204, "{}", removed.text());
    assert_eq!(admin.call(Method::DELETE, &path).send().await.status, 204, "a repeat changes nothing");
    let order = buyer.post("/v1/orders", &basket(&[(tea, 1)])).send().await;
    let problem = order.expect_problem(404, "not_found");
    assert!(problem.to_string().contains("/lines/0/product_id"), "{problem}");
    admin.call(Method::PUT, &path).json(&json!({"price": krw(1)})).send().await.expect_problem(404, "not_found");
    admin.post(&format!("{path}/activate"), &json!({})).send().await.expect_problem(404, "not_found");
    eventually("it is not shown any more", async || (admin.get(&path).send().await.status == 404).then_some(())).await;
    assert_eq!(admin.read_all("/v1/products").await, Vec::<Value>::new());
    world.run_well(&["replay", "--verify-only"]).await;
}
