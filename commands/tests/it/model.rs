//! Any sequence of commands, through the real decider, compared with a model that knows nothing of
//! events: plain numbers for stock and points, and a phase for each order.
//!
//! The model predicts before each command whether it is accepted, and all numbers after it. All
//! commands have keys, so that any of them can be repeated: the repeat is answered and changes
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;

use jangbu_aggregates::order::{Order, OrderStatus};
use jangbu_aggregates::payment::Payment;
use jangbu_aggregates::points::Points;
use jangbu_aggregates::stock::Stock;
use jangbu_commands::commands::{
    AdjustStock, CancelOrder, CancelShipment, CompleteOrder, ConfirmOrder, DispatchShipment, GrantPoints,
    MarkDelivered, ObservePayment, ObserveRefund, ReceiveStock, RequestCapture, RequestPayment, RequestShipment,
};
use jangbu_commands::{
    AnyCommand, CARD, CancelledBy, CommandError, Commands, DeciderOptions, GrantReference, Leg, POINTS, Request,
    Source, WantedPayment, load_state, sealing,
};
use jangbu_kernel::gateway::{ChargeOutcome, RefundOutcome};
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::ports::Vault as _;
use jangbu_kernel::{Money, OrderId, PaymentId, Position, ProductId, ShipmentId, UserId, Version};
use jangbu_store::sqlite::Options as SqliteOptions;
use jangbu_store::{MemoryStore, SqliteStore, Store as _};
use proptest::prelude::*;

use crate::support::Shop;

const PRICES: [i64; 3] = [1_000, 2_500, 40_000];
const BUYERS: usize = 2;

/// An action. Orders are picked by number, modulo how many there are by then.
#[derive(Clone, Debug)]
enum Step {
    Receive {
        product: usize,
        quantity: u32,
    },
    Adjust {
        product: usize,
        delta: i64,
    },
    Grant {
        buyer: usize,
        units: i64,
    },
    /// `points` is the percentage of the total that is paid in points; none if it is paid later.
    Place {
        buyer: usize,
        lines: Vec<(usize, u32)>,
        points: Option<i64>,
    },
    Pay {
        order: usize,
        points: i64,
    },
    Capture {
        order: usize,
    },
    Decline {
        order: usize,
    },
    Confirm {
        order: usize,
    },
    Cancel {
        order: usize,
    },
    GiveBack {
        order: usize,
    },
    Ship {
        order: usize,
    },
    Deliver {
        order: usize,
    },
    Complete {
        order: usize,
    },
    /// The request that was sent this many steps ago is repeated.
    Repeat {
        back: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (product, buyer, order) = (0..PRICES.len(), 0..BUYERS, 0_usize..6);
    let lines = prop::collection::vec((0..PRICES.len(), 1_u32..6), 1..4);
    let points = prop_oneof![Just(0), 1_i64..60];
    prop_oneof![
        2 => (product.clone(), 1_u32..12).prop_map(|(product, quantity)| Step::Receive { product, quantity }),
        1 => (product, -8_i64..6).prop_map(|(product, delta)| Step::Adjust { product, delta }),
        2 => (buyer.clone(), 1_i64..30_000).prop_map(|(buyer, units)| Step::Grant { buyer, units }),
        6 => (buyer, lines, prop::option::of(points.clone()))
            .prop_map(|(buyer, lines, points)| Step::Place { buyer, lines, points }),
        3 => (order.clone(), points).prop_map(|(order, points)| Step::Pay { order, points }),
        5 => order.clone().prop_map(|order| Step::Capture { order }),
        1 => order.clone().prop_map(|order| Step::Decline { order }),
        5 => order.clone().prop_map(|order| Step::Confirm { order }),
        2 => order.clone().prop_map(|order| Step::Cancel { order }),
        2 => order.clone().prop_map(|order| Step::GiveBack { order }),
        3 => order.clone().prop_map(|order| Step::Ship { order }),
        2 => order.clone().prop_map(|order| Step::Deliver { order }),
        1 => order.prop_map(|order| Step::Complete { order }),
        3 => (1_usize..20).prop_map(|back| Step::Repeat { back }),
    ]
}

/// The phase of an order, as far as the model needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Unpaid,
    /// A payment is open, and the gateway is asked for the money.
    Opened,
    /// The money has been captured, the goods are allocated and a parcel is opened, all in one
    /// append.
    Paid,
    /// Cancelled while the gateway is asked for the money.
    Withdrawn,
    /// Cancelled after the money was captured.
    Cancelling,
    Cancelled,
    Shipped,
    Delivered,
    Completed,
}

