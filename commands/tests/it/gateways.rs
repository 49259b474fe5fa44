//! The configured gateway changes while charges are in flight: each charge continues at the gateway
//! that was asked, and nobody loses money.

use std::sync::Arc;

use chrono::TimeDelta;
use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::processes::Step;
use jangbu_commands::commands::CancelOrder;
use jangbu_commands::{CancelledBy, Gateways};
use jangbu_kernel::{OrderId, PaymentId};

use crate::outside::ScriptedGateway;
use crate::process::House;
use crate::support::eventually;

const PRICE: i64 = 53_000;

/// An order whose charge was made at the first gateway, but the answer is lost.
async fn in_flight(house: &House) -> (OrderId, PaymentId) {
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "lost");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    house.until_step(order_id, Step::Inquiring).await;
    (order_id, payment_id)
}

#[tokio::test]
async fn a_charge_in_flight_is_asked_after_where_it_was_asked_for() {
    let house = House::open();
    let (order_id, payment_id) = in_flight(&house).await;
    let (first, second) = (house.gateway.clone(), Arc::new(ScriptedGateway::named("other")));
    let house = house.with_gateways(Gateways::new(second.clone()).with(first.clone())).await;
    house.shop.clock.advance(TimeDelta::seconds(2));
    house.until(order_id, OrderStatus::Preparing).await;
    assert!(house.payment(payment_id).await.is_captured());
    assert_eq!((first.count("charge"), first.charged(), second.was_called()), (1, 1, false));

    // The money also goes back through the gateway that took it.
    let cancel = CancelOrder { order_id, by: CancelledBy::Owner, reason: None };
    house.shop.run(&house.commands, cancel).await.unwrap();
    house.until(order_id, OrderStatus::Cancelled).await;
    assert_eq!((first.refunds.lock().unwrap().len(), second.was_called()), (1, false));
    house.close().await;
}

/// Nothing is concluded about a charge at a gateway that is no longer configured: it stays open,
/// and is decided as soon as the gateway can be asked again.
#[tokio::test]
async fn a_charge_at_a_gateway_that_is_gone_stays_open_until_it_is_back() {
    let house = House::open();
    let (order_id, payment_id) = in_flight(&house).await;
    let (first, second) = (house.gateway.clone(), Arc::new(ScriptedGateway::named("other")));
    let house = house.with_gateways(Gateways::new(second.clone())).await;
    for _ in 0..20 {
        house.shop.clock.advance(TimeDelta::minutes(2));
        tokio::task::yield_now().await;
    }
    assert!(house.payment(payment_id).await.is_unknown(), "{}", house.step(order_id).await);
    assert!(!second.was_called());

    let house = house.with_gateways(Gateways::new(second.clone()).with(first.clone())).await;
    eventually("it is decided, and the money is kept or given back", || async {
        house.shop.clock.advance(TimeDelta::minutes(1));
        let payment = house.payment(payment_id).await;
        let voided = payment.has_ended() && first.charged() == 0;
        payment.status_name() == "refunded" || (payment.is_captured() && !payment.captured_late()) || voided
    })
    .await;
    assert!(!second.was_called());
    house.close().await;
}
