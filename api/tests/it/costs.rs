//! What a request reads does not grow with what happened before: every `GET` that a
//! customer may use, and the answers to what staff do, on things with a long history.

use std::sync::atomic::Ordering;

use axum::body::Body;
use futures::future::join_all;
use jangbu_commands::{Caller, Command, Request, Scope};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{Actor, CommandId, CorrelationId, Money, ProductId, Role, StreamId, UserId};
use serde_json::json;

use crate::house::{House, request};
use crate::owners::{Street, customers_routes};

/// Changes of each long stream.
const CHANGES: u32 = 1_500;
/// Events that one request may read: a page of a list, and what lies behind a snapshot of
/// the caller's account.
const MOST: usize = 600;

async fn run(house: &House, command: Command) {
    let caller = Caller { actor: Actor::System("system"), scope: Scope::Any };
    let (id, correlation) = (CommandId::new(house.world.new_id()), CorrelationId::new(house.world.new_id()));
    house.state.commands.execute(Request::new(command, caller, id, correlation)).await.unwrap();
}

/// A street with a product and a user of which so much has happened already.
async fn old_street() -> (Street, ProductId, UserId) {
    let mut street = Street::new().await;
    let product = ProductId::new(street.thing("/v1/products/{id}").parse().unwrap());
    let user = UserId::new(street.thing("/v1/users/{id}").parse().unwrap());
    for number in 0..CHANGES {
        let reference = format!("long-{number}");
        let amount = Money::krw(1).unwrap();
        run(&street.house, Command::ReceiveStock { product_id: product, quantity: 1 }).await;
        run(&street.house, Command::GrantPoints { user_id: user, amount, reference, expires_at: None }).await;
        run(&street.house, Command::RecordLoginFailure { user_id: user }).await;
    }
    let streams = vec![StreamId::stock(product), StreamId::points(user), StreamId::user(user)];
    let versions = street.house.state.commands.log().versions(streams).await.unwrap();
    assert!(versions.iter().all(|version| *version >= CHANGES.into()), "{versions:?}");
    street.catch_up().await;
    (street, product, user)
}

#[tokio::test]
async fn an_answer_to_a_command_reads_no_more_the_longer_the_history() {
    let (street, product, user) = old_street().await;
    let house = &street.house;
    let staff = house.somebody(&[Role::Staff, Role::Admin]).await;
    let stock = format!("/v1/stock/{}", product.uuid());
    // From here on the read model has everything that happened before.
    let head = house.state.commands.log().head().await.unwrap().to_string();
    let headers = [("jangbu-min-position", head.as_str()), ("prefer", "wait=30")];
    let read = house.send(request("GET", &stock, &staff, &headers).body(Body::empty()).unwrap()).await.expect(200);
    let mut version = read.body["version"].as_u64().unwrap();
    let before = house.reads.load(Ordering::Relaxed);
    let (receive, adjust) = (format!("{stock}/receive"), format!("{stock}/adjust"));
    let (grant, unlock) = (format!("/v1/users/{user}/points/grant"), format!("/v1/users/{user}/unlock"));
    for (number, stage) in ["committed", "projected", "settled"].into_iter().enumerate() {
        for (path, body) in [
            (&receive, json!({"quantity": 1})),
            (&adjust, json!({"delta": -1, "reason": "broken"})),
            (&grant, json!({"amount": "1", "reference": format!("again-{number}")})),
            (&unlock, json!({})),
        ] {
            let key = format!("{number}{}", path.replace('/', "-"));
            let headers = [("idempotency-key", key.as_str()), ("jangbu-wait-for", stage), ("prefer", "wait=30")];
            let answer = house.post(&staff, path, &headers, &body).await.expect(200);
            assert_eq!(answer.header("etag"), format!("\"{}\"", answer.body["version"]), "{path}");
            if path.starts_with(&stock) {
                version += 1;
                assert_eq!(answer.body["version"], version, "{path} {stage}");
            }
            let again = house.post(&staff, path, &headers, &body).await.expect(200);
            assert_eq!((&again.text, again.header("idempotent-replayed")), (&answer.text, "true"), "{path} {stage}");
        }
    }
    // Many at once are one batch: when the first is answered the others have happened too.
    let keys: Vec<_> = (0..20).map(|number| format!("at-once-{number}")).collect();
    let body = json!({"quantity": 1});
    let headers: Vec<_> = keys.iter().map(|key| [("idempotency-key", key.as_str())]).collect();
    let asked = headers.iter().map(|headers| house.post(&staff, &receive, headers, &body));
    let answers = join_all(asked).await.into_iter().map(|answer| answer.expect(200).body);
    let mut seen: Vec<_> = answers.map(|body| (body["version"].as_u64().unwrap(), body["on_hand"].clone())).collect();
    seen.sort_by_key(|(version, _)| *version);
    for (index, (seen, on_hand)) in seen.iter().enumerate() {
        let more = u64::try_from(index).unwrap() + 1;
        assert_eq!(*seen, version + more, "each is answered with its own version");
        assert_eq!(*on_hand, read.body["on_hand"].as_u64().unwrap() + more, "and with what there was then");
    }
    let read = house.reads.load(Ordering::Relaxed) - before;
    assert!(read <= MOST, "the answers read {read} events");
}

#[tokio::test]
async fn a_request_reads_no_more_the_longer_the_history() {
    let (street, product, _) = old_street().await;
    let mut walked = 0;
    for route in customers_routes().filter(|route| route.method == http::Method::GET) {
        let path = if route.path.contains('{') { street.concrete(&route.path).0 } else { route.path.clone() };
        let before = street.house.reads.load(Ordering::Relaxed);
        let (status, code) = street.ask(&route, &path, &street.owner, "").await;
        assert_eq!(status, 200, "{path}: {code}");
        let read = street.house.reads.load(Ordering::Relaxed) - before;
        assert!(read <= MOST, "{path} reads {read} events");
        walked += 1;
    }
    assert!(walked >= 20, "{walked}");
    // How a stock was is a question of those who work in the shop.
    let earlier = format!("/v1/stock/{}?as_of={CHANGES}", product.uuid());
    street.house.get(&street.owner, &earlier).await.problem(403, "forbidden");
}
