//! The process manager from the placed order to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use jangbu_aggregates::order::{Order, OrderStatus};
use jangbu_aggregates::payment::Payment;
use jangbu_aggregates::processes::{
    CommandIssued, Fulfilment, FulfilmentEvent, FulfilmentOutcome, InputName, InputReceived, ProcessCommand,
    ProcessFact, Step,
};
use jangbu_aggregates::shipment::Shipment;
use jangbu_aggregates::stock::Stock;
use jangbu_commands::commands::{CancelOrder, ConfirmPayment, DispatchShipment, PlaceOrder, RecordScan};
use jangbu_commands::process::{ProcessDeps, ProcessManager, ProcessManagerHandle, ProcessOptions, ProcessTasks};
use jangbu_commands::{CancelledBy, Carriers, Commands, Gateways, Scan, Worker, load_state};
use jangbu_kernel::log::{Append, AppendResult, StreamWrite};
use jangbu_kernel::ports::Checkpoints;
use jangbu_kernel::{CommandId, EventId, NewEvent, OrderId, PaymentId, Position, ProductId, StreamId, UserId, Version};
use jangbu_store::{MemoryStore, Store};
use tokio::time::Instant;

use crate::faulty::{Fault, FaultyLog};
use crate::outside::{Booked, LogTimers, ScriptedCarrier, ScriptedGateway};
use crate::support::{PATIENCE, Shop, eventually, lease};

const PRICE: i64 = 53_000;

/// Options with pauses that are short enough for a test.
fn quick() -> ProcessOptions {
    ProcessOptions {
        timer_poll: Duration::from_millis(2),
        expire_points_every: Duration::from_millis(20),
        checkpoint_every: Duration::ZERO,
        look_at_parked: Duration::from_millis(5),
        retry_first: Duration::from_millis(1),
        retry_longest: Duration::from_millis(10),
        ..ProcessOptions::default()
    }
}

/// A running shop with its outside world.
pub struct House {
    pub shop: Shop,
    pub store: Arc<dyn Store>,
    pub log: Arc<FaultyLog>,
    pub gateway: Arc<ScriptedGateway>,
    carrier: Arc<ScriptedCarrier>,
    pub commands: Commands,
    decider: Worker,
    pub process: ProcessManagerHandle,
    tasks: ProcessTasks,
}

impl House {
    pub fn open() -> Self {
        Self::open_as(Shop::new())
    }

    pub fn open_as(shop: Shop) -> Self {
        Self::open_on(shop, Arc::new(MemoryStore::new()))
    }

    /// A shop on a store of any engine.
    pub fn open_on(shop: Shop, store: Arc<dyn Store>) -> Self {
        let (gateway, carrier) = (Arc::new(ScriptedGateway::default()), Arc::new(ScriptedCarrier::default()));
        let log = FaultyLog::counting(store.clone());
        Self::on(shop, 1, log, store.clone(), store, gateway, carrier)
    }

    /// Two nodes on one log, with the same outside world.
    pub fn two_nodes() -> (Self, Self) {
        let shop = Shop::new();
        let (gateway, carrier) = (Arc::new(ScriptedGateway::default()), Arc::new(ScriptedCarrier::default()));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let node = |number| {
            let log = FaultyLog::shared(store.clone());
            let (store, gateway, carrier) = (store.clone(), gateway.clone(), carrier.clone());
            Self::on(shop.clone(), number, log, store.clone(), store, gateway, carrier)
        };
        (node(1), node(2))
    }

    fn on(
        shop: Shop,
        node: u128,
        log: Arc<FaultyLog>,
        store: Arc<dyn Store>,
        checkpoints: Arc<dyn Checkpoints>,
        gateway: Arc<ScriptedGateway>,
        carrier: Arc<ScriptedCarrier>,
    ) -> Self {
        let (commands, decider) = shop.decider(log.clone());
        let (process, tasks) = ProcessManager::spawn(ProcessDeps {
            commands: commands.clone(),
            checkpoints,
            parked: store.clone(),
            lease: lease(store.clone(), node),
            timers: Arc::new(LogTimers(store.clone())),
            world: shop.world.clone(),
            gateways: Arc::new(Gateways::new(gateway.clone())),
            carriers: Arc::new(Carriers::new(carrier.clone())),
            options: quick(),
        });
        Self { shop, store, log, gateway, carrier, commands, decider, process, tasks }
    }

