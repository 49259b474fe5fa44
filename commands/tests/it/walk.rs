//! The reactions of the processes to a decision are in its append: how many appends an order needs,
//! which calls need no reading, and how logs of earlier versions continue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use jangbu_aggregates::order::OrderStatus;
use jangbu_aggregates::payment::PaymentEvent;
use jangbu_aggregates::processes::Step;
use jangbu_commands::commands::ObservePayment;
use jangbu_commands::{DomainEvent, Policy, Source};
use jangbu_kernel::gateway::ChargeOutcome;
use jangbu_kernel::log::{Append, ReadFilter, StreamWrite};
use jangbu_kernel::{
    Actor, CommandId, EventId, Money, NewEvent, OrderId, PaymentId, Position, RecordedEvent, StreamId, Version,
};

use crate::engines::Engine;
use crate::process::House;
use crate::support::{Shop, eventually};

const PRICE: i64 = 53_000;

async fn log_of(house: &House) -> Vec<RecordedEvent> {
    house.store.read_all(Position::ZERO, 10_000, &ReadFilter::default()).await.unwrap().0
}

async fn types(house: &House, stream: StreamId) -> Vec<String> {
    let events = house.commands.history(stream, None).await.unwrap();
    events.into_iter().map(|event| event.event_type).collect()
}

/// Checks that the log was asked for no stream's events since the count began.
fn nothing_is_read(house: &House, before: usize) {
    let read: Vec<_> = house.log.loads.lock().unwrap().iter().filter(|(_, _, events)| *events > 0).copied().collect();
    assert_eq!(read, [], "all that is asked for was told with it");
    assert_eq!(house.log.events_read.load(Ordering::SeqCst), before, "all that is asked for was told with it");
}

/// Each append is sent to the log when the previous one is answered, so no two share a commit. On
/// Postgres the transactions in the rows are checked as well.
pub async fn a_paid_order_is_four_appends_and_three_commits_to_its_ready_parcel(engine: Engine) {
    let house = House::open_on(Shop::new(), engine.store.clone());
    let (user, product) = house.stocked().await;
    // Events from before the turn began would be read.
    house.at_peace().await;
    let (head, before) = (house.store_head().await, house.log.events_read.load(Ordering::SeqCst));
    house.log.batches.lock().unwrap().clear();
    house.log.loads.lock().unwrap().clear();
    let order = house.shop.paid_order(user, product, PRICE, "ok");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    house.until_step(order_id, Step::Delivering).await;
    assert_eq!(*house.log.batches.lock().unwrap(), [1, 1, 1], "placed, paid, labelled");
    if let Some(transactions) = engine.transactions_behind(head).await {
        assert_eq!(transactions, 3, "and each is a commit of its own");
    }
    // The gateway reports it once more, of its own accord.
    let reference = house.payment(payment_id).await.gateway_reference().unwrap().to_owned();
    let observation = ChargeOutcome::Captured { reference, amount: Money::krw(PRICE).unwrap() };
    let webhook = ObservePayment { payment_id, observation, source: Source::Webhook };
    house.shop.run(&house.commands, webhook).await.unwrap();
    assert_eq!(*house.log.batches.lock().unwrap(), [1, 1, 1, 1], "and the webhook, which is ignored");
    nothing_is_read(&house, before);
    house.close().await;
}

/// The dispatcher reads as many events as it has room for; it does not matter where its page ends.
#[tokio::test]
async fn nothing_is_read_wherever_a_page_ends_in_an_append() {
    for room in 1..=6 {
        let house = House::open().narrowed(room, 8).await;
        let (user, product) = house.stocked().await;
        house.at_peace().await;
        let before = house.log.events_read.load(Ordering::SeqCst);
        house.log.loads.lock().unwrap().clear();
        let order = house.shop.paid_order(user, product, PRICE, "ok");
        let order_id = order.order_id;
        house.shop.run(&house.commands, order).await.unwrap();
        house.until_step(order_id, Step::Delivering).await;
        nothing_is_read(&house, before);
        assert_eq!(house.gateway.count("charge"), 1);
        house.close().await;
    }
}

