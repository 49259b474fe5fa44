//! Who may do what.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{ADMIN_EMAIL, Client, World, basket, eventually, krw};

/// Changes one character in the middle of a part of a token.
fn damaged(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let middle = parts[part].len() / 2;
    let old = parts[part].as_bytes()[middle];
    let new = if old == b'A' { "B" } else { "A" };
    parts[part].replace_range(middle..=middle, new);
    parts.join(".")
}

pub async fn nobody_reaches_what_is_not_theirs(world: &mut World) {
    let admin = world.admin().await;
    let owner = world.buyer("owner").await;
    let stranger = world.buyer("stranger").await.client;
    let tea = world.product(&admin, "보이차", 20_000, 10).await;
    let order = owner.client.buy(&[(&tea, 1)]).await;
    let order_path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    let payment_path = format!("/v1/payments/{}", order["payment_id"].as_str().unwrap());
    let parcel = owner.client.parcel_of(&order, "ready").await;
    let parcel_path = format!("/v1/shipments/{}", parcel["id"].as_str().unwrap());

    tokens_that_do_not_count(world, &owner.client).await;

    // What is somebody else's is not there: the same answer as for what never was.
    let theirs = [
        order_path.clone(),
        format!("{order_path}/history"),
        format!("{order_path}/payments"),
        format!("{order_path}/shipments"),
        format!("{order_path}/events"),
        format!("/v1/orders/by-number/{}", order["number"].as_str().unwrap()),
        payment_path.clone(),
        parcel_path.clone(),
        format!("/v1/users/{}/points", owner.id),
        format!("/v1/users/{}/points/entries", owner.id),
    ];
    for path in &theirs {
        assert_eq!(owner.client.get(path).open().await.unwrap().status(), 200, "{path}");
        stranger.get(path).send().await.expect_problem(404, "not_found");
    }
    for path in ["/v1/orders", "/v1/payments", "/v1/shipments"] {
        assert!(stranger.read_all(path).await.is_empty(), "{path}");
    }
    let attempts = [
        (format!("{order_path}/cancel"), json!({})),
        (format!("{order_path}/confirm-delivery"), json!({})),
        (format!("{payment_path}/cancel"), json!({})),
        (format!("{payment_path}/confirm"), json!({})),
        (format!("{payment_path}/sync"), json!({})),
        ("/v1/payments".to_owned(), crate::harness::by_card(&order, "tok_ok")),
    ];
    for (path, body) in &attempts {
        stranger.post(path, body).send().await.expect_problem(404, "not_found");
    }
    let filter = format!("/v1/orders?user_id={}", owner.id);
    let filtered = stranger.get(&filter).send().await;
    assert!(filtered.status == 403 || filtered.json()["items"].as_array().unwrap().is_empty(), "{}", filtered.text());
    admin.list_of(1, &filter).await;

    staff_only(&owner.client, &owner.id, &tea, &payment_path, &parcel_path).await;
    a_granted_role_opens_the_door(world, &owner.client, &owner.email).await;
}