    /// The same shop with a process manager that may do no more than this at once.
    pub async fn narrowed(self, window: usize, outside_calls: usize) -> Self {
        self.with_options(|options| {
            options.window = window;
            options.outside_calls = outside_calls;
        })
        .await
    }

    /// The same shop with a process manager that has other gateways.
    pub async fn with_gateways(self, gateways: Gateways) -> Self {
        self.with_another_process(gateways, quick()).await
    }

    /// The same shop with a process manager that has other options.
    pub async fn with_options(self, change: impl FnOnce(&mut ProcessOptions)) -> Self {
        let mut options = quick();
        change(&mut options);
        let gateways = Gateways::new(self.gateway.clone());
        self.with_another_process(gateways, options).await
    }

    async fn with_another_process(mut self, gateways: Gateways, options: ProcessOptions) -> Self {
        self.tasks.abort().await;
        (self.process, self.tasks) = ProcessManager::spawn(ProcessDeps {
            commands: self.commands.clone(),
            checkpoints: self.store.clone(),
            parked: self.store.clone(),
            lease: lease(self.store.clone(), 1),
            timers: Arc::new(LogTimers(self.store.clone())),
            world: self.shop.world.clone(),
            gateways: Arc::new(gateways),
            carriers: Arc::new(Carriers::new(self.carrier.clone())),
            options,
        });
        self
    }

    /// Ends the shop as a crash would, and starts it again on the same store.
    pub async fn crash(self, keeps_checkpoints: bool) -> Self {
        let log = FaultyLog::counting(self.store.clone());
        self.crash_onto(log, keeps_checkpoints).await
    }

    /// The same, with another handle to the log from then on.
    pub async fn crash_onto(self, log: Arc<FaultyLog>, keeps_checkpoints: bool) -> Self {
        self.tasks.abort().await;
        drop(self.process);
        self.decider.abort().await;
        let checkpoints: Arc<dyn Checkpoints> =
            if keeps_checkpoints { self.store.clone() } else { Arc::new(MemoryStore::new()) };
        Self::on(self.shop, 1, log, self.store, checkpoints, self.gateway, self.carrier)
    }

    /// Waits until no command is running.
    pub async fn at_peace(&self) {
        eventually("everything is carried out", || async {
            let head = self.store.head().await.unwrap();
            let progress = self.process.progress();
            progress.dispatched >= head && progress.under_way == 0
        })
        .await;
    }

    pub async fn close(self) {
        self.tasks.stop(PATIENCE).await;
        self.decider.stop().await;
    }

    pub async fn stocked(&self) -> (UserId, ProductId) {
        let user = self.shop.user(&self.commands).await;
        (user, self.shop.product(&self.commands, PRICE, 10).await)
    }

    pub async fn place(&self, token: &str) -> (OrderId, PaymentId, ProductId) {
        let (user, product) = self.stocked().await;
        let order = self.shop.paid_order(user, product, PRICE, token);
        let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
        self.settle(order).await;
        (order_id, payment_id, product)
    }

    pub async fn settle(&self, order: PlaceOrder) {
        let order_id = order.order_id;
        self.shop.run(&self.commands, order).await.unwrap();
        assert!(self.process.wait_settled(order_id, Instant::now() + PATIENCE).await, "{}", self.step(order_id).await);
    }

    pub async fn order(&self, order_id: OrderId) -> Order {
        load_state::<Order>(self.store.as_ref(), order_id).await.unwrap().0
    }

    pub async fn payment(&self, payment_id: PaymentId) -> Payment {
        load_state::<Payment>(self.store.as_ref(), payment_id).await.unwrap().0
    }

    pub async fn outcome(&self, order_id: OrderId) -> Option<FulfilmentOutcome> {
        load_state::<Fulfilment>(self.store.as_ref(), order_id).await.unwrap().0.outcome()
    }

    pub async fn store_head(&self) -> Position {
        self.store.head().await.unwrap()
    }