#[derive(Clone, Debug)]
struct ModelOrder {
    id: OrderId,
    buyer: usize,
    lines: Vec<(usize, u32)>,
    total: i64,
    phase: Phase,
    payment: Option<PaymentId>,
    /// The points in the open or captured payment.
    points: i64,
    /// Whether its goods are allocated and its points spent, which means that it was paid.
    allocated: bool,
    /// The id of a parcel that does not belong to the order.
    shipment: ShipmentId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ModelStock {
    on_hand: i64,
    reserved: i64,
    allocated: i64,
}

impl ModelStock {
    const fn available(self) -> i64 {
        self.on_hand - self.reserved - self.allocated
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ModelPoints {
    balance: i64,
    held: i64,
}

/// The expected shop, in plain numbers.
#[derive(Default)]
struct Model {
    stock: [ModelStock; PRICES.len()],
    points: [ModelPoints; BUYERS],
    orders: Vec<ModelOrder>,
    /// Money at the gateway: what was captured by card and not refunded.
    cards: i64,
}

impl Model {
    fn order(&mut self, number: usize) -> Option<&mut ModelOrder> {
        let count = self.orders.len();
        if count == 0 { None } else { self.orders.get_mut(number % count) }
    }

    fn move_stock(&mut self, lines: &[(usize, u32)], change: impl Fn(&mut ModelStock, i64)) {
        for (product, quantity) in lines {
            change(&mut self.stock[*product], i64::from(*quantity));
        }
    }
}

/// The shop under test with its model.
struct Run {
    shop: Shop,
    commands: Commands,
    log: Arc<dyn EventLog>,
    products: Vec<ProductId>,
    buyers: Vec<UserId>,
    model: Model,
    /// The sent requests, each with whether it wrote something: for repeats.
    sent: Vec<(Request, bool)>,
}

impl Run {
    async fn new(shop: Shop, commands: Commands, log: Arc<dyn EventLog>) -> Self {
        let mut products = Vec::new();
        let mut model = Model::default();
        for (number, price) in PRICES.into_iter().enumerate() {
            products.push(shop.product(&commands, price, 10).await);
            model.stock[number].on_hand = 10;
        }
        let mut buyers = Vec::new();
        for _ in 0..BUYERS {
            buyers.push(shop.user(&commands).await);
        }
        Self { shop, commands, log, products, buyers, model, sent: Vec::new() }
    }

    /// Sends a command, and checks that it is accepted or refused as predicted.
    async fn send(&mut self, command: impl Into<AnyCommand>, is_taken: bool) {
        let key = format!("step-{}", self.sent.len());
        let request = self.shop.keyed(command, &key, 1);
        let head = self.log.head().await.unwrap();
        let result = self.commands.execute(request.clone()).await;
        let refused = matches!(&result, Err(CommandError::Refused(_)));
        assert!(result.is_ok() || refused, "a failure: {result:?}");
        assert_eq!(result.is_ok(), is_taken, "{:?} gave {result:?}", request.command);
        let wrote = self.log.head().await.unwrap() > head;
        assert!(is_taken || !wrote, "a refusal wrote something: {:?}", request.command);
        self.sent.push((request, wrote));
    }

    /// Repeats a request: the answer is the same and nothing happens. A request that was refused,
    /// or had nothing to do, leaves no receipt and its key unused, so it is not repeated.
    async fn repeat(&self, back: usize) {
        let Some((request, true)) = self.sent.len().checked_sub(back).and_then(|at| self.sent.get(at)) else { return };
        let head = self.log.head().await.unwrap();
        let answer = self.commands.execute(request.clone()).await.unwrap();
        assert!(answer.replayed, "{:?}", request.command);
        assert_eq!(self.log.head().await.unwrap(), head, "a repeat wrote something");
    }

    async fn legs(&self, buyer: usize, total: i64, points: i64) -> WantedPayment {
        let user_id = self.buyers[buyer];
        let payment_id = PaymentId::new(self.shop.id());
        let details = r#"{"card_token":"tok_ok"}"#;
        let card = self.shop.vault.seal(user_id, sealing::instrument(payment_id), details).await.unwrap();
        let leg = |method, units, instrument| Leg { method, amount: Money::krw(units).unwrap(), instrument };
        let mut legs = vec![leg(CARD, total - points, Some(card.into()))];
        if points > 0 {
            legs.push(leg(POINTS, points, None));
        }
        WantedPayment { payment_id, legs }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Receive { product, quantity } => {
                self.send(
                    ReceiveStock { product_id: self.products[*product], quantity: *quantity, location: None },
                    true,
                )
                .await;
                self.model.stock[*product].on_hand += i64::from(*quantity);
            }
            Step::Adjust { product, delta } => {
                let is_taken = *delta != 0 && self.model.stock[*product].available() + delta >= 0;
                let (product_id, reason) = (self.products[*product], "counted".to_owned());
                self.send(AdjustStock { product_id, delta: *delta, reason, location: None }, is_taken).await;
                self.model.stock[*product].on_hand += if is_taken { *delta } else { 0 };
            }
            Step::Grant { buyer, units } => {
                let (user_id, amount) = (self.buyers[*buyer], Money::krw(*units).unwrap());
                let reference = format!("grant-{}", self.sent.len());
                self.send(
                    GrantPoints { user_id, amount, reference: GrantReference::code(reference), expires_at: None },
                    true,
                )
                .await;
                self.model.points[*buyer].balance += units;
            }
            Step::Place { buyer, lines, points } => self.place(*buyer, lines, *points).await,
            Step::Pay { order, points } => self.pay(*order, *points).await,
            Step::Capture { order } => self.capture(*order).await,
            Step::Decline { order } => self.decline(*order).await,
            Step::Confirm { order } => self.confirm(*order).await,
            Step::Cancel { order } => self.cancel(*order).await,
            Step::GiveBack { order } => self.give_back(*order).await,
            Step::Ship { order } => self.ship(*order).await,
            Step::Deliver { order } => self.deliver(*order).await,
            Step::Complete { order } => self.complete(*order).await,
            Step::Repeat { back } => self.repeat(*back).await,
        }
    }

    async fn place(&mut self, buyer: usize, lines: &[(usize, u32)], points: Option<i64>) {
        let mut merged: HashMap<usize, u32> = HashMap::new();
        for (product, quantity) in lines {
            *merged.entry(*product).or_default() += quantity;
        }
        let lines: Vec<_> = merged.into_iter().collect();
        let total: i64 = lines.iter().map(|(product, quantity)| PRICES[*product] * i64::from(*quantity)).sum();
        let share = points.map(|percent| total * percent / 100);
        let wanted: Vec<_> = lines.iter().map(|(product, quantity)| (self.products[*product], *quantity)).collect();
        let mut order = self.shop.order(self.buyers[buyer], &wanted);
        if let Some(points) = share {
            order.payment = Some(self.legs(buyer, total, points).await);
        }
        let ledger = self.model.points[buyer];
        let in_stock =
            lines.iter().all(|(product, quantity)| i64::from(*quantity) <= self.model.stock[*product].available());
        let is_taken = in_stock && share.unwrap_or(0) <= ledger.balance - ledger.held;
        let (id, payment) = (order.order_id, order.payment.as_ref().map(|payment| payment.payment_id));
        self.send(order, is_taken).await;
        if is_taken {
            self.model.move_stock(&lines, |stock, quantity| stock.reserved += quantity);
            self.model.points[buyer].held += share.unwrap_or(0);
            let phase = if payment.is_some() { Phase::Opened } else { Phase::Unpaid };
            let (points, shipment) = (share.unwrap_or(0), ShipmentId::new(self.shop.id()));
            self.model.orders.push(ModelOrder {
                id,
                buyer,
                lines,
                total,
                phase,
                payment,
                points,
                allocated: false,
                shipment,
            });
        }
    }

    async fn pay(&mut self, number: usize, percent: i64) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let points = order.total * percent / 100;
        let payment = self.legs(order.buyer, order.total, points).await;
        let ledger = self.model.points[order.buyer];
        let is_taken = order.phase == Phase::Unpaid && points <= ledger.balance - ledger.held;
        let payment_id = payment.payment_id;
        self.send(RequestPayment { order_id: order.id, payment }, is_taken).await;
        if let (true, Some(order)) = (is_taken, self.model.order(number)) {
            (order.phase, order.payment, order.points) = (Phase::Opened, Some(payment_id), points);
            self.model.points[ledger_of(&self.model, number)].held += points;
        }
    }

