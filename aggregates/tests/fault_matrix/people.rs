//! One run: what the buyer, the staff, the carrier and the operator do, and who is served next.

use jangbu_aggregates::commands::{
    CancelLines, CancelOrder, ConfirmDelivery, ConfirmPayment, DispatchShipment, LineToCancel, RecordScan,
    RefundPayment, ReleaseHold, RequestPayment, ResolveFulfilment,
};
use jangbu_aggregates::order::{CancelledBy, Order, OrderStatus};
use jangbu_aggregates::payment::Source;
use jangbu_aggregates::processes::{OperatorAction, Step};
use jangbu_aggregates::shipment::{Scan, ScanStatus, Shipment, ShipmentState};
use jangbu_kernel::{OrderId, PaymentId, ShipmentId, Timestamp};

use crate::outside::Script;
use crate::scenarios::Scenario;
use crate::world::{Crash, ORDER, PRODUCT, World, id, won};

/// What goes wrong in a run in addition to its scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub crash_at: Option<u32>,
    /// From this step on the configured gateway is another one.
    pub gateway_changes_at: Option<u32>,
    pub every_input_twice: bool,
    pub lost_call: Option<(u32, bool)>,
    pub cancel_at: Option<u32>,
    /// Seed of a random order of everything.
    pub shuffle: Option<u64>,
}

impl Faults {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Turns before a run counts as one that never ends.
const MAX_TURNS: u32 = 20_000;
/// Times an operator is asked before a run counts as stuck.
const MAX_RESOLUTIONS: u32 = 6;

/// xorshift64: the same seed gives the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

struct Run<'a> {
    world: World,
    scenario: &'a Scenario,
    faults: &'a Faults,
    dice: Option<Dice>,
    retries: u32,
    cancelled: bool,
    staff_refunded: bool,
    one_less: bool,
    scanned_at: Option<Timestamp>,
    scanned: bool,
    resolutions: u32,
}

/// Runs a scenario with faults to its end and checks the invariants.
pub fn run(scenario: &Scenario, faults: &Faults) -> World {
    let mut world = World::new(scenario.script.clone());
    world.open_shop();
    // Storage behaves the same in every run, so writing and reading it in one of them is enough.
    world.through_storage = faults.is_none();
    // Steps are counted from the open shop on.
    world.ticks = 0;
    world.crash_at = faults.crash_at;
    world.gateway_changes_at = faults.gateway_changes_at;
    world.every_input_twice = faults.every_input_twice;
    world.outside.lost_call = faults.lost_call;
    let dice = faults.shuffle.map(|seed| Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1));
    let mut run = Run {
        world,
        scenario,
        faults,
        dice,
        retries: scenario.retries,
        cancelled: false,
        staff_refunded: false,
        one_less: false,
        scanned_at: None,
        scanned: false,
        resolutions: 0,
    };
    if run.world.place(scenario.pays, crate::world::PRICE).is_err() {
        run.world.restart();
    }
    let context = format!("{} with {faults:?}", scenario.name);
    let mut turns = 0;
    loop {
        turns += 1;
        assert!(turns < MAX_TURNS, "G1: it goes on for ever in {:?}: {context}", run.world.process().step());
        match run.turn() {
            Ok(true) => {}
            Ok(false) => break,
            Err(Crash) => run.world.restart(),
        }
    }
    crate::check::end(&run.world, &context);
    run.world
}

