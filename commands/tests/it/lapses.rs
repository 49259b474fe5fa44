//! Points lapse automatically when their time is over.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::points::{Points, PointsEvent, PointsExpired};
use jangbu_commands::commands::{CancelPayment, GrantPoints, PlaceOrder};
use jangbu_commands::{DomainEvent, GrantReference, Leg, POINTS, load_state};
use jangbu_kernel::{Actor, Money, RecordedEvent, StreamId, UserId, Version};

use crate::faulty::{Damage, Fault, FaultyLog};
use crate::process::House;
use crate::support::eventually;

const PRICE: i64 = 53_000;

fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}

async fn give(house: &House, user_id: UserId, units: i64, reference: &str, lapses: Option<TimeDelta>) {
    let expires_at = lapses.map(|lapses| house.shop.world.clock.now() + lapses);
    let grant = GrantPoints { user_id, amount: won(units), reference: GrantReference::code(reference), expires_at };
    house.shop.run(&house.commands, grant).await.unwrap();
}

async fn ledger(house: &House, user_id: UserId) -> (i64, i64) {
    let (points, _) = load_state::<Points>(house.store.as_ref(), user_id).await.unwrap();
    (points.balance(), points.held())
}

async fn until(house: &House, user_id: UserId, balance: i64, held: i64) {
    eventually(&format!("{balance} points, {held} of them held"), || async {
        ledger(house, user_id).await == (balance, held)
    })
    .await;
}

async fn expired(house: &House, user_id: UserId) -> Vec<RecordedEvent> {
    let events = house.commands.history(StreamId::points(user_id), None).await.unwrap();
    events.into_iter().filter(|event| event.event_type == "points.expired").collect()
}

#[tokio::test]
async fn a_balance_falls_without_anybody_touching_the_ledger() {
    let house = House::open();
    let user = house.shop.user(&house.commands).await;
    give(&house, user, 500, "spring", Some(TimeDelta::hours(1))).await;
    give(&house, user, 70, "summer", Some(TimeDelta::hours(1))).await;
    give(&house, user, 100, "for ever", None).await;
    house.shop.clock.advance(TimeDelta::hours(1));
    until(&house, user, 100, 0).await;

    let events = expired(&house, user).await;
    let facts: Vec<_> = events.iter().map(|event| DomainEvent::try_from(event).unwrap()).collect();
    let fact = |entry, units| DomainEvent::Points(PointsEvent::from(PointsExpired { entry, amount: won(units) }));
    assert_eq!(facts, [fact(1, 500), fact(2, 70)], "each grant by its number, with what was left of it");
    assert!(events.iter().all(|event| event.meta.actor == Actor::System("process-manager")), "{events:?}");
    assert_eq!(events[0].meta.command_id, events[1].meta.command_id, "one decision");
    house.close().await;
}

#[tokio::test]
async fn what_a_payment_holds_lapses_when_it_comes_back() {
    let house = House::open();
    let (user_id, product) = house.stocked().await;
    give(&house, user_id, 500, "spring", Some(TimeDelta::minutes(5))).await;
    let mut payment = house.shop.card(user_id, PRICE - 300, "challenge");
    let payment_id = payment.payment_id;
    payment.legs.push(Leg { method: POINTS, amount: won(300), instrument: None });
    let order = house.shop.order(user_id, &[(product, 1)]);
    house.settle(PlaceOrder { payment: Some(payment), ..order }).await;
    assert_eq!(ledger(&house, user_id).await, (500, 300));

    house.shop.clock.advance(TimeDelta::minutes(6));
    until(&house, user_id, 300, 300).await;
    house.shop.run(&house.commands, CancelPayment { payment_id }).await.unwrap();
    until(&house, user_id, 0, 0).await;
    assert_eq!(expired(&house, user_id).await.len(), 2, "the same grant twice, by two commands");
    house.close().await;
}

#[tokio::test]
async fn a_round_takes_everything_and_asks_what_cannot_be_read_once() {
    let house = House::open();
    let bad = house.shop.user(&house.commands).await;
    give(&house, bad, 500, "spring", Some(TimeDelta::hours(1))).await;
    let mut good = Vec::new();
    // More than two pages.
    for _ in 0..1_100 {
        let user = house.shop.user(&house.commands).await;
        give(&house, user, 500, "spring", Some(TimeDelta::hours(2))).await;
        good.push(user);
    }
    let log = FaultyLog::over(house.store.clone());
    log.damage(StreamId::points(bad), Version::FIRST, Damage::Payload);
    let house = house.crash_onto(Arc::clone(&log), true).await;
    house.shop.clock.advance(TimeDelta::hours(3));
    // Only one round.
    let house = house.with_options(|options| options.expire_points_every = Duration::from_secs(3_600)).await;
    eventually("all others are written off", || async {
        let ledgers = join_all(good.iter().map(|user| ledger(&house, *user))).await;
        ledgers.iter().all(|ledger| *ledger == (0, 0))
    })
    .await;
    let asked = || log.loads.lock().unwrap().iter().filter(|(stream, ..)| *stream == StreamId::points(bad)).count();
    let before = asked();
    assert!(before > 0);
    // Nobody else is delayed meanwhile, and the ledger is not asked again.
    let (paid, ..) = house.place("ok").await;
    assert_eq!(house.order(paid).await.status(), Some(OrderStatus::Preparing));
    assert_eq!(asked(), before, "it is asked again in the next round only");

    log.mend();
    let house = house.with_options(|_| {}).await;
    eventually("it is written off when it can be read again", || async { expired(&house, bad).await.len() == 1 }).await;
    house.close().await;
}

#[tokio::test]
async fn a_lost_answer_writes_off_once() {
    let house = House::open();
    let user = house.shop.user(&house.commands).await;
    give(&house, user, 500, "spring", Some(TimeDelta::hours(1))).await;
    house.log.fail_every(1, vec![Fault::AnswerLost, Fault::RequestLost, Fault::Fails]);
    house.shop.clock.advance(TimeDelta::hours(1));
    until(&house, user, 0, 0).await;
    house.at_peace().await;
    assert_eq!(expired(&house, user).await.len(), 1);
    house.close().await;
}
