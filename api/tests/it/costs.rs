//! What a request reads does not grow with what happened before: every `GET` that a
//! customer may use, on things with a long history.

use std::sync::atomic::Ordering;

use jangbu_commands::{Caller, Command, Request, Scope};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{Actor, CommandId, CorrelationId, Money, ProductId, StreamId, UserId};

use crate::house::House;
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

#[tokio::test]
async fn a_request_reads_no_more_the_longer_the_history() {
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