    pub async fn stock(&self, product: ProductId) -> (i64, i64, i64) {
        let (stock, _) = load_state::<Stock>(self.store.as_ref(), product).await.unwrap();
        (stock.on_hand(), stock.reserved(), stock.allocated())
    }

    pub async fn step(&self, order_id: OrderId) -> String {
        let (fulfilment, _) = load_state::<Fulfilment>(self.store.as_ref(), order_id).await.unwrap();
        let open: Vec<_> = fulfilment.open_commands().collect();
        format!("{:?} {:?} open {open:?}", fulfilment.step(), fulfilment.parked_reason())
    }

    /// Waits until the process is in a step, whose timers count from then on.
    pub async fn until_step(&self, order_id: OrderId, step: Step) {
        eventually(&format!("the process is in {step:?}"), || async {
            let (process, _) = load_state::<Fulfilment>(self.store.as_ref(), order_id).await.unwrap();
            process.step() == step
        })
        .await;
    }

    pub async fn until(&self, order_id: OrderId, status: OrderStatus) {
        eventually(&format!("the order is {status:?}"), || async {
            self.order(order_id).await.status() == Some(status)
        })
        .await;
    }
}

#[tokio::test]
async fn an_order_is_paid_shipped_delivered_and_completed() {
    let house = House::open();
    let (order_id, payment_id, product) = house.place("ok").await;
    let order = house.order(order_id).await;
    assert_eq!(order.status(), Some(OrderStatus::Preparing), "{}", house.step(order_id).await);
    assert!(house.payment(payment_id).await.is_captured());
    assert_eq!(house.stock(product).await, (10, 0, 1));
    let shipment_id = order.shipment_id().unwrap();
    let (shipment, _) = load_state::<Shipment>(house.store.as_ref(), shipment_id).await.unwrap();
    assert_eq!(shipment.carrier(), Some("sandbox"));

    let dispatch = DispatchShipment { shipment_id, carrier: None, tracking_number: None };
    house.shop.run(&house.commands, dispatch).await.unwrap();
    assert_eq!(house.stock(product).await, (9, 0, 0));
    let scan = Scan {
        carrier: "sandbox".to_owned(),
        tracking_number: shipment.tracking_number().unwrap().to_owned(),
        status: jangbu_commands::ScanStatus::Delivered,
        code: "D".to_owned(),
        place: "door".to_owned(),
        at: house.shop.world.clock.now(),
        note: None,
    };
    house.shop.run(&house.commands, RecordScan { shipment_id, scan }).await.unwrap();
    house.until_step(order_id, Step::AwaitingCompletion).await;
    assert_eq!(house.order(order_id).await.status(), Some(OrderStatus::Delivered));
    house.shop.clock.advance(TimeDelta::days(8));
    house.until(order_id, OrderStatus::Completed).await;
    assert_eq!((house.gateway.count("charge"), house.gateway.charged()), (1, 1));
    house.close().await;
}

#[tokio::test]
async fn a_declined_payment_leaves_the_order_open_until_its_deadline() {
    let house = House::open();
    let (order_id, payment_id, product) = house.place("declined").await;
    assert_eq!(house.order(order_id).await.status(), Some(OrderStatus::AwaitingPayment));
    assert!(!house.payment(payment_id).await.is_captured());
    assert_eq!(house.stock(product).await, (10, 1, 0));
    house.shop.clock.advance(TimeDelta::minutes(16));
    house.until(order_id, OrderStatus::Expired).await;
    assert_eq!(house.stock(product).await, (10, 0, 0));
    assert_eq!(house.gateway.charged(), 0);
    house.close().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_after_and_the_money_is_taken_once() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "lost");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the outcome is unknown", || async { house.payment(payment_id).await.is_unknown() }).await;
    assert_eq!(house.stock(product).await, (10, 1, 0), "nothing is released while nobody knows");
    house.until_step(order_id, Step::Inquiring).await;
    house.shop.clock.advance(TimeDelta::seconds(2));
    house.until(order_id, OrderStatus::Preparing).await;
    assert_eq!((house.gateway.count("charge"), house.gateway.charged()), (1, 1));
    assert!(house.gateway.count("inquire") >= 1);
    house.close().await;
}

