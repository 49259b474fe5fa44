//! The people around the shop: buyers, staff and the operator. They react to events.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{Order, OrderEvent};
use jangbu_aggregates::payment::PaymentEvent;
use jangbu_aggregates::processes::FulfilmentEvent;
use jangbu_aggregates::shipment::{Shipment, ShipmentEvent};
use jangbu_commands::commands::{
    AcceptOrder, CancelLines, CancelOrder, CancelPayment, ConfirmDelivery, ConfirmPayment, DispatchShipment,
    LineToCancel, NoteOrder, PackOrder, ReceiveStock, RecordScan, RefundOrder, RefundPayment, ReleaseHold,
    ResolveFulfilment, SendOrderAgain,
};
use jangbu_commands::{
    Caller, CancelledBy, Command, OperatorAction, STAFF, Scan, ScanStatus, Scope, WantedLine, load_state,
};
use jangbu_kernel::ports::IdSource as _;
use jangbu_kernel::{
    Actor, Money, OrderId, PaymentId, RefundId, RefusalCode, Remark, ReturnId, ShipmentId, StreamId, UserId,
};

use crate::client::{Answers, Errand, Told, send};
use crate::dice::Dice;
use crate::shop::Town;
use crate::sim::{AtWork, lock};
use crate::witness::News;

/// The reason for a partial refund by staff.
pub(crate) const GOODWILL: &str = "goodwill";
/// Operator decisions about one order after which it counts as never ending.
const MAX_RESOLUTIONS: u32 = 40;
/// The most payments that a buyer tries for one order.
const MAX_PAYMENTS: u32 = 4;

/// What is known about an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub user: Option<UserId>,
    pub total: i64,
    pub payments: u32,
    pub shipment: Option<ShipmentId>,
    pub dispatched: bool,
    pub on_hold: bool,
    pub resolutions: u32,
    paid_by: Option<PaymentId>,
}

/// All people around the shop.
pub(crate) struct People {
    pub town: Arc<Town>,
    pub answers: Answers,
    pub staff: UserId,
    pub orders: Mutex<BTreeMap<OrderId, Known>>,
    pub dice: Mutex<Dice>,
}