    /// The consequences of the captured money are decided with it: the order is paid, or the money
    /// of a cancelled order is being refunded.
    async fn capture(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let (Some(payment_id), Phase::Opened | Phase::Withdrawn) = (order.payment, order.phase) else { return };
        self.send(RequestCapture { payment_id }, true).await;
        let amount = Money::krw(order.total - order.points).unwrap();
        let observation = ChargeOutcome::Captured { reference: format!("ch-{payment_id}"), amount };
        self.send(ObservePayment { payment_id, observation, source: Source::Answer }, true).await;
        self.model.cards += order.total - order.points;
        let is_paid = order.phase == Phase::Opened;
        if is_paid {
            self.model.move_stock(&order.lines, |stock, quantity| {
                stock.reserved -= quantity;
                stock.allocated += quantity;
            });
            let ledger = &mut self.model.points[order.buyer];
            ledger.held -= order.points;
            ledger.balance -= order.points;
        }
        if let Some(order) = self.model.order(number) {
            order.phase = if is_paid { Phase::Paid } else { Phase::Cancelling };
            order.allocated = is_paid;
        }
    }

    async fn decline(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let (Some(payment_id), Phase::Opened | Phase::Withdrawn) = (order.payment, order.phase) else { return };
        self.send(RequestCapture { payment_id }, true).await;
        let observation = ChargeOutcome::Declined { code: "declined".to_owned() };
        self.send(ObservePayment { payment_id, observation, source: Source::Answer }, true).await;
        self.model.points[order.buyer].held -= order.points;
        let is_withdrawn = order.phase == Phase::Withdrawn;
        if is_withdrawn {
            self.model.move_stock(&order.lines, |stock, quantity| stock.reserved -= quantity);
        }
        if let Some(order) = self.model.order(number) {
            let next = if is_withdrawn { Phase::Cancelled } else { Phase::Unpaid };
            (order.phase, order.payment, order.points) = (next, None, 0);
        }
    }

