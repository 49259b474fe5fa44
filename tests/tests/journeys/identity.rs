//! Permissions.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{ADMIN_EMAIL, ADMIN_PASSWORD, Client, World, basket, eventually, krw};

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

    // Another user's resource gets the same answer as one that never existed.
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
        // {"alg":"none","typ":"JWT"} with the real claims and no signature.
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

/// Routes that need a role that a customer does not have.
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

/// A granted role takes effect at once, with the present token.
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

    // A client sends a token that was used: thief and owner cannot be distinguished.
    refresh(first).await.expect_problem(401, "unauthenticated");
    refresh(&third).await.expect_problem(401, "unauthenticated");
    refresh("no such token").await.expect_problem(401, "unauthenticated");
    let events = world.run_well(&["events", "list", "--type", "session.reuse_detected", "--json"]).await;
    assert!(events.lines().count() >= 1);

    // Another login of the same user is another family.
    let login = json!({"email": buyer.email, "password": "a long enough password"});
    let again = visitor.post("/v1/auth/login", &login).send().await.expect(200);
    let token = again["refresh_token"].as_str().unwrap();
    let body = json!({"refresh_token": token});
    let logout =
        visitor.with_token(again["access_token"].as_str().unwrap()).post("/v1/auth/logout", &body).send().await;
    assert!(matches!(logout.status, 200 | 204), "{} {}", logout.status, logout.text());
    refresh(token).await.expect_problem(401, "unauthenticated");
}

/// Waits until a token is rejected on these routes.
async fn refused_soon(client: &Client, paths: &[&str]) {
    for path in paths {
        eventually("the ended login is refused", async || (client.get(path).send().await.status == 401).then_some(()))
            .await;
        client.get(path).send().await.expect_problem(401, "unauthenticated");
    }
}

