//! Reading: lists, earlier states, and the program's own description.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{World, krw};

pub async fn cursors_walk_everything_once(world: &mut World) {
    const ORDERS: usize = 23;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let other = world.buyer("other").await;
    let tea = world.product(&admin, "보이차", 12_000, 100).await;
    let mut placed = Vec::new();
    for _ in 0..ORDERS {
        placed.push(buyer.client.place(&[(&tea, 1)]).await);
    }
    let cancelled = placed[4]["id"].as_str().unwrap();
    let done = buyer.client.post(&format!("/v1/orders/{cancelled}/cancel"), &json!({})).send().await;
    done.expect(200);
    let theirs = other.client.post("/v1/orders", &crate::harness::basket(&[(&tea, 2)])).send().await;
    theirs.expect(201);
    let up_to_date = admin.get("/v1/orders?limit=1").header("prefer", "wait=20");
    up_to_date.header("jangbu-min-position", theirs.position().to_string()).send().await.expect(200);

    let ids = |items: &[Value]| items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let newest_first: Vec<_> = ids(&placed).into_iter().rev().collect();
    for limit in [1, 7, 23, 200] {
        let walked = buyer.client.read_all(&format!("/v1/orders?limit={limit}")).await;
        assert_eq!(ids(&walked), newest_first, "by {limit}");
    }
    let page = buyer.client.read("/v1/orders?limit=7").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 7);
    // An order that is placed during paging neither repeats nor hides earlier ones.
    let late = buyer.client.place(&[(&tea, 1)]).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = buyer.client.read_all(&format!("/v1/orders?limit=200&cursor={cursor}")).await;
    assert_eq!(ids(&rest), newest_first[7..]);
    assert!(!ids(&rest).contains(&late["id"].as_str().unwrap().to_owned()));

    // Staff see all orders and may filter by buyer.
    admin.list_of(ORDERS + 2, "/v1/orders?limit=10").await;
    let of_other = admin.read_all(&format!("/v1/orders?user_id={}", other.id)).await;
    assert_eq!(ids(&of_other), [theirs.json()["id"].as_str().unwrap()]);
    assert_eq!(ids(&admin.read_all("/v1/orders?status=cancelled").await), [cancelled]);
    let middle = placed[10]["placed_at"].as_str().unwrap();
    let (from, to) = (format!("/v1/orders?from={middle}"), format!("/v1/orders?to={middle}"));
    let since: BTreeSet<_> = ids(&buyer.client.read_all(&from).await).into_iter().collect();
    let until: BTreeSet<_> = ids(&buyer.client.read_all(&to).await).into_iter().collect();
    let all: BTreeSet<_> = ids(&buyer.client.read_all("/v1/orders").await).into_iter().collect();
    assert_eq!(since.union(&until).cloned().collect::<BTreeSet<_>>(), all);
    assert!(since.contains(placed[10]["id"].as_str().unwrap()));
    products_are_found(world, &admin).await;
}

async fn products_are_found(world: &World, admin: &crate::harness::Client) {
    let pot = world.product(admin, "백자 다관", 90_000, 0).await;
    let cup = world.product(admin, "청자 찻잔", 30_000, 3).await;
    let visitor = world.visitor();
    let found = async |query: &str| {
        let path = format!("/v1/products?{query}");
        crate::harness::eventually(&path, async || {
            let items = visitor.read(&path).await["items"].as_array().unwrap().clone();
            let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
            (ids.len() == 1).then(|| ids[0].clone())
        })
        .await
    };
    assert_eq!(found("q=%EB%B0%B1%EC%9E%90").await, pot, "백자");
    assert_eq!(found("q=%EC%B0%BB%EC%9E%94").await, cup, "찻잔");
    assert_eq!(found("in_stock=false").await, pot);
    assert_eq!(found("min_price=80000").await, pot);
    assert_eq!(found("max_price=30000&min_price=20000").await, cup);
    let path = format!("/v1/products/{cup}");
    let shown = crate::harness::eventually("the product is in stock", async || {
        Some(visitor.read(&path).await).filter(|product| product["available"] == 3)
    })
    .await;
    assert_eq!(shown["price"], krw(30_000));
}