    /// The process has already confirmed what can be confirmed: the command is accepted again, and
    /// nothing happens.
    async fn confirm(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let Some(payment_id) = order.payment.filter(|_| order.phase <= Phase::Paid) else { return };
        self.send(ConfirmOrder { order_id: order.id, payment_id }, order.phase == Phase::Paid).await;
    }

    async fn cancel(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let too_late = matches!(order.phase, Phase::Shipped | Phase::Delivered | Phase::Completed);
        let command = CancelOrder { order_id: order.id, by: CancelledBy::Owner, reason: None };
        self.send(command, !too_late).await;
        let next = match order.phase {
            Phase::Unpaid => Phase::Cancelled,
            Phase::Opened => Phase::Withdrawn,
            Phase::Paid => Phase::Cancelling,
            same => same,
        };
        if order.phase == Phase::Unpaid {
            self.model.move_stock(&order.lines, |stock, quantity| stock.reserved -= quantity);
        }
        if let Some(order) = self.model.order(number) {
            order.phase = next;
        }
    }

    /// The carrier and the gateway do what the process asks for: the refund is opened when the
    /// parcel is cancelled, and the order ends with the refund.
    async fn give_back(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let (Some(payment_id), Phase::Cancelling) = (order.payment, order.phase) else { return };
        if let Some(shipment_id) = self.parcel(&order).await {
            let reason = "order_cancelled".to_owned();
            self.send(CancelShipment { shipment_id, reason }, true).await;
        }
        let (payment, _) = load_state::<Payment>(&*self.log, payment_id).await.unwrap();
        let refund_id = payment.refunds().last().expect("the process has opened a refund").id;
        let observation = RefundOutcome::Settled { reference: format!("re-{refund_id}") };
        self.send(ObserveRefund { payment_id, refund_id, observation, source: Source::Answer }, true).await;
        self.model.cards -= order.total - order.points;
        let ledger = &mut self.model.points[order.buyer];
        if order.allocated {
            ledger.balance += order.points;
            self.model.move_stock(&order.lines, |stock, quantity| stock.allocated -= quantity);
        } else {
            ledger.held -= order.points;
            self.model.move_stock(&order.lines, |stock, quantity| stock.reserved -= quantity);
        }
        if let Some(order) = self.model.order(number) {
            order.phase = Phase::Cancelled;
        }
    }