#[tokio::test]
async fn a_charge_the_gateway_never_heard_of_is_voided_and_fails() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "never");
    let payment_id = order.payment.as_ref().unwrap().payment_id;
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the payment has failed", || async {
        house.shop.clock.advance(TimeDelta::seconds(1));
        house.payment(payment_id).await.has_ended()
    })
    .await;
    assert_eq!(house.gateway.charged(), 0);
    assert!(house.gateway.books.lock().unwrap().values().all(|booked| *booked == Booked::Voided));
    house.close().await;
}

#[tokio::test]
async fn a_challenge_is_confirmed() {
    let house = House::open();
    let (order_id, payment_id, _) = house.place("challenge").await;
    assert_eq!(house.payment(payment_id).await.status_name(), "requires_action");
    house.shop.run(&house.commands, ConfirmPayment { payment_id }).await.unwrap();
    assert!(house.process.wait_settled(order_id, Instant::now() + PATIENCE).await);
    assert_eq!(house.order(order_id).await.status(), Some(OrderStatus::Preparing));
    assert_eq!((house.gateway.count("confirm"), house.gateway.charged()), (1, 1));
    house.close().await;
}

#[tokio::test]
async fn a_cancelled_order_gets_its_money_back_and_its_label_called_off() {
    let house = House::open();
    let (order_id, payment_id, product) = house.place("ok").await;
    let cancel = CancelOrder { order_id, by: CancelledBy::Owner, reason: None };
    house.shop.run(&house.commands, cancel).await.unwrap();
    assert!(house.process.wait_settled(order_id, Instant::now() + PATIENCE).await, "{}", house.step(order_id).await);
    assert_eq!(house.order(order_id).await.status(), Some(OrderStatus::Cancelled), "{}", house.step(order_id).await);
    assert_eq!(house.payment(payment_id).await.status_name(), "refunded");
    assert_eq!(house.stock(product).await, (10, 0, 0));
    assert_eq!(house.gateway.refunds.lock().unwrap().len(), 1);
    assert!(house.carrier.labels.lock().unwrap().is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_carrier_that_refuses_for_good_fails_the_order_and_the_money_goes_back() {
    let house = House::open();
    *house.carrier.refuse.lock().unwrap() = 100;
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "ok");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the order has failed", || async {
        house.shop.clock.advance(TimeDelta::seconds(1));
        house.order(order_id).await.status() == Some(OrderStatus::Failed)
    })
    .await;
    assert_eq!(house.payment(payment_id).await.status_name(), "refunded");
    assert_eq!(house.stock(product).await, (10, 0, 0));
    house.close().await;
}

#[tokio::test]
async fn a_card_of_somebody_whose_key_is_gone_is_never_charged() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    house.shop.vault.destroyed.lock().unwrap().insert(user);
    let order = house.shop.paid_order(user, product, PRICE, "ok");
    let payment_id = order.payment.as_ref().unwrap().payment_id;
    house.settle(order).await;
    assert_eq!(house.payment(payment_id).await.status_name(), "failed");
    assert_eq!(house.gateway.count("charge"), 0);
    house.close().await;
}

#[tokio::test]
async fn asking_now_records_what_the_gateway_says() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "lost");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the outcome is unknown", || async { house.payment(payment_id).await.is_unknown() }).await;
    let owner = |user| jangbu_commands::Caller {
        actor: jangbu_kernel::Actor::User(user),
        scope: jangbu_commands::Scope::Own(user),
    };
    let correlation = jangbu_kernel::CorrelationId::new(house.shop.id());
    let stranger = house.shop.user(&house.commands).await;
    assert!(house.process.sync_payment(payment_id, owner(stranger), correlation).await.is_err());
    assert_eq!(house.gateway.count("inquire"), 0);
    house.process.sync_payment(payment_id, owner(user), correlation).await.unwrap();
    assert!(house.payment(payment_id).await.is_captured());
    house.until(order_id, OrderStatus::Preparing).await;
    house.close().await;
}