pub async fn the_past_can_be_asked_for(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 5).await;
    let before = admin.read(&format!("/v1/stock/{tea}")).await;
    let placed = buyer.place(&[(&tea, 2)]).await;
    let path = format!("/v1/orders/{}", placed["id"].as_str().unwrap());
    let payment = buyer.pay(&placed, "tok_ok").send().await.expect(201);
    let now = buyer.order_reaches(&placed, "preparing").await;

    // By version, and by that version's time: the first answer again.
    let first = buyer.get(&format!("{path}?as_of=1")).send().await;
    assert_eq!(first.expect(200), placed);
    assert_eq!(first.version(), 1);
    let latest = now["version"].as_u64().unwrap();
    assert_eq!(buyer.read(&format!("{path}?as_of={latest}")).await, now);
    buyer.get(&format!("{path}?as_of=9999")).send().await.expect_problem(404, "not_found");
    buyer.get(&format!("{path}?as_of=2000-01-01T00:00:00Z")).send().await.expect_problem(404, "not_found");
    assert_eq!(buyer.read(&format!("{path}?as_of=2999-01-01T00:00:00Z")).await, now);
    let requested = buyer.read(&format!("/v1/payments/{}?as_of=1", payment["id"].as_str().unwrap())).await;
    assert_eq!(requested["status"], "requested");
    let parcel = buyer.parcel_of(&placed, "ready").await;
    let asked_for = buyer.read(&format!("/v1/shipments/{}?as_of=1", parcel["id"].as_str().unwrap())).await;
    assert_eq!(asked_for["status"], "requested");
    let stock = admin.read(&format!("/v1/stock/{tea}?as_of={}", before["version"])).await;
    assert_eq!(stock, before);
}