    /// The parcel that the process has opened.
    async fn parcel(&self, order: &ModelOrder) -> Option<ShipmentId> {
        load_state::<Order>(&*self.log, order.id).await.unwrap().0.shipment_id()
    }

    async fn ship(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        let is_taken = order.phase == Phase::Paid;
        if order.phase > Phase::Cancelled {
            return;
        }
        let own = if is_taken { self.parcel(&order).await } else { None };
        let shipment_id = own.unwrap_or(order.shipment);
        self.send(RequestShipment { order_id: order.id, shipment_id }, is_taken).await;
        let (carrier, tracking_number) = (Some("sandbox".to_owned()), Some(format!("SB-{shipment_id}")));
        self.send(DispatchShipment { shipment_id, carrier, tracking_number }, is_taken).await;
        if is_taken {
            self.model.move_stock(&order.lines, |stock, quantity| {
                stock.allocated -= quantity;
                stock.on_hand -= quantity;
            });
            if let Some(order) = self.model.order(number) {
                order.phase = Phase::Shipped;
            }
        }
    }

    async fn deliver(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        self.send(MarkDelivered { order_id: order.id }, order.phase >= Phase::Shipped).await;
        if let Some(order) = self.model.order(number).filter(|order| order.phase == Phase::Shipped) {
            order.phase = Phase::Delivered;
        }
    }

    async fn complete(&mut self, number: usize) {
        let Some(order) = self.model.order(number).cloned() else { return };
        self.send(CompleteOrder { order_id: order.id }, order.phase >= Phase::Delivered).await;
        if let Some(order) = self.model.order(number).filter(|order| order.phase == Phase::Delivered) {
            order.phase = Phase::Completed;
        }
    }

    /// Checks that every number of the shop, folded from its log, is the model's.
    async fn check(&self) {
        let log = &*self.log;
        for (product, model) in self.products.iter().zip(&self.model.stock) {
            let (stock, _) = load_state::<Stock>(log, *product).await.unwrap();
            let seen =
                ModelStock { on_hand: stock.on_hand(), reserved: stock.reserved(), allocated: stock.allocated() };
            assert_eq!(seen, *model);
            assert!(model.available() >= 0 && model.reserved >= 0 && model.allocated >= 0, "S1 {model:?}");
        }
        for (buyer, model) in self.buyers.iter().zip(&self.model.points) {
            let (ledger, _) = load_state::<Points>(log, *buyer).await.unwrap();
            assert_eq!(ModelPoints { balance: ledger.balance(), held: ledger.held() }, *model);
            assert!(0 <= model.held && model.held <= model.balance, "M6 {model:?}");
        }
        for order in &self.model.orders {
            self.check_order(order).await;
        }
    }