#[tokio::test]
async fn every_event_says_who_made_it_and_why() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "ok");
    let mut request = house.shop.request(order);
    request.caller.actor = Actor::User(user);
    let (command_id, correlation_id) = (request.command_id, request.correlation_id);
    let answer = house.commands.execute(request).await.unwrap();
    assert_eq!(answer.version, Version::new(2), "of the order: placed, and its payment opened");
    let own = |event: &&Arc<RecordedEvent>| event.meta.actor == Actor::User(user);
    assert!(answer.events.iter().filter(own).all(|event| event.meta.command_id == command_id));
    let mut then = answer.events.iter().filter(|event| !own(event)).peekable();
    assert!(then.peek().is_some());
    for event in then {
        assert_eq!(event.meta.actor, Actor::System("process-manager"), "{}", event.event_type);
        assert_ne!(event.meta.command_id, command_id);
        assert_eq!(event.meta.correlation_id, correlation_id);
        let cause = answer.events.iter().find(|cause| cause.event_id.uuid() == event.meta.causation_id);
        assert!(cause.expect("it is of the append").position < event.position, "the cause comes first");
    }
    house.close().await;
}

/// A wait beyond the end of time: a plan that contains it panics.
fn breaking() -> Policy {
    Policy {
        max_open_unpaid_orders: None,
        max_unpaid_units: None,
        inquiry_ladder: vec![TimeDelta::MAX],
        ..Policy::default()
    }
}

#[tokio::test]
async fn a_plan_that_breaks_off_stops_its_own_order_until_it_is_mended() {
    let house = House::open_as(Shop::with(breaking()));
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "lost");
    let (bad, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.settle(order).await;
    assert!(house.payment(payment_id).await.is_unknown(), "what was observed stands");
    assert_eq!(types(&house, StreamId::fulfilment(bad)).await.last().unwrap(), "fulfilment.inputs_set_aside");
    assert_eq!(house.store.parked(None, 10).await.unwrap().len(), 1);
    let (good, ..) = house.place("ok").await;
    assert_eq!(house.order(good).await.status(), Some(OrderStatus::Preparing));

    let mut house = house;
    house.shop.policy = Shop::new().policy;
    let house = house.crash(true).await;
    eventually("it goes on", || async {
        house.shop.clock.advance(TimeDelta::seconds(1));
        house.order(bad).await.status() == Some(OrderStatus::Preparing)
    })
    .await;
    eventually("nothing is parked", || async { house.store.parked(None, 10).await.unwrap().is_empty() }).await;
    assert_eq!(house.gateway.charged(), 2);
    house.close().await;
}

/// Writes as an earlier version did, without the consequences in the append.
async fn append(
    house: &House,
    stream: StreamId,
    event: DomainEvent,
    as_stored: Option<(u16, String)>,
) -> RecordedEvent {
    let expected_version = house.store.versions(vec![stream]).await.unwrap()[0];
    let (schema_version, payload) = as_stored.unwrap_or_else(|| (event.schema_version(), event.payload_json()));
    let event_id = EventId::new(house.shop.id());
    let new = NewEvent { event_id, event_type: event.event_type(), schema_version, payload };
    let mut meta = log_of(house).await.last().unwrap().meta.clone();
    meta.command_id = CommandId::new(house.shop.id());
    let write = StreamWrite { stream, expected_version, events: vec![new], meta: None };
    house.store.append(vec![Append { writes: vec![write], meta, receipt: None }]).await.unwrap();
    log_of(house).await.pop().unwrap()
}

/// A log of an earlier version: an order whose payment the process has not seen.
async fn older_log(house: &House) -> (OrderId, PaymentId, RecordedEvent) {
    let (user, product) = house.stocked().await;
    let order = house.shop.order(user, &[(product, 1)]);
    let order_id = order.order_id;
    house.shop.run(&house.commands, order).await.unwrap();
    let wanted = house.shop.card(user, PRICE, "ok");
    let payment_id = wanted.payment_id;
    let opened = jangbu_aggregates::order::OrderPaymentOpened { payment_id };
    append(house, StreamId::order(order_id), jangbu_aggregates::order::OrderEvent::from(opened).into(), None).await;
    let (total, legs) = (Money::krw(PRICE).unwrap(), wanted.legs);
    let requested = jangbu_aggregates::payment::PaymentRequested { order_id, user_id: user, total, legs };
    let requested = PaymentEvent::from(requested).into();
    let recorded = append(house, StreamId::payment(payment_id), requested, None).await;
    (order_id, payment_id, recorded)
}