/// Stops everything before each possible append, which includes the one between an outside call and
/// the record of its answer, and starts again, with the checkpoints kept or with none, so that
/// everything is carried out again.
async fn crash_before_every_append(token: &str, keeps_checkpoints: bool) {
    for appends in 0..40 {
        let mut house = House::open();
        let (user, product) = house.stocked().await;
        let order = house.shop.paid_order(user, product, PRICE, token);
        let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
        let limit = house.log.reached.load(Ordering::SeqCst) + 1 + appends;
        house.log.hold_after(1 + appends);
        house.shop.run(&house.commands, order).await.unwrap();
        eventually("the append is reached, or there is no more", || async {
            house.shop.clock.advance(TimeDelta::milliseconds(100));
            house.step(order_id).await.starts_with("Delivering") || house.log.reached.load(Ordering::SeqCst) > limit
        })
        .await;
        let finished_first = house.log.reached.load(Ordering::SeqCst) <= limit;
        house = house.crash(keeps_checkpoints).await;
        eventually("the order is being prepared", || async {
            house.shop.clock.advance(TimeDelta::milliseconds(100));
            house.step(order_id).await.starts_with("Delivering")
        })
        .await;
        house.at_peace().await;
        assert_eq!(house.gateway.charged(), 1, "crash before append {appends}");
        assert_eq!(house.carrier.labels.lock().unwrap().len(), 1);
        assert_eq!(house.stock(product).await, (10, 0, 1));
        let once = ["order.paid", "order.preparation_started", "payment.capture_requested", "payment.captured"];
        let mut events = house.commands.history(StreamId::order(order_id), None).await.unwrap();
        events.extend(house.commands.history(StreamId::payment(payment_id), None).await.unwrap());
        for event_type in once {
            let count = events.iter().filter(|event| event.event_type == event_type).count();
            assert_eq!(count, 1, "{event_type}, crash before append {appends}");
        }
        house.close().await;
        if finished_first {
            assert!(appends >= 2, "an order takes more appends than {appends}");
            return;
        }
    }
    panic!("an order takes no end of appends");
}

#[tokio::test]
async fn a_crash_before_any_append_loses_nothing_and_charges_once() {
    crash_before_every_append("ok", true).await;
}

#[tokio::test]
async fn a_crash_before_any_append_with_a_lost_answer_loses_nothing_and_charges_once() {
    crash_before_every_append("lost", true).await;
}

#[tokio::test]
async fn carrying_everything_out_again_changes_nothing() {
    crash_before_every_append("ok", false).await;
    crash_before_every_append("lost", false).await;
}

/// Keeps one order's command waiting at the gateway and goes on with others.
#[tokio::test]
async fn a_slow_gateway_holds_nobody_else_up_and_no_command_is_lost() {
    let mut house = House::open();
    let (user, product) = house.stocked().await;
    let slow = house.shop.paid_order(user, product, PRICE, "slow");
    let slow_id = slow.order_id;
    house.shop.run(&house.commands, slow).await.unwrap();
    eventually("the gateway is asked", || async { house.gateway.count("charge") == 1 }).await;
    let (quick_id, ..) = house.place("ok").await;
    assert_eq!(house.order(quick_id).await.status(), Some(OrderStatus::Preparing));
    // The checkpoint stays before the slow command, so it is carried out again after a crash.
    house = house.crash(true).await;
    house.gateway.slow.add_permits(10);
    house.until(slow_id, OrderStatus::Preparing).await;
    assert_eq!(house.gateway.charged(), 2);
    house.close().await;
}

#[tokio::test]
async fn the_slow_cards_of_one_buyer_keep_nobody_else_waiting() {
    const PLACES: usize = 8;
    let house = House::open().narrowed(PLACES, PLACES).await;
    let hoarder = house.shop.user(&house.commands).await;
    let product = house.shop.product(&house.commands, PRICE, 100).await;
    // More than there are places, and more than may run at once.
    for _ in 0..5 * PLACES {
        let order = house.shop.paid_order(hoarder, product, PRICE, "slow");
        house.shop.run(&house.commands, order).await.unwrap();
    }
    eventually("the gateway is asked", || async { house.gateway.count("charge") > 0 }).await;
    house.place("ok").await;
    assert_eq!((house.gateway.count("charge"), house.gateway.charged()), (2, 1), "one place is the hoarder's");
    house.gateway.slow.add_permits(5 * PLACES);
    house.at_peace().await;
    assert_eq!(house.gateway.charged(), 5 * PLACES + 1);
    house.close().await;
}

