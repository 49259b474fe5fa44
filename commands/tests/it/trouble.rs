//! Troubles that a person ends: a parcel that is lost or came back, a charge of another amount. In
//! the end, money and goods are always correct.

use chrono::TimeDelta;
use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::processes::{FulfilmentOutcome, Step};
use jangbu_aggregates::shipment::Shipment;
use jangbu_commands::commands::{
    AcceptOrder, AdjustStock, CancelOrder, DispatchShipment, PlaceOrder, RecordScan, RefundOrder, SendOrderAgain,
};
use jangbu_commands::{AnyCommand, CancelledBy, CommandError, Scan, ScanStatus, WantedLine, load_state};
use jangbu_kernel::{Money, OrderId, PaymentId, ProductId, RefundId, RefusalCode, Remark, ShipmentId, StreamId};
use tokio::time::Instant;

use crate::outside::Booked;
use crate::process::House;
use crate::support::{PATIENCE, eventually};

const PRICE: i64 = 53_000;

fn why() -> Remark {
    "looked into it".into()
}

impl House {
    async fn parcel(&self, order_id: OrderId) -> ShipmentId {
        self.order(order_id).await.shipment_id().unwrap()
    }

    async fn hand_over(&self, order_id: OrderId) {
        let shipment_id = self.parcel(order_id).await;
        let dispatch = DispatchShipment { shipment_id, carrier: None, tracking_number: None };
        self.shop.run(&self.commands, dispatch).await.unwrap();
    }

    async fn scan(&self, order_id: OrderId, status: ScanStatus) {
        let shipment_id = self.parcel(order_id).await;
        let (shipment, _) = load_state::<Shipment>(self.store.as_ref(), shipment_id).await.unwrap();
        let scan = Scan {
            carrier: "sandbox".to_owned(),
            tracking_number: shipment.tracking_number().unwrap().to_owned(),
            status,
            code: "C".to_owned(),
            place: "hub".to_owned(),
            at: self.shop.world.clock.now(),
            note: None,
        };
        self.shop.run(&self.commands, RecordScan { shipment_id, scan }).await.unwrap();
    }

    /// An order whose parcel is lost or came back.
    async fn astray(&self, status: ScanStatus) -> (OrderId, PaymentId, ProductId) {
        let placed = self.place("ok").await;
        self.hand_over(placed.0).await;
        self.scan(placed.0, status).await;
        self.until_step(placed.0, Step::NeedsOperator).await;
        assert!(self.order(placed.0).await.hold().is_some(), "nothing goes on meanwhile");
        placed
    }

    /// An order for which the gateway took another amount.
    async fn mismatched(&self, token: &str) -> (OrderId, PaymentId, ProductId) {
        let placed = self.place(token).await;
        self.until_step(placed.0, Step::NeedsOperator).await;
        placed
    }

    async fn decide(&self, command: impl Into<AnyCommand>) -> Result<(), CommandError> {
        self.shop.run(&self.commands, command).await.map(|_| ())
    }

    async fn refused(&self, command: impl Into<AnyCommand>) -> RefusalCode {
        let before = self.store_head().await;
        match self.decide(command).await {
            Err(CommandError::Refused(refusal)) => {
                assert_eq!(self.store_head().await, before, "nothing is written");
                refusal.code
            }
            other => panic!("{other:?}"),
        }
    }

    fn refund(&self, order_id: OrderId, restock: bool) -> RefundOrder {
        RefundOrder { order_id, refund_id: RefundId::new(self.shop.id()), reason: why(), restock }
    }

    fn send_again(&self, order_id: OrderId, restock: bool) -> SendOrderAgain {
        self.send_part(order_id, Vec::new(), restock)
    }

    fn send_part(&self, order_id: OrderId, lines: Vec<WantedLine>, restock: bool) -> SendOrderAgain {
        SendOrderAgain { order_id, shipment_id: ShipmentId::new(self.shop.id()), lines, reason: why(), restock }
    }

    async fn rests(&self, order_id: OrderId) {
        assert!(self.process.wait_settled(order_id, Instant::now() + PATIENCE).await, "{}", self.step(order_id).await);
    }