impl Run<'_> {
    /// Serves one participant; false if nothing is left to do.
    fn turn(&mut self) -> Result<bool, Crash> {
        if !self.cancelled && self.faults.cancel_at.is_some_and(|step| self.world.ticks >= step) {
            self.cancelled = true;
            let (by, reason) = (CancelledBy::Owner, None);
            self.world.ask(&CancelOrder { order_id: id(ORDER), by, reason })?;
        }
        let (mut webhook, mut turn_of) = (0, 0);
        let hooks = self.world.outside.webhooks.len();
        if let Some(dice) = &mut self.dice {
            webhook = dice.roll(hooks.max(1));
            turn_of = dice.roll(12);
        }
        // In random order anybody may come first; otherwise calls, webhooks, people, timers.
        for step in 0..4 {
            let who = match turn_of {
                0 => step,
                1..=5 => (step + 1) % 4,
                6..=8 => (step + 2) % 4,
                9 => (step + 3) % 4,
                _ => step,
            };
            let served = match who {
                0 if !self.world.outbox.is_empty() => self.world.dispatch_next().map(|()| true)?,
                1 if hooks > 0 => {
                    let (payment_id, news) = self.world.outside.webhooks[webhook].clone();
                    self.world.observe(payment_id, news, Source::Webhook)?;
                    self.world.outside.webhooks.remove(webhook);
                    true
                }
                2 => self.people()?,
                3 => match self.world.next_timer() {
                    Some((timer, due_at)) => self.world.ring(timer, due_at).map(|()| true)?,
                    None => false,
                },
                _ => false,
            };
            if served {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn people(&mut self) -> Result<bool, Crash> {
        let order: Order = self.world.shelf.state(id::<OrderId>(ORDER));
        match self.world.process().step() {
            Step::NeedsOperator if self.world.outbox.is_empty() => {
                return self.operator();
            }
            Step::AwaitingChallenge if self.scenario.meets_challenge => {
                if let Some(payment_id) = order.open_payment() {
                    let before = self.world.log.len();
                    self.world.ask(&ConfirmPayment { payment_id })?;
                    return Ok(self.world.log.len() > before);
                }
            }
            _ => {}
        }
        match order.status() {
            Some(OrderStatus::AwaitingPayment) if order.open_payment().is_none() && self.retries > 0 => {
                self.retries -= 1;
                let payment = self.world.wanted_payment(self.scenario.pays, crate::world::PRICE);
                if self.world.ask(&RequestPayment { order_id: id(ORDER), payment })?.is_some() {
                    self.world.payments.pop();
                }
                Ok(true)
            }
            Some(OrderStatus::Preparing) if self.scenario.staff_refunds_whole && !self.staff_refunded => {
                self.staff_refunded = true;
                let Some(payment_id) = order.paid_by() else { return Ok(false) };
                self.refund(payment_id, 2 * crate::world::PRICE)
            }
            Some(OrderStatus::Preparing) if self.scenario.one_less && !self.one_less => {
                self.one_less = true;
                self.call_one_off()
            }
            Some(OrderStatus::Preparing | OrderStatus::Shipped) => self.parcel(order.shipment_id()),
            Some(OrderStatus::Delivered) => self.buyer_at_home(&order),
            _ => Ok(false),
        }
    }

    fn call_one_off(&mut self) -> Result<bool, Crash> {
        let lines = vec![LineToCancel { product_id: id(PRODUCT), quantity: Some(1) }];
        let (order_id, by, reason) = (id(ORDER), CancelledBy::Owner, None);
        let (refund_id, shipment_id) = (id(901), id(902));
        // On hold or being called off it may be refused.
        self.world.ask(&CancelLines { order_id, by, lines, reason, refund_id, shipment_id })?;
        Ok(true)
    }

    fn parcel(&mut self, shipment_id: Option<ShipmentId>) -> Result<bool, Crash> {
        let Some(shipment_id) = shipment_id else { return Ok(false) };
        let shipment: Shipment = self.world.shelf.state(shipment_id);
        if shipment.state() == ShipmentState::Ready && !self.scenario.script.label_cancels_too_late {
            let dispatch = DispatchShipment { shipment_id, carrier: None, tracking_number: None };
            // Refused while the order is on hold; the parcel has to wait then.
            return Ok(self.world.ask(&dispatch)?.is_none());
        }
        if !shipment.state().is_dispatched() || self.scanned {
            return Ok(false);
        }
        // The carrier reports the same scans again if the program crashed on them.
        let at = *self.scanned_at.get_or_insert(self.world.now);
        for status in [ScanStatus::InTransit, self.scenario.journey] {
            let scan = Scan {
                carrier: "sandbox".into(),
                tracking_number: shipment.tracking_number().unwrap().into(),
                status,
                code: "S".into(),
                place: format!("{status:?}"),
                at,
                note: None,
            };
            self.world.must(&RecordScan { shipment_id, scan })?;
        }
        self.scanned = true;
        Ok(true)
    }

    fn buyer_at_home(&mut self, order: &Order) -> Result<bool, Crash> {
        if let (Some(amount), Some(payment_id), false) =
            (self.scenario.staff_refunds, order.paid_by(), self.staff_refunded)
        {
            self.staff_refunded = true;
            return self.refund(payment_id, amount);
        }
        if self.scenario.confirms_delivery {
            self.world.must(&ConfirmDelivery { order_id: id(ORDER) })?;
            return Ok(true);
        }
        Ok(false)
    }

    fn refund(&mut self, payment_id: PaymentId, amount: i64) -> Result<bool, Crash> {
        let (refund_id, amount, reason) = (id(900), won(amount), "scratched".into());
        self.world.must(&RefundPayment { payment_id, refund_id, amount, reason })?;
        Ok(true)
    }

    /// The operator repairs the outside world, releases the hold and decides.
    fn operator(&mut self) -> Result<bool, Crash> {
        self.resolutions += 1;
        assert!(self.resolutions <= MAX_RESOLUTIONS, "parked again: {:?}", self.world.process().parked_reason());
        self.world.outside.script = Script { charges: self.scenario.script.charges.clone(), ..Script::default() };
        let order_id = id(ORDER);
        let wanted = self.scenario.operator.unwrap_or(OperatorAction::Resume);
        let allowed = self.world.process().allowed_actions();
        let action = if allowed.contains(&wanted) { wanted } else { OperatorAction::Resume };
        let reason = jangbu_kernel::Remark::code("looked into it");
        self.world.ask(&ReleaseHold { order_id, reason: reason.clone() })?;
        self.world.must(&ResolveFulfilment { order_id, action, reason })?;
        Ok(true)
    }
}
