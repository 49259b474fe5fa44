//! Idempotency keys.

use std::collections::BTreeSet;

use futures::future::join_all;

use crate::harness::{World, basket};

pub async fn equal_requests_give_one_order(world: &mut World) {
    const KEY: &str = "one-and-the-same";
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let other = world.buyer("other").await.client;
    let tea = world.product(&admin, "우롱차", 15_000, 50).await;
    let body = basket(&[(&tea, 1)]);

    let answers = join_all((0..20).map(|_| buyer.post("/v1/orders", &body).key(KEY).send())).await;
    let bodies: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    answers[0].expect(201);
    for name in ["location", "etag", "jangbu-position"] {
        let values: BTreeSet<_> = answers.iter().map(|answer| answer.header(name).map(str::to_owned)).collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
    }
    let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed") == Some("true")).count();
    assert_eq!(replayed, 19);
    admin.stock_becomes(&tea, 50, 1, 0).await;

    // Another request under the key, no key at all, an invalid key.
    let two = basket(&[(&tea, 2)]);
    buyer.post("/v1/orders", &two).key(KEY).send().await.expect_problem(422, "idempotency_key_reused");
    buyer.post("/v1/orders", &body).without_key().send().await.expect_problem(428, "idempotency_key_required");
    buyer.post("/v1/orders", &body).key("short").send().await.expect_problem(400, "validation_failed");
    buyer.post("/v1/orders", &body).key("x".repeat(256)).send().await.expect_problem(400, "validation_failed");
    // Each user has keys of their own.
    let theirs = other.post("/v1/orders", &body).key(KEY).send().await;
    assert_ne!(theirs.expect(201)["id"], answers[0].json()["id"]);
    // A refused request does not use up its key.
    let missing = basket(&[(&tea, 500)]);
    buyer.post("/v1/orders", &missing).key("second-try").send().await.expect_problem(409, "insufficient_stock");
    buyer.post("/v1/orders", &body).key("second-try").send().await.expect(201);
    buyer.list_of(2, "/v1/orders").await;
}

pub async fn a_key_outlives_a_restart(world: &mut World) {
    const KEY: &str = "kept-for-ever";
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "우롱차", 15_000, 50).await;
    let body = basket(&[(&tea, 1)]);
    let first = buyer.post("/v1/orders", &body).key(KEY).send().await;
    let order = first.expect(201);
    // The order has changed before the repeat comes.
    buyer.pay(&order, "tok_ok").send().await;
    buyer.order_reaches(&order, "preparing").await;
    assert!(world.terminate_shop().await.success());
    world.start_shop().await;

    let again = buyer.post("/v1/orders", &body).key(KEY).send().await;
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    for name in ["location", "etag", "jangbu-position", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    buyer.list_of(1, "/v1/orders").await;
}