    async fn check_order(&self, model: &ModelOrder) {
        let (order, _) = load_state::<Order>(&*self.log, model.id).await.unwrap();
        let wanted = match model.phase {
            Phase::Unpaid => matches!(order.status(), Some(OrderStatus::Placed | OrderStatus::AwaitingPayment)),
            Phase::Opened => order.status() == Some(OrderStatus::AwaitingPayment),
            Phase::Paid => order.status() == Some(OrderStatus::Preparing),
            Phase::Withdrawn | Phase::Cancelling => order.status() == Some(OrderStatus::Cancelling),
            Phase::Cancelled => order.status() == Some(OrderStatus::Cancelled),
            Phase::Shipped => order.status() == Some(OrderStatus::Shipped),
            Phase::Delivered => order.status() == Some(OrderStatus::Delivered),
            Phase::Completed => order.status() == Some(OrderStatus::Completed),
        };
        assert!(wanted, "{model:?} is {:?}", order.status());
        assert_eq!(order.total(), Money::krw(model.total).ok(), "M5");
    }

    /// Checks that the log is complete, and that the money in it is the model's.
    async fn check_the_end(&self) {
        let (mut last, mut versions) = (Position::ZERO, HashMap::new());
        let mut payments = Vec::new();
        loop {
            let (page, _) = self.log.read_all(last, 500, &ReadFilter::default()).await.unwrap();
            if page.is_empty() {
                break;
            }
            for event in page {
                last = last.next();
                assert_eq!(event.position, last, "L3");
                let version: &mut Version = versions.entry(event.stream).or_default();
                *version = version.next();
                assert_eq!(event.version, *version, "L3 {}", event.stream);
                if event.event_type == "payment.requested" {
                    payments.push(PaymentId::new(event.stream.id));
                }
            }
        }
        let mut cards = 0;
        for payment_id in payments {
            let (payment, _) = load_state::<Payment>(&*self.log, payment_id).await.unwrap();
            let (refunded, captured) = (payment.refunded().minor_units(), payment.captured().minor_units());
            assert!(refunded <= captured && captured <= payment.total().minor_units(), "M2 {payment:?}");
            // Refunds here are always complete, and one that is not settled yet does not count.
            let points = payment.own_legs().map(|(leg, ..)| payment.leg_captured(leg).minor_units()).sum::<i64>();
            let in_points = if refunded == captured { 0 } else { points };
            cards += captured - refunded - in_points;
        }
        assert_eq!(cards, self.model.cards, "M1 the money is not where the model has it");
    }
}

fn ledger_of(model: &Model, number: usize) -> usize {
    model.orders[number % model.orders.len()].buyer
}

async fn play(log: Arc<dyn EventLog>, steps: &[Step]) {
    let shop = Shop::new();
    // Snapshots are frequent, so that many states are loaded from one.
    let options = DeciderOptions { snapshot_every: 5, ..DeciderOptions::default() };
    let (commands, task) = shop.decider_with(Arc::clone(&log), options);
    let mut run = Run::new(shop, commands, log).await;
    for step in steps {
        run.step(step).await;
        run.check().await;
    }
    run.check_the_end().await;
    task.stop().await;
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_shop_is_its_model(steps in prop::collection::vec(any_step(), 1..60)) {
        block_on(play(Arc::new(MemoryStore::new()), &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn the_shop_is_its_model_on_the_embedded_store(steps in prop::collection::vec(any_step(), 20..40)) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
            store.migrate().await.unwrap();
            play(Arc::new(store.clone()), &steps).await;
            store.close().await;
        });
    }
}