    /// The amount that the gateway has kept in the end, in won.
    fn kept(&self) -> i64 {
        let taken = |booked: &Booked| if let Booked::Charged(amount) = booked { amount.minor_units() } else { 0 };
        let taken: i64 = self.gateway.books.lock().unwrap().values().map(taken).sum();
        taken - self.gateway.refunds.lock().unwrap().values().map(Money::minor_units).sum::<i64>()
    }

    async fn types(&self, stream: StreamId) -> Vec<String> {
        let events = self.commands.history(stream, None).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

fn accept(order_id: OrderId) -> AcceptOrder {
    AcceptOrder { order_id, reason: why() }
}

#[tokio::test]
async fn the_money_of_a_parcel_that_went_astray_goes_back_and_what_came_back_into_stock() {
    for (status, restock, on_hand) in
        [(ScanStatus::Lost, false, 9), (ScanStatus::Returned, false, 9), (ScanStatus::Returned, true, 10)]
    {
        let house = House::open();
        let (order_id, payment_id, product) = house.astray(status).await;
        house.decide(house.refund(order_id, restock)).await.unwrap();
        house.rests(order_id).await;
        house.until(order_id, OrderStatus::Failed).await;
        assert_eq!(house.payment(payment_id).await.status_name(), "refunded");
        assert_eq!((house.kept(), house.stock(product).await), (0, (on_hand, 0, 0)), "{status:?}");
        assert_eq!(house.outcome(order_id).await, Some(FulfilmentOutcome::Failed));
        assert_eq!(house.refused(house.refund(order_id, restock)).await, RefusalCode::SagaStateConflict, "once");
        house.close().await;
    }
}

#[tokio::test]
async fn an_order_whose_parcel_went_astray_is_sent_again_and_arrives() {
    for (status, restock, left) in [(ScanStatus::Lost, false, 8), (ScanStatus::Returned, true, 9)] {
        let house = House::open();
        let (order_id, _, product) = house.astray(status).await;
        let first = house.parcel(order_id).await;
        house.decide(house.send_again(order_id, restock)).await.unwrap();
        house.rests(order_id).await;
        let order = house.order(order_id).await;
        assert_eq!((order.status(), order.hold()), (Some(OrderStatus::Preparing), None), "{status:?}");
        assert_ne!(order.shipment_id(), Some(first));
        assert_eq!(house.stock(product).await, (left + 1, 0, 1), "kept for the further parcel");
        house.hand_over(order_id).await;
        assert_eq!(house.stock(product).await, (left, 0, 0));
        house.scan(order_id, ScanStatus::Delivered).await;
        house.until_step(order_id, Step::AwaitingCompletion).await;
        house.shop.clock.advance(TimeDelta::days(8));
        house.until(order_id, OrderStatus::Completed).await;
        assert_eq!((house.gateway.charged(), house.kept()), (1, PRICE), "paid once");
        house.close().await;
    }
}

#[tokio::test]
async fn what_is_sent_again_can_go_astray_again() {
    let house = House::open();
    let (order_id, _, product) = house.astray(ScanStatus::Lost).await;
    house.decide(house.send_again(order_id, false)).await.unwrap();
    house.rests(order_id).await;
    house.hand_over(order_id).await;
    house.scan(order_id, ScanStatus::Returned).await;
    house.until_step(order_id, Step::NeedsOperator).await;
    house.decide(house.send_again(order_id, true)).await.unwrap();
    house.rests(order_id).await;
    assert_eq!(house.stock(product).await, (9, 0, 1));
    // It is cancelled before the third parcel leaves, so all of it goes back.
    let cancel = CancelOrder { order_id, by: CancelledBy::Staff, reason: Some(why()) };
    house.decide(cancel).await.unwrap();
    house.until(order_id, OrderStatus::Cancelled).await;
    house.rests(order_id).await;
    assert_eq!((house.kept(), house.stock(product).await), (0, (9, 0, 0)));
    house.close().await;
}

/// Three of one product and two of another are bought and lost. One of the first is sent again,
/// comes back, and its money is refunded: stock changes by what each parcel had.
#[tokio::test]
async fn a_part_of_what_was_lost_is_sent_again() {
    let house = House::open();
    let (user, first) = house.stocked().await;
    let second = house.shop.product(&house.commands, PRICE, 10).await;
    let order = PlaceOrder {
        payment: Some(house.shop.card(user, 5 * PRICE, "ok")),
        ..house.shop.order(user, &[(first, 3), (second, 2)])
    };
    let order_id = order.order_id;
    house.settle(order).await;
    house.hand_over(order_id).await;
    house.scan(order_id, ScanStatus::Lost).await;
    house.until_step(order_id, Step::NeedsOperator).await;
    assert_eq!((house.stock(first).await, house.stock(second).await), ((7, 0, 0), (8, 0, 0)));

    let line = |product_id, quantity| WantedLine { product_id, quantity };
    for (lines, pointer) in [
        (vec![line(first, 4)], "/lines/0/quantity"),
        (vec![line(first, 1), line(second, 0)], "/lines/1/quantity"),
        (vec![line(first, 1), line(first, 1)], "/lines/1/product_id"),
        (vec![line(ProductId::new(house.shop.id()), 1)], "/lines/0/product_id"),
    ] {
        match house.decide(house.send_part(order_id, lines, false)).await {
            Err(CommandError::Refused(refusal)) => {
                assert_eq!((refusal.code, refusal.pointer.as_deref()), (RefusalCode::ValidationFailed, Some(pointer)));
            }
            other => panic!("{other:?}"),
        }
    }
    house.decide(house.send_part(order_id, vec![line(first, 1)], false)).await.unwrap();
    house.rests(order_id).await;
    assert_eq!((house.stock(first).await, house.stock(second).await), ((7, 0, 1), (8, 0, 0)), "kept for the parcel");
    let (parcel, _) = load_state::<Shipment>(house.store.as_ref(), house.parcel(order_id).await).await.unwrap();
    let held: Vec<_> = parcel.lines().iter().map(|line| (line.product_id, line.quantity, line.line_total)).collect();
    assert_eq!(held, [(first, 1, Money::krw(PRICE).unwrap())]);
    house.hand_over(order_id).await;
    assert_eq!((house.stock(first).await, house.stock(second).await), ((6, 0, 0), (8, 0, 0)));
    house.scan(order_id, ScanStatus::Returned).await;
    house.until_step(order_id, Step::NeedsOperator).await;
    house.decide(house.refund(order_id, true)).await.unwrap();
    house.rests(order_id).await;
    house.until(order_id, OrderStatus::Failed).await;
    assert_eq!((house.stock(first).await, house.stock(second).await), ((7, 0, 0), (8, 0, 0)), "one came back");
    assert_eq!(house.kept(), 0);
    house.close().await;
}

#[tokio::test]
async fn nothing_is_sent_again_without_goods_or_while_a_parcel_is_under_way() {
    let house = House::open();
    let (order_id, _, product_id) = house.astray(ScanStatus::Lost).await;
    house.decide(AdjustStock { product_id, delta: -9, reason: "miscount".to_owned(), location: None }).await.unwrap();
    assert_eq!(house.refused(house.send_again(order_id, false)).await, RefusalCode::InsufficientStock);
    assert_eq!(house.refused(house.send_again(order_id, true)).await, RefusalCode::ValidationFailed, "it is lost");
    assert_eq!(house.refused(house.refund(order_id, true)).await, RefusalCode::ValidationFailed);
    house.decide(AdjustStock { product_id, delta: 1, reason: "miscount".to_owned(), location: None }).await.unwrap();
    house.decide(house.send_again(order_id, false)).await.unwrap();
    house.rests(order_id).await;
    assert_eq!(house.refused(house.send_again(order_id, false)).await, RefusalCode::SagaStateConflict);
    assert_eq!(house.refused(accept(order_id)).await, RefusalCode::SagaStateConflict, "it waits for nobody");
    house.close().await;
}

#[tokio::test]
async fn a_parcel_that_went_astray_is_taken_as_arrived_and_the_order_ends() {
    for status in [ScanStatus::Lost, ScanStatus::Returned] {
        let house = House::open();
        let (order_id, _, product) = house.astray(status).await;
        house.decide(accept(order_id)).await.unwrap();
        house.until_step(order_id, Step::AwaitingCompletion).await;
        let order = house.order(order_id).await;
        assert_eq!((order.status(), order.hold()), (Some(OrderStatus::Delivered), None));
        house.shop.clock.advance(TimeDelta::days(8));
        house.until(order_id, OrderStatus::Completed).await;
        assert_eq!((house.kept(), house.stock(product).await), (PRICE, (9, 0, 0)));
        house.close().await;
    }
}

#[tokio::test]
async fn what_comes_back_after_it_arrived_is_refunded_and_the_order_completes() {
    let house = House::open();
    let (order_id, payment_id, product) = house.place("ok").await;
    house.hand_over(order_id).await;
    house.scan(order_id, ScanStatus::Delivered).await;
    house.until_step(order_id, Step::AwaitingCompletion).await;
    house.scan(order_id, ScanStatus::Returned).await;
    house.until_step(order_id, Step::NeedsOperator).await;
    assert_eq!(house.refused(house.send_again(order_id, true)).await, RefusalCode::OrderStateConflict);
    house.decide(house.refund(order_id, true)).await.unwrap();
    eventually("the money is back", || async { house.payment(payment_id).await.status_name() == "refunded" }).await;
    house.until_step(order_id, Step::AwaitingCompletion).await;
    house.shop.clock.advance(TimeDelta::days(8));
    house.until(order_id, OrderStatus::Completed).await;
    assert_eq!((house.kept(), house.stock(product).await), (0, (10, 0, 0)));
    house.close().await;
}

#[tokio::test]
async fn a_smaller_charge_is_taken_as_enough_and_what_was_taken_can_go_back() {
    let house = House::open();
    let (order_id, payment_id, product) = house.mismatched("less").await;
    house.decide(accept(order_id)).await.unwrap();
    house.rests(order_id).await;
    let order = house.order(order_id).await;
    assert_eq!((order.status(), order.hold()), (Some(OrderStatus::Preparing), None), "{}", house.step(order_id).await);
    let payment = house.payment(payment_id).await;
    assert_eq!(payment.captured().minor_units(), PRICE - 500);
    assert_eq!((house.kept(), house.stock(product).await), (PRICE - 500, (10, 0, 1)));
    let told = house.types(StreamId::payment(payment_id)).await;
    assert_eq!(told[told.len() - 2..], ["payment.mismatch_accepted", "payment.captured"]);
    assert_eq!(house.refused(accept(order_id)).await, RefusalCode::SagaStateConflict, "once");
    let cancel = CancelOrder { order_id, by: CancelledBy::Owner, reason: None };
    house.decide(cancel).await.unwrap();
    house.until(order_id, OrderStatus::Cancelled).await;
    house.rests(order_id).await;
    assert_eq!(house.payment(payment_id).await.status_name(), "refunded");
    assert_eq!((house.kept(), house.stock(product).await), (0, (10, 0, 0)));
    house.close().await;
}

#[tokio::test]
async fn a_charge_of_another_amount_goes_back_and_more_than_was_asked_for_is_not_taken() {
    for token in ["less", "more"] {
        let house = House::open();
        let (order_id, payment_id, product) = house.mismatched(token).await;
        if token == "more" {
            assert_eq!(house.refused(accept(order_id)).await, RefusalCode::PaymentTotalMismatch);
        }
        assert_eq!(house.refused(house.send_again(order_id, false)).await, RefusalCode::SagaStateConflict);
        house.decide(house.refund(order_id, false)).await.unwrap();
        house.until(order_id, OrderStatus::Failed).await;
        house.rests(order_id).await;
        assert!(house.payment(payment_id).await.has_ended());
        assert_eq!((house.kept(), house.stock(product).await), (0, (10, 0, 0)), "{token}");
        house.close().await;
    }
}

#[tokio::test]
async fn an_order_that_somebody_has_put_on_hold_besides_stays_on_hold() {
    use jangbu_commands::commands::{HoldOrder, ReleaseHold};
    let house = House::open();
    let (order_id, ..) = house.astray(ScanStatus::Lost).await;
    house.decide(ReleaseHold { order_id, reason: why() }).await.unwrap();
    house.decide(HoldOrder { order_id, reason: "fraud?".into() }).await.unwrap();
    assert_eq!(house.refused(house.send_again(order_id, false)).await, RefusalCode::OrderStateConflict);
    house.decide(accept(order_id)).await.unwrap();
    house.until(order_id, OrderStatus::Delivered).await;
    assert_eq!(house.order(order_id).await.hold(), Some(&"fraud?".into()));
    house.close().await;
}