#[tokio::test]
async fn what_the_gateway_said_is_recorded_once_when_the_commits_answer_is_lost() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "slow");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the gateway is asked", || async { house.gateway.count("charge") == 1 }).await;
    // Everything from the answer on is written, but its confirmation is lost.
    house.log.fail_every(1, vec![Fault::AnswerLost; 2]);
    house.gateway.slow.add_permits(10);
    house.until(order_id, OrderStatus::Preparing).await;
    let events = house.commands.history(StreamId::payment(payment_id), None).await.unwrap();
    let ignored = events.iter().filter(|event| event.event_type == "payment.observation_ignored").count();
    assert_eq!(ignored, 0, "the repeat of the command found its receipt");
    house.close().await;
}

#[tokio::test]
async fn the_commands_of_one_order_never_overlap() {
    let house = House::open();
    let (user, product) = house.stocked().await;
    let order = house.shop.paid_order(user, product, PRICE, "slow");
    let (order_id, payment_id) = (order.order_id, order.payment.as_ref().unwrap().payment_id);
    house.shop.run(&house.commands, order).await.unwrap();
    eventually("the gateway is asked", || async { house.gateway.count("charge") == 1 }).await;
    // Two more commands of the order, issued by one event, while the first is at the gateway.
    let inquiry = |attempt| CommandIssued {
        command_id: CommandId::new(house.shop.id()),
        command: ProcessCommand::InquirePayment { payment_id, attempt },
    };
    let issued = FulfilmentEvent::InputReceived(InputReceived {
        input: InputName::Event { stream: StreamId::order(order_id), version: Version::FIRST },
        event_type: "order.placed".to_owned(),
        fact: ProcessFact::OrderPlaced,
        step: None,
        issued: vec![inquiry(1), inquiry(2)],
    });
    let stream = StreamId::fulfilment(order_id);
    let stored = house.commands.history(stream, None).await.unwrap();
    let event = NewEvent {
        event_id: EventId::new(house.shop.id()),
        event_type: issued.event_type(),
        schema_version: issued.schema_version(),
        payload: issued.payload_json(),
    };
    let last = stored.last().unwrap();
    let writes = vec![StreamWrite { stream, expected_version: last.version, events: vec![event], meta: None }];
    let append = Append { writes, meta: last.meta.clone(), receipt: None };
    assert!(matches!(house.store.append(vec![append]).await.unwrap()[..], [AppendResult::Appended { .. }]));
    eventually("both are taken", || async { house.process.progress().under_way == 3 }).await;
    assert_eq!(house.gateway.count("inquire"), 0, "the gateway is asked about a charge that is under way");
    house.gateway.slow.add_permits(1);
    house.until(order_id, OrderStatus::Preparing).await;
    house.at_peace().await;
    assert_eq!((house.gateway.count("charge"), house.gateway.charged()), (1, 1));
    house.close().await;
}

#[tokio::test]
async fn one_node_at_a_time_carries_orders_on() {
    let (one, two) = House::two_nodes();
    eventually("the first one works", || async { one.process.progress().active }).await;
    // A caller at the standby node is answered when the other node has done the work.
    let (order_id, ..) = two.place("ok").await;
    assert_eq!(two.order(order_id).await.status(), Some(OrderStatus::Preparing));
    assert!(!two.process.progress().active);
    assert_eq!(two.log.reached.load(Ordering::SeqCst), 4, "user, product, stock and order; nothing of the process");
    // It takes over when the other node no longer renews the lease.
    one.tasks.abort().await;
    let (order_id, ..) = two.place("ok").await;
    assert_eq!(two.order(order_id).await.status(), Some(OrderStatus::Preparing));
    assert!(two.process.progress().active);
    assert_eq!((two.gateway.count("charge"), two.gateway.charged()), (2, 2));
    one.decider.stop().await;
    two.close().await;
}

#[tokio::test]
async fn a_node_that_stops_hands_its_turn_over() {
    let (one, two) = House::two_nodes();
    eventually("the first one works", || async { one.process.progress().active }).await;
    one.close().await;
    eventually("the second one works", || async { two.process.progress().active }).await;
    two.place("ok").await;
    two.close().await;
}