/// Routes that the document has to describe.
const DESCRIBED: [(&str, &str); 99] = [
    ("post", "/v1/auth/register"),
    ("post", "/v1/auth/login"),
    ("post", "/v1/auth/refresh"),
    ("post", "/v1/auth/logout"),
    ("get", "/v1/auth/profile"),
    ("get", "/v1/products"),
    ("post", "/v1/products"),
    ("get", "/v1/products/{id}"),
    ("get", "/v1/products/by-slug/{slug}"),
    ("put", "/v1/products/{id}"),
    ("delete", "/v1/products/{id}"),
    ("put", "/v1/products/{id}/variant"),
    ("delete", "/v1/products/{id}/variant"),
    ("get", "/v1/categories"),
    ("post", "/v1/categories"),
    ("get", "/v1/categories/{id}"),
    ("put", "/v1/categories/{id}"),
    ("delete", "/v1/categories/{id}"),
    ("get", "/v1/stock"),
    ("get", "/v1/stock/{product_id}"),
    ("get", "/v1/stock/{product_id}/movements"),
    ("post", "/v1/stock/{product_id}/receive"),
    ("post", "/v1/stock/{product_id}/count"),
    ("post", "/v1/stock/{product_id}/write-off"),
    ("post", "/v1/stock/{product_id}/adjust"),
    ("post", "/v1/stock/{product_id}/transfers"),
    ("post", "/v1/stock/{product_id}/transfers/{id}/receive"),
    ("post", "/v1/stock/{product_id}/transfers/{id}/write-off"),
    ("get", "/v1/locations"),
    ("post", "/v1/locations"),
    ("get", "/v1/locations/{code}"),
    ("put", "/v1/locations/{code}"),
    ("put", "/v1/stock/{product_id}/threshold"),
    ("put", "/v1/stock/{product_id}/back-order"),
    ("put", "/v1/stock/{product_id}/buyer-limit"),
    ("post", "/v1/imports/products"),
    ("post", "/v1/imports/stock"),
    ("get", "/v1/imports/{id}"),
    ("get", "/v1/exports/products"),
    ("get", "/v1/exports/stock"),
    ("get", "/v1/exports/orders"),
    ("post", "/v1/orders"),
    ("post", "/v1/orders/quote"),
    ("post", "/v1/shipping/quote"),
    ("get", "/v1/orders"),
    ("get", "/v1/orders/{id}"),
    ("get", "/v1/orders/by-number/{number}"),
    ("post", "/v1/orders/{id}/cancel"),
    ("put", "/v1/orders/{id}/cancel"),
    ("post", "/v1/orders/{id}/confirm-delivery"),
    ("get", "/v1/orders/{id}/history"),
    ("get", "/v1/orders/{id}/notes"),
    ("post", "/v1/orders/{id}/notes"),
    ("post", "/v1/orders/{id}/pack"),
    ("post", "/v1/orders/{id}/lines/cancel"),
    ("put", "/v1/orders/{id}/shipping-address"),
    ("get", "/v1/orders/{id}/returns"),
    ("post", "/v1/orders/{id}/returns"),
    ("get", "/v1/returns"),
    ("get", "/v1/returns/{id}"),
    ("post", "/v1/returns/{id}/approve"),
    ("post", "/v1/returns/{id}/reject"),
    ("post", "/v1/returns/{id}/withdraw"),
    ("post", "/v1/returns/{id}/send"),
    ("post", "/v1/returns/{id}/receive"),
    ("post", "/v1/returns/{id}/inspect"),
    ("post", "/v1/returns/{id}/close"),
    ("get", "/v1/orders/{id}/events"),
    ("get", "/v1/orders/{id}/payments"),
    ("get", "/v1/orders/{id}/shipments"),
    ("post", "/v1/payments"),
    ("get", "/v1/payments"),
    ("get", "/v1/payments/{id}"),
    ("post", "/v1/payments/{id}/confirm"),
    ("post", "/v1/payments/{id}/cancel"),
    ("post", "/v1/payments/{id}/refunds"),
    ("get", "/v1/payments/{id}/refunds"),
    ("post", "/v1/payments/{id}/sync"),
    ("get", "/v1/shipments"),
    ("get", "/v1/shipments/{id}"),
    ("get", "/v1/shipments/tracking/{tracking_number}"),
    ("post", "/v1/shipments/{id}/status"),
    ("put", "/v1/shipments/{id}/status"),
    ("post", "/v1/shipments/{id}/dispatch"),
    ("get", "/v1/users/{id}/points"),
    ("get", "/v1/users/{id}/points/entries"),
    ("post", "/v1/users/{id}/points/grant"),
    ("post", "/v1/hooks/payments/{gateway}"),
    ("post", "/v1/hooks/carriers/{carrier}"),
    ("get", "/v1/sagas"),
    ("get", "/v1/sagas/{order_id}"),
    ("get", "/v1/notices"),
    ("post", "/v1/notices/{id}/send"),
    ("put", "/v1/auth/notices"),
    ("get", "/v1/projections"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/health"),
    ("get", "/metrics"),
];

pub async fn the_program_describes_itself(world: &mut World) {
    let visitor = world.visitor();
    let document = visitor.read("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for (method, path) in DESCRIBED {
        let operation = &document["paths"][path][method];
        assert!(operation["responses"].is_object(), "{method} {path} is described");
    }

    assert_eq!(visitor.get("/livez").send().await.status, 200);
    for path in ["/readyz", "/health"] {
        assert_eq!(visitor.read(path).await["status"], "ready");
    }
    world.admin().await.read("/v1/orders").await;
    let metrics = visitor.get("/metrics").send().await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert!(metrics.text().contains("# TYPE"), "{}", metrics.text());
    the_docs_page_needs_nobody_else(world).await;
}

/// The page loads everything that it needs from the program itself.
async fn the_docs_page_needs_nobody_else(world: &World) {
    let visitor = world.visitor();
    let mut path = "/docs".to_owned();
    let page = loop {
        let reply = visitor.get(&path).send().await;
        match reply.header("location") {
            Some(next) => path = next.to_owned(),
            None => break reply,
        }
    };
    assert_eq!(page.status, 200);
    let html = page.text();
    let mut assets = 0;
    for piece in html.split(['"', '\'']) {
        if piece.ends_with(".css") || piece.ends_with(".js") || piece.ends_with(".png") {
            assert!(!piece.contains("//"), "{piece} is somebody else's");
            let asset = piece.trim_start_matches("./");
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let address = if asset.starts_with('/') { asset.to_owned() } else { format!("{folder}/{asset}") };
            assert_eq!(visitor.get(&address).send().await.status, 200, "{address}");
            assets += 1;
        }
    }
    assert!(assets > 0, "{html}");
}
