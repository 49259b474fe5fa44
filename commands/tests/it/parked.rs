//! Data that cannot be read stops only its own order.

use std::sync::Arc;

use chrono::TimeDelta;
use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::processes::{OperatorAction, Step};
use jangbu_commands::CommandError;
use jangbu_commands::commands::{ConfirmPayment, RequestPayment, ResolveFulfilment};
use jangbu_kernel::ports::ParkedProcess;
use jangbu_kernel::{OrderId, StreamId, Version};
use tokio::time::Instant;

use crate::faulty::{Damage, FaultyLog};
use crate::process::House;
use crate::support::{PATIENCE, eventually};

const PRICE: i64 = 53_000;

async fn parked(house: &House) -> Vec<ParkedProcess> {
    house.store.parked(None, 10).await.unwrap()
}

async fn until_parked(house: &House, order_id: OrderId, stream: StreamId) {
    eventually("the order is parked", || async {
        parked(house).await.iter().any(|process| process.order_id == order_id && process.stream == stream)
    })
    .await;
}

/// An order that waits for its payment after a declined card.
async fn unpaid(house: &House) -> OrderId {
    house.place("declined").await.0
}

#[tokio::test]
async fn an_unreadable_fulfilment_holds_back_no_timer_and_no_payment_also_after_a_restart() {
    for damage in [Damage::Payload, Damage::Type, Damage::Version, Damage::Missing] {
        let house = House::open();
        let (bad, good) = (unpaid(&house).await, unpaid(&house).await);
        let log = FaultyLog::over(house.store.clone());
        log.damage(StreamId::fulfilment(bad), Version::new(2), damage);
        let house = house.crash_onto(Arc::clone(&log), true).await;
        house.shop.clock.advance(TimeDelta::minutes(16));
        house.until(good, OrderStatus::Expired).await;
        until_parked(&house, bad, StreamId::fulfilment(bad)).await;
        assert_eq!(house.process.progress().parked, 1);
        let (paid, ..) = house.place("ok").await;
        assert_eq!(house.order(paid).await.status(), Some(OrderStatus::Preparing), "{damage:?}");

        // A restart that reads the log from the beginning passes it, too.
        let house = house.crash_onto(Arc::clone(&log), false).await;
        let (paid, ..) = house.place("ok").await;
        assert_eq!(house.order(paid).await.status(), Some(OrderStatus::Preparing), "{damage:?}");
        assert_eq!(parked(&house).await.len(), 1);
        assert_eq!(house.order(bad).await.status(), Some(OrderStatus::AwaitingPayment));

        log.mend();
        house.until(bad, OrderStatus::Expired).await;
        eventually("nothing is parked", || async { parked(&house).await.is_empty() }).await;
        house.close().await;
    }
}

#[tokio::test]
async fn what_happened_while_a_process_was_parked_is_caught_up() {
    let house = House::open();
    let order_id = unpaid(&house).await;
    let log = FaultyLog::over(house.store.clone());
    log.damage(StreamId::fulfilment(order_id), Version::new(2), Damage::Version);
    let house = house.crash_onto(Arc::clone(&log), true).await;
    let order = house.order(order_id).await;
    let payment = house.shop.card(order.user_id().unwrap(), PRICE, "ok");
    let payment_id = payment.payment_id;
    let pay = RequestPayment { order_id, payment };
    house.shop.run(&house.commands, pay).await.unwrap();
    until_parked(&house, order_id, StreamId::fulfilment(order_id)).await;
    let deadline = Instant::now() + PATIENCE;
    assert!(house.process.wait_settled(order_id, deadline).await, "nothing is under way");
    assert_eq!(house.gateway.charged(), 0);

    log.mend();
    house.until(order_id, OrderStatus::Preparing).await;
    assert!(house.payment(payment_id).await.is_captured());
    assert_eq!(house.gateway.charged(), 1);
    house.close().await;
}

#[tokio::test]
async fn an_unreadable_event_of_an_order_payment_or_shipment_parks_that_order() {
    for (kind, version) in [("order", 3), ("payment", 1), ("payment", 2), ("shipment", 1)] {
        let house = House::open();
        let (order_id, payment_id, _) = house.place("ok").await;
        let shipment_id = house.order(order_id).await.shipment_id().unwrap();
        let stream = match kind {
            "order" => StreamId::order(order_id),
            "payment" => StreamId::payment(payment_id),
            _ => StreamId::shipment(shipment_id),
        };
        let log = FaultyLog::over(house.store.clone());
        log.damage(stream, Version::new(version), Damage::Payload);
        // Without its checkpoints it reads the log from the beginning.
        let house = house.crash_onto(Arc::clone(&log), false).await;
        until_parked(&house, order_id, stream).await;
        let (other, ..) = house.place("ok").await;
        assert_eq!(house.order(other).await.status(), Some(OrderStatus::Preparing), "{stream}");
        assert_eq!(parked(&house).await.len(), 1, "{stream}");
        log.mend();
        eventually("it goes on", || async { parked(&house).await.is_empty() }).await;
        assert_eq!(house.gateway.charged(), 2, "nobody is charged twice");
        house.close().await;
    }
}

#[tokio::test]
async fn a_command_whose_stream_is_unreadable_waits_for_a_person_and_gives_no_money_back() {
    let house = House::open();
    let (order_id, payment_id, product) = house.place("challenge").await;
    let log = FaultyLog::over(house.store.clone());
    log.damage(StreamId::stock(product), Version::FIRST, Damage::Payload);
    let house = house.crash_onto(Arc::clone(&log), true).await;
    house.shop.run(&house.commands, ConfirmPayment { payment_id }).await.unwrap();
    house.until_step(order_id, Step::NeedsOperator).await;
    assert!(house.step(order_id).await.contains("stream_unreadable"), "{}", house.step(order_id).await);
    assert!(house.payment(payment_id).await.is_captured());
    assert_eq!(house.gateway.count("refund"), 0);
    let (other, ..) = house.place("ok").await;
    assert_eq!(house.order(other).await.status(), Some(OrderStatus::Preparing));

    log.mend();
    let reason = "the row was put back".into();
    let resume = ResolveFulfilment { order_id, action: OperatorAction::Resume, reason };
    house.shop.run(&house.commands, resume).await.unwrap();
    house.until(order_id, OrderStatus::Preparing).await;
    assert_eq!(house.gateway.charged(), 2);
    house.close().await;
}

#[tokio::test]
async fn a_command_on_an_unreadable_stream_is_told_so_and_spoils_nothing_of_others() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let broken = house.shop.product(&house.commands, PRICE, 10).await;
    let log = FaultyLog::over(house.store.clone());
    log.damage(StreamId::stock(broken), Version::FIRST, Damage::Type);
    let house = house.crash_onto(Arc::clone(&log), true).await;
    let orders: Vec<_> = [product, broken, product, broken, product]
        .into_iter()
        .map(|product| house.shop.order(user, &[(product, 1)]))
        .collect();
    let placed = orders.into_iter().map(|order| house.shop.run(&house.commands, order));
    let answers = futures::future::join_all(placed).await;
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Ok(_) => assert!(index % 2 == 0),
            Err(error @ CommandError::Unreadable { stream, .. }) => {
                assert_eq!((index % 2, *stream), (1, StreamId::stock(broken)));
                assert!(!error.is_transient());
            }
            Err(error) => panic!("{index}: {error}"),
        }
    }
    house.close().await;
}