async fn tokens_that_do_not_count(world: &World, owner: &Client) {
    let visitor = world.visitor();
    for path in ["/v1/orders", "/v1/payments", "/v1/shipments", "/v1/auth/profile", "/v1/projections"] {
        let reply = visitor.get(path).send().await;
        reply.expect_problem(401, "unauthenticated");
        assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")), "{path}");
    }
    visitor.post("/v1/orders", &basket(&[])).send().await.expect_problem(401, "unauthenticated");
    let good = owner.token();
    let unsigned = {
        // {"alg":"none","typ":"JWT"} with the true claims and no signature.
        let claims = good.split('.').nth(1).unwrap();
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let bad = ["x".to_owned(), "a.b.c".to_owned(), unsigned, damaged(&good, 0), damaged(&good, 1), damaged(&good, 2)];
    for token in bad {
        visitor.with_token(&token).get("/v1/orders").send().await.expect_problem(401, "unauthenticated");
    }
    let basic = visitor.get("/v1/orders").header("authorization", "Basic YTpi").send().await;
    basic.expect_problem(401, "unauthenticated");
    let wrong = json!({"email": ADMIN_EMAIL, "password": "not the password"});
    visitor.post("/v1/auth/login", &wrong).send().await.expect_problem(401, "unauthenticated");
    let nobody = json!({"email": "nobody@example.com", "password": "not the password"});
    visitor.post("/v1/auth/login", &nobody).send().await.expect_problem(401, "unauthenticated");
}

/// What needs a role that a customer has not.
async fn staff_only(customer: &Client, id: &str, product: &str, payment_path: &str, parcel_path: &str) {
    let posts = [
        ("/v1/products".to_owned(), json!({"name": "x", "price": krw(1_000)})),
        (format!("/v1/stock/{product}/receive"), json!({"quantity": 1})),
        (format!("/v1/stock/{product}/adjust"), json!({"delta": 1, "reason": "x"})),
        (format!("{payment_path}/refunds"), json!({"amount": krw(1_000), "reason": "x"})),
        (format!("{parcel_path}/dispatch"), json!({"carrier": "sandbox", "tracking_number": "1"})),
        (format!("{parcel_path}/status"), json!({"status": "delivered"})),
        (format!("/v1/users/{id}/points/grant"), json!({"amount": krw(1_000), "reference": "mine"})),
    ];
    for (path, body) in &posts {
        customer.post(path, body).send().await.expect_problem(403, "forbidden");
    }
    for path in ["/v1/projections", "/v1/sagas"] {
        customer.get(path).send().await.expect_problem(403, "forbidden");
    }
}

/// A role that an operator grants counts at once, with the token in hand.
async fn a_granted_role_opens_the_door(world: &World, customer: &Client, email: &str) {
    customer.get("/v1/projections").send().await.expect_problem(403, "forbidden");
    world.run_well(&["users", "grant", "--user", email, "--role", "staff"]).await;
    eventually("the new role counts", async || {
        (customer.get("/v1/projections").send().await.status == 200).then_some(())
    })
    .await;
}

pub async fn a_reused_refresh_token_ends_its_family(world: &mut World) {
    let buyer = world.buyer("minji").await;
    let visitor = world.visitor();
    let refresh = async |token: &str| visitor.post("/v1/auth/refresh", &json!({"refresh_token": token})).send().await;
    let first = buyer.refresh_token.as_str();
    let answer = refresh(first).await.expect(200);
    let second = answer["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    assert_eq!(answer["token_type"], "Bearer");
    let renewed = visitor.with_token(answer["access_token"].as_str().unwrap());
    assert_eq!(renewed.read("/v1/auth/profile").await["email"], buyer.email);
    let third = refresh(second).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();

    // Somebody shows a token that was used: the thief and the owner cannot be told apart.
    refresh(first).await.expect_problem(401, "unauthenticated");
    refresh(&third).await.expect_problem(401, "unauthenticated");
    refresh("no such token").await.expect_problem(401, "unauthenticated");
    let events = world.run_well(&["events", "list", "--type", "session.reuse_detected", "--json"]).await;
    assert!(events.lines().count() >= 1);

    // Another login of the same person is another family.
    let login = json!({"email": buyer.email, "password": "a long enough password"});
    let again = visitor.post("/v1/auth/login", &login).send().await.expect(200);
    let token = again["refresh_token"].as_str().unwrap();
    let body = json!({"refresh_token": token});
    let logout =
        visitor.with_token(again["access_token"].as_str().unwrap()).post("/v1/auth/logout", &body).send().await;
    assert!(matches!(logout.status, 200 | 204), "{} {}", logout.status, logout.text());
    refresh(token).await.expect_problem(401, "unauthenticated");
}

pub async fn ten_refreshes_have_one_winner(world: &mut World) {
    let buyer = world.buyer("minji").await;
    let visitor = world.visitor();
    let body = json!({"refresh_token": buyer.refresh_token});
    let answers = join_all((0..10).map(|_| visitor.post("/v1/auth/refresh", &body).send())).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 9));
    for refusal in lost {
        refusal.expect_problem(401, "unauthenticated");
    }
}