pub async fn thirty_refreshes_at_once_get_one_answer(world: &mut World) {
    let buyer = world.buyer("minji").await;
    let visitor = world.visitor();
    let refresh = async |token: &str| visitor.post("/v1/auth/refresh", &json!({"refresh_token": token})).send().await;
    let answers = join_all((0..30).map(|_| refresh(&buyer.refresh_token))).await;
    let tokens: Vec<_> = answers.iter().map(|answer| answer.expect(200)["refresh_token"].clone()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    buyer.client.get("/v1/auth/profile").send().await.expect(200);

    // The successor was used, so the first token counts as stolen.
    let next = refresh(tokens[0].as_str().unwrap()).await.expect(200);
    refresh(&buyer.refresh_token).await.expect_problem(401, "unauthenticated");
    refresh(next["refresh_token"].as_str().unwrap()).await.expect_problem(401, "unauthenticated");
    refused_soon(&buyer.client, &["/v1/auth/profile", "/v1/orders"]).await;
    world.run_well(&["audit", "verify"]).await;
}

pub async fn any_token_of_a_login_ends_it(world: &mut World) {
    let buyer = world.buyer("minji").await;
    let visitor = world.visitor();
    let (other, _) = visitor.log_in(&buyer.email, "a long enough password").await;
    let first = json!({"refresh_token": buyer.refresh_token});
    visitor.post("/v1/auth/refresh", &first).send().await.expect(200);
    // A token that was exchanged already.
    assert_eq!(visitor.post("/v1/auth/logout", &first).send().await.status, 204);
    refused_soon(&buyer.client, &["/v1/auth/profile", "/v1/orders", "/v1/payments", "/v1/shipments"]).await;
    other.read("/v1/auth/profile").await;
}

pub async fn wrong_passwords_lock_nobody_out(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let tea = world.product(&admin, "보이차", 20_000, 10).await;
    let stranger = world.visitor().from("127.0.9.9".parse().unwrap());
    let log_in = async |client: &Client, email: &str, password: &str| {
        client.post("/v1/auth/login", &json!({"email": email, "password": password})).send().await
    };
    let mut details = Vec::new();
    for email in [buyer.email.as_str(), ADMIN_EMAIL, "nobody@example.com"] {
        for _ in 0..5 {
            log_in(&stranger, email, "not the password").await.expect_problem(401, "unauthenticated");
        }
        let delayed = eventually("a delay", async || {
            let answer = log_in(&stranger, email, "not the password").await;
            (answer.status == 423).then_some(answer)
        })
        .await;
        let problem = delayed.expect_problem(423, "account_locked");
        assert!(delayed.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        details.push((problem["title"].clone(), problem["code"].clone()));
    }
    assert!(details.iter().all(|detail| *detail == details[0]), "an unknown address looks like a known one");

    // Existing logins continue, and logins from other addresses work.
    buyer.client.place(&[(&tea, 1)]).await;
    let refreshed = json!({"refresh_token": buyer.refresh_token});
    world.visitor().post("/v1/auth/refresh", &refreshed).send().await.expect(200);
    log_in(&world.visitor(), &buyer.email, "a long enough password").await.expect(200);
    world.visitor().log_in(ADMIN_EMAIL, ADMIN_PASSWORD).await;

    // Unlocked by an administrator, by command and by route.
    world.run_well(&["users", "unlock", &buyer.email]).await;
    eventually("the owner gets in from there", async || {
        (log_in(&stranger, &buyer.email, "a long enough password").await.status == 200).then_some(())
    })
    .await;
    let unlock = format!("/v1/users/{}/unlock", buyer.id);
    buyer.client.post(&unlock, &json!({})).send().await.expect_problem(403, "forbidden");
    admin.post(&unlock, &json!({})).send().await.expect(200);
}

pub async fn roles_are_one_decision_and_an_administrator_stays(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let id = admin.read("/v1/auth/profile").await["id"].as_str().unwrap().to_owned();
    let set = |client: &Client, whose: &str, roles: &[&str]| {
        client.call(reqwest::Method::PUT, &format!("/v1/users/{whose}/roles")).json(&json!({"roles": roles}))
    };
    // Two changes with the same condition: one of them wins completely.
    let version = admin.get(&format!("/v1/users/{}", buyer.id)).send().await;
    let condition = version.header("etag").unwrap();
    let put = |roles: &[&str]| set(&admin, &buyer.id, roles).header("if-match", condition).send();
    let (one, other) = tokio::join!(put(&["staff"]), put(&["auditor"]));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let taken = if one.status == 200 { one } else { other };
    assert_eq!(taken.json()["roles"].as_array().unwrap().len(), 1);
    assert!(taken.position() > 0);

    set(&admin, &id, &["customer"]).send().await.expect_problem(409, "last_administrator");
    let revoked = world.run(&["users", "revoke", "--user", ADMIN_EMAIL, "--role", "admin"]).await;
    assert!(!revoked.status.success());
    // Two administrators revoke each other's role at once.
    let (second, answer) = world.visitor().log_in(&buyer.email, "a long enough password").await;
    assert_eq!(answer["token_type"], "Bearer");
    set(&admin, &buyer.id, &["admin"]).send().await.expect(200);
    let (by_admin, by_second) =
        tokio::join!(set(&admin, &buyer.id, &["customer"]).send(), set(&second, &id, &["customer"]).send());
    let won = [&by_admin, &by_second].into_iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{} {}", by_admin.text(), by_second.text());
    world.run_well(&["audit", "verify"]).await;
}

pub async fn strangers_who_sign_up_do_not_share_keys(world: &mut World) {
    let visitor = world.visitor();
    let sign_up = async |email: &str, key: &str| {
        let account = json!({"email": email, "password": "a long enough password", "name": "Somebody"});
        visitor.post("/v1/auth/register", &account).key(key).send().await
    };
    let first = sign_up("one@example.com", "the-same-key").await;
    let second = sign_up("two@example.com", "the-same-key").await;
    assert_ne!(first.expect(201)["id"], second.expect(201)["id"]);
    let again = sign_up("one@example.com", "the-same-key").await;
    assert_eq!(again.expect(201), first.json());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let answers = join_all((0..10).map(|_| sign_up("three@example.com", "another-key"))).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.expect(201)["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for number in 0..3 {
        sign_up("one@example.com", &format!("a-new-key-{number}")).await.expect_problem(409, "email_taken");
    }
}