impl People {
    pub fn throw<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut lock(&self.dice))
    }

    /// Runs a person's action after a while.
    pub fn later<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, from_ms: u64, to_ms: u64, what: F) {
        let (at_work, wait) = (AtWork::begin(&self.town.sim), self.throw(|dice| dice.millis(from_ms, to_ms)));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            what.await;
            drop(at_work);
        });
    }

    /// Sends a command of a buyer.
    pub async fn buyer<C: Command>(&self, user: UserId, key: String, make: &(impl Fn() -> C + Sync)) -> Told {
        let caller = Caller { actor: Actor::User(user), scope: Scope::Own(user) };
        send(&self.town, &self.answers, Errand { caller, key, make: &|| make().into() }).await
    }

    /// Sends a command of the staff.
    pub async fn staff<C: Command>(&self, key: String, make: &(impl Fn() -> C + Sync)) -> Told {
        let caller = Caller { actor: Actor::User(self.staff), scope: Scope::Any };
        send(&self.town, &self.answers, Errand { caller, key, make: &|| make().into() }).await
    }

    pub fn fresh_key(&self, what: &str) -> String {
        format!("{what}-{}", self.town.ids.new_id())
    }

    pub fn known(&self, order_id: OrderId) -> Known {
        lock(&self.orders).get(&order_id).cloned().unwrap_or_default()
    }

    fn learn(&self, order_id: OrderId, how: impl FnOnce(&mut Known)) {
        how(lock(&self.orders).entry(order_id).or_default());
    }

    /// Reacts to an event.
    pub fn hear(self: &Arc<Self>, (stream, event): News) {
        match event {
            DomainEvent::Order(event) => self.order(OrderId::new(stream.id), event),
            DomainEvent::Payment(event) => self.payment(PaymentId::new(stream.id), &event),
            DomainEvent::Shipment(event) => self.shipment(ShipmentId::new(stream.id), &event),
            DomainEvent::Return(_) => self.goes_back(ReturnId::new(stream.id)),
            DomainEvent::Fulfilment(FulfilmentEvent::Parked(parked)) => {
                self.parked(OrderId::new(stream.id), parked.reason.into());
            }
            _ => {}
        }
    }

    fn order(self: &Arc<Self>, order_id: OrderId, event: OrderEvent) {
        match event {
            OrderEvent::Placed(placed) => {
                self.learn(order_id, |known| {
                    known.user = Some(placed.user_id);
                    known.total = placed.total.minor_units();
                });
                if self.throw(|dice| dice.permille(90)) {
                    self.cancel(order_id, CancelledBy::Owner, 120_000);
                }
                if self.throw(|dice| dice.permille(100)) {
                    self.note(order_id);
                }
                if self.throw(|dice| dice.permille(80)) {
                    self.fewer(order_id, CancelledBy::Owner, 100_000);
                }
            }
            OrderEvent::Paid(paid) => {
                self.learn(order_id, |known| known.paid_by = paid.payment_id);
                match self.throw(|dice| dice.below(100)) {
                    0..=7 => self.cancel(order_id, CancelledBy::Owner, 60_000),
                    8..=11 => self.cancel(order_id, CancelledBy::Staff, 60_000),
                    12..=22 => self.goodwill(order_id),
                    23..=30 => self.fewer(order_id, CancelledBy::Owner, 90_000),
                    31..=34 => self.fewer(order_id, CancelledBy::Staff, 90_000),
                    _ => {}
                }
            }
            OrderEvent::Delivered(_) if self.throw(|dice| dice.permille(250)) => {
                self.later(1_000, 200_000, Arc::clone(self).wants_to_return(order_id));
            }
            OrderEvent::Delivered(_) if self.throw(|dice| dice.permille(400)) => {
                let people = Arc::clone(self);
                self.later(1_000, 100_000, async move {
                    let Some(user) = people.known(order_id).user else { return };
                    people.buyer(user, people.fresh_key("confirm"), &|| ConfirmDelivery { order_id }).await;
                });
            }
            OrderEvent::LinesCancelled(cancelled) => {
                self.learn(order_id, |known| known.total = cancelled.total.minor_units());
            }
            OrderEvent::PutOnHold(_) => self.learn(order_id, |known| known.on_hold = true),
            OrderEvent::HoldReleased(_) => self.learn(order_id, |known| known.on_hold = false),
            _ => {}
        }
    }

    fn cancel(self: &Arc<Self>, order_id: OrderId, by: CancelledBy, within_ms: u64) {
        let people = Arc::clone(self);
        self.later(0, within_ms, async move {
            let key = people.fresh_key("cancel");
            let reason = (by == CancelledBy::Staff).then(|| Remark::from("out of print"));
            let make = || CancelOrder { order_id, by, reason: reason.clone() };
            match (by, people.known(order_id).user) {
                (CancelledBy::Owner, Some(user)) => people.buyer(user, key, &make).await,
                _ => people.staff(key, &make).await,
            };
        });
    }

    /// Cancels a line of an order, or one unit of it.
    fn fewer(self: &Arc<Self>, order_id: OrderId, by: CancelledBy, within_ms: u64) {
        let people = Arc::clone(self);
        self.later(0, within_ms, async move {
            let read = load_state::<Order>(&people.town.store.truth, order_id).await;
            let Some(line) = read.ok().and_then(|(order, _)| order.lines().last().cloned()) else { return };
            let quantity = people.throw(|dice| dice.permille(500)).then_some(1);
            let (key, ids) = (people.fresh_key("fewer"), &people.town.ids);
            let make = || CancelLines {
                order_id,
                by,
                lines: vec![LineToCancel { product_id: line.product_id, quantity }],
                reason: (by == CancelledBy::Staff).then(|| Remark::from("out of print")),
                refund_id: RefundId::new(ids.new_id()),
                shipment_id: ShipmentId::new(ids.new_id()),
            };
            match (by, people.known(order_id).user) {
                (CancelledBy::Owner, Some(user)) => people.buyer(user, key, &make).await,
                _ => people.staff(key, &make).await,
            };
        });
    }

    /// Staff write something down about an order, at whatever moment.
    fn note(self: &Arc<Self>, order_id: OrderId) {
        let people = Arc::clone(self);
        self.later(0, 200_000, async move {
            let make = || NoteOrder { order_id, note: Remark::from("called back"), by: people.staff };
            people.staff(people.fresh_key("note"), &make).await;
        });
    }

    fn goodwill(self: &Arc<Self>, order_id: OrderId) {
        let people = Arc::clone(self);
        self.later(0, 200_000, async move {
            let known = people.known(order_id);
            let Some(payment_id) = known.paid_by else { return };
            let most = u64::try_from(known.total).unwrap_or(0);
            let units = people.throw(|dice| dice.between(1, most.max(1)));
            let amount = won(i64::try_from(units).unwrap_or(1));
            let make = || RefundPayment {
                payment_id,
                refund_id: RefundId::new(people.town.ids.new_id()),
                amount,
                reason: GOODWILL.into(),
            };
            people.staff(people.fresh_key("refund"), &make).await;
        });
    }

    fn payment(self: &Arc<Self>, payment_id: PaymentId, event: &PaymentEvent) {
        match event {
            PaymentEvent::ChallengeRequired(required) if self.throw(|dice| dice.permille(800)) => {
                let (people, order_id) = (Arc::clone(self), required.order_id);
                self.later(500, 90_000, async move {
                    let Some(user) = people.known(order_id).user else { return };
                    let key = people.fresh_key("challenge");
                    people.buyer(user, key, &|| ConfirmPayment { payment_id }).await;
                });
            }
            PaymentEvent::Failed(failed) => self.pay_again(failed.order_id),
            PaymentEvent::Voided(voided) => self.pay_again(voided.order_id),
            PaymentEvent::Requested(requested) => {
                self.learn(requested.order_id, |known| known.payments += 1);
                if self.throw(|dice| dice.permille(15)) {
                    let (people, user) = (Arc::clone(self), requested.user_id);
                    self.later(0, 5_000, async move {
                        let key = people.fresh_key("call-off");
                        people.buyer(user, key, &|| CancelPayment { payment_id }).await;
                    });
                }
                if self.throw(|dice| dice.permille(30)) {
                    self.sync(payment_id);
                }
            }
            _ => {}
        }
    }

    /// Makes the shop inquire at the gateway now.
    fn sync(self: &Arc<Self>, payment_id: PaymentId) {
        let people = Arc::clone(self);
        self.later(0, 30_000, async move {
            let Some(processes) = people.town.any_node().and_then(|node| node.processes) else { return };
            let caller = Caller { actor: Actor::User(people.staff), scope: Scope::Any };
            let correlation = jangbu_kernel::CorrelationId::new(people.town.ids.new_id());
            let asked = processes.sync_payment(payment_id, caller, correlation);
            // The result is recorded in the log, so it is not awaited here.
            let _asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
        });
    }

    fn pay_again(self: &Arc<Self>, order_id: OrderId) {
        if self.known(order_id).payments >= MAX_PAYMENTS || !self.throw(|dice| dice.permille(650)) {
            return;
        }
        let people = Arc::clone(self);
        self.later(500, 40_000, async move {
            people.pay(order_id).await;
        });
    }

    fn shipment(self: &Arc<Self>, shipment_id: ShipmentId, event: &ShipmentEvent) {
        match event {
            ShipmentEvent::Ready(ready) => {
                let order_id = ready.order_id;
                self.learn(order_id, |known| {
                    known.shipment = Some(shipment_id);
                    known.dispatched = false;
                });
                let (early, forgets) = self.throw(|dice| (dice.permille(30), dice.permille(50)));
                if self.throw(|dice| dice.permille(300)) {
                    let people = Arc::clone(self);
                    self.later(0, 60_000, async move {
                        people.staff(people.fresh_key("pack"), &|| PackOrder { order_id }).await;
                    });
                }
                if early {
                    // The driver picks up the parcel before it is marked as handed over.
                    let people = Arc::clone(self);
                    self.later(0, 60_000, async move {
                        people.town.hauler.scan(shipment_id, "in_transit");
                    });
                }
                if !forgets {
                    let people = Arc::clone(self);
                    self.later(1_000, 90_000, async move { people.dispatch(shipment_id).await });
                }
            }
            ShipmentEvent::Dispatched(dispatched) => {
                self.learn(dispatched.order_id, |known| {
                    known.shipment = Some(shipment_id);
                    known.dispatched = true;
                });
                self.travels(shipment_id);
            }
            _ => {}
        }
    }

    /// Staff hand the parcel over; while the order is on hold they try again later.
    pub async fn dispatch(&self, shipment_id: ShipmentId) {
        for _ in 0..5 {
            let make = || DispatchShipment { shipment_id, carrier: None, tracking_number: None };
            match self.staff(self.fresh_key("dispatch"), &make).await {
                Told::Done(_) => return,
                Told::Refused(refusal) if refusal.code == RefusalCode::InsufficientStock => {
                    self.receive_goods_of(shipment_id).await;
                }
                Told::Refused(_) | Told::Nothing => {}
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    }

    /// The goods of a parcel that were promised before they were here come in.
    async fn receive_goods_of(&self, shipment_id: ShipmentId) {
        let read = load_state::<Shipment>(&self.town.store.truth, shipment_id).await;
        let lines = read.map(|(shipment, _)| shipment.lines().to_vec()).unwrap_or_default();
        for line in lines {
            let make = || ReceiveStock { product_id: line.product_id, quantity: line.quantity, location: None };
            self.staff(self.fresh_key("goods"), &make).await;
        }
    }

    /// The carrier's scans of the parcel, sometimes repeated or out of order.
    fn travels(self: &Arc<Self>, shipment_id: ShipmentId) {
        let end = self.throw(|dice| dice.weighted(&[(900, "delivered"), (50, "returned"), (50, "lost")]));
        let mut way = vec!["in_transit", "out_for_delivery"];
        if self.throw(|dice| dice.permille(150)) {
            way.push("attempt_failed");
        }
        if self.throw(|dice| dice.permille(100)) {
            way.insert(1, "exception");
        }
        if self.throw(|dice| dice.permille(100)) {
            way.reverse();
        }
        way.push(end.unwrap_or("delivered"));
        let people = Arc::clone(self);
        self.later(1_000, 20_000, async move {
            for status in way {
                people.town.hauler.scan(shipment_id, status);
                tokio::time::sleep(people.throw(|dice| dice.millis(1_000, 40_000))).await;
            }
        });
    }

    /// Staff trace a parcel themselves and record that it arrived.
    pub async fn look_for(&self, shipment_id: ShipmentId) {
        let at = self.town.sim.now();
        let make = || RecordScan {
            shipment_id,
            scan: Scan {
                carrier: STAFF.to_owned(),
                tracking_number: String::new(),
                status: ScanStatus::Delivered,
                code: "STAFF".to_owned(),
                place: "the buyer's door".to_owned(),
                at,
                note: None,
            },
        };
        self.staff(self.fresh_key("look"), &make).await;
    }

    fn parked(self: &Arc<Self>, order_id: OrderId, reason: String) {
        let people = Arc::clone(self);
        self.later(2_000, 60_000, async move { people.resolve(order_id, &reason).await });
    }

    /// The operator decides. If something else has resolved it meanwhile, nothing is done.
    async fn resolve(&self, order_id: OrderId, reason: &str) {
        self.learn(order_id, |known| known.resolutions += 1);
        if self.known(order_id).resolutions > MAX_RESOLUTIONS {
            let detail = format!("{} is parked again and again: {reason}", StreamId::fulfilment(order_id));
            return self.town.sim.fail("G1", detail);
        }
        let wish = self.throw(|dice| dice.weighted(wishes(reason))).unwrap_or(Wish::Process(OperatorAction::Resume));
        // If the wish cannot be carried out any more, skipping is tried, then resuming.
        for wish in [wish, Wish::Process(OperatorAction::Skip), Wish::Process(OperatorAction::Resume)] {
            if !matches!(self.wish(order_id, wish, reason).await, Told::Refused(_)) {
                return;
            }
        }
    }

    /// Sometimes one unit of the order's first line, else everything.
    async fn part_of(&self, order_id: OrderId) -> Vec<WantedLine> {
        if !self.throw(|dice| dice.permille(300)) {
            return Vec::new();
        }
        let read = load_state::<Order>(&self.town.store.truth, order_id).await;
        let first = read.ok().and_then(|(order, _)| order.lines().first().map(|line| line.product_id));
        first.map(|product_id| WantedLine { product_id, quantity: 1 }).into_iter().collect()
    }

    async fn wish(&self, order_id: OrderId, wish: Wish, reason: &str) -> Told {
        let (key, why) = (self.fresh_key("resolve"), || Remark::from("looked into it"));
        let restock = reason == "shipment_returned" && self.throw(|dice| dice.permille(700));
        match wish {
            Wish::Process(action) => {
                self.release(order_id).await;
                self.staff(key, &|| ResolveFulfilment { order_id, action, reason: why() }).await
            }
            Wish::Refund => {
                let refund_id = RefundId::new(self.town.ids.new_id());
                self.staff(key, &|| RefundOrder { order_id, refund_id, reason: why(), restock }).await
            }
            Wish::SendAgain => {
                let shipment_id = ShipmentId::new(self.town.ids.new_id());
                let lines = self.part_of(order_id).await;
                let make = || SendOrderAgain { order_id, shipment_id, lines: lines.clone(), reason: why(), restock };
                self.staff(key, &make).await
            }
            Wish::Accept => self.staff(key, &|| AcceptOrder { order_id, reason: why() }).await,
        }
    }

    pub async fn release(&self, order_id: OrderId) {
        let make = || ReleaseHold { order_id, reason: "looked into it".into() };
        self.staff(self.fresh_key("release"), &make).await;
    }
}

/// An operator's decision about a parked process.
#[derive(Clone, Copy)]
enum Wish {
    Process(OperatorAction),
    Refund,
    SendAgain,
    Accept,
}

/// The decisions about a reason, with their weights.
fn wishes(reason: &str) -> &'static [(u64, Wish)] {
    use OperatorAction::{Compensate, Resume, Skip};
    use Wish::{Accept, Process, Refund, SendAgain};
    match reason {
        "payment_mismatch" => &[(30, Process(Compensate)), (10, Process(Resume)), (30, Refund), (30, Accept)],
        // Waiting for a lost parcel would never end.
        "shipment_lost" | "shipment_returned" => {
            &[(20, Process(Compensate)), (10, Process(Skip)), (20, Refund), (35, SendAgain), (15, Accept)]
        }
        "already_dispatched" => &[(60, Process(Skip)), (40, Process(Resume))],
        _ => &[(60, Process(Resume)), (20, Process(Skip)), (20, Process(Compensate))],
    }
}

/// An amount of won.
pub(crate) fn won(units: i64) -> Money {
    // Amounts of the simulation are far below the limit.
    Money::krw(units).unwrap_or_else(|_| Money::zero(jangbu_kernel::Currency::KRW))
}