#[tokio::test]
async fn an_older_log_is_caught_up_once_at_the_first_start() {
    let house = House::open();
    let (order_id, payment_id, _) = older_log(&house).await;
    // It has none of its checkpoints, as at the first start of this version.
    let house = house.crash(false).await;
    house.until(order_id, OrderStatus::Preparing).await;
    house.until_step(order_id, Step::Delivering).await;
    let events = types(&house, StreamId::payment(payment_id)).await;
    assert_eq!(events, ["payment.requested", "payment.capture_requested", "payment.captured"]);
    let head = house.store.head().await.unwrap();
    let house = house.crash(false).await;
    let (other, ..) = house.place("ok").await;
    assert_eq!(house.order(other).await.status(), Some(OrderStatus::Preparing));
    let process = types(&house, StreamId::fulfilment(order_id)).await;
    assert!(
        log_of(&house).await.iter().skip(head.get() as usize).all(|event| event.stream != StreamId::order(order_id))
    );
    assert_eq!(process.iter().filter(|event| *event == "fulfilment.input_received").count(), 5, "{process:?}");
    assert_eq!(house.gateway.charged(), 2);
    house.close().await;
}

#[tokio::test]
async fn what_an_earlier_version_has_asked_for_is_carried_out() {
    let house = House::open();
    let (order_id, payment_id, requested) = older_log(&house).await;
    // The process had taken it in and issued its command, which has not been decided.
    let stream = StreamId::fulfilment(order_id);
    let payload = serde_json::json!({
        "position": requested.position,
        "event_id": requested.event_id,
        "event_type": "payment.requested",
        "fact": { "payment": { "payment_id": payment_id, "news": "requested" } },
        "step": "capturing",
        "issued": [{ "command_id": house.shop.id(), "command": { "capture_payment": { "payment_id": payment_id } } }],
    });
    let event = DomainEvent::decode(stream, "fulfilment.input_received", 1, &payload.to_string()).unwrap();
    append(&house, stream, event, Some((1, payload.to_string()))).await;
    let house = house.crash(false).await;
    house.until(order_id, OrderStatus::Preparing).await;
    assert_eq!((house.gateway.count("charge"), house.gateway.charged()), (1, 1));
    let process = types(&house, stream).await;
    let asked = process.iter().take_while(|event| *event != "fulfilment.timer_set").count();
    assert!(asked >= 2, "{process:?}");
    house.close().await;
}

/// The buyer's node and the node that processes orders are different; the webhook comes to the
/// first one while the other still waits for its answer.
#[tokio::test]
async fn an_answer_at_one_node_and_its_webhook_at_another_are_one_payment() {
    let (one, two) = House::two_nodes();
    eventually("the first one works", || async { one.process.progress().active }).await;
    let (user, product) = two.stocked().await;
    let order = two.shop.paid_order(user, product, PRICE, "slow");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    two.shop.run(&two.commands, order).await.unwrap();
    eventually("the gateway is asked", || async { one.gateway.count("charge") == 1 }).await;
    let key = two.commands.history(StreamId::payment(payment_id), None).await.unwrap()[1].event_id;
    let reference = format!("charge-{key}");
    let observation = ChargeOutcome::Captured { reference, amount: Money::krw(PRICE).unwrap() };
    let webhook = ObservePayment { payment_id, observation, source: Source::Webhook };
    two.shop.run(&two.commands, webhook).await.unwrap();
    assert_eq!(two.order(order_id).await.status(), Some(OrderStatus::Preparing), "with the webhook's own append");
    one.gateway.slow.add_permits(1);
    one.until_step(order_id, Step::Delivering).await;
    eventually("the answer is recorded", || async {
        types(&two, StreamId::payment(payment_id)).await.last().unwrap() == "payment.observation_ignored"
    })
    .await;
    assert_eq!(one.gateway.charged(), 1);
    one.close().await;
    two.close().await;
}
