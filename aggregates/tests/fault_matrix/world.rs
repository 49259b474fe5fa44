//! A shop in memory: the log, the states, the walk, the dispatcher and a clock that
//! jumps. It does what the program does, without I/O, so that thousands of runs take seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::DateTime;
use jangbu_aggregates::commands::{
    ActivateProduct, AdvanceFulfilment, CancelShipment, CreateProduct, GrantPoints, ObserveLabel, ObservePayment,
    ObserveRefund, PlaceOrder, ReceiveStock, RegisterUser, WantedLine, WantedPayment,
};
use jangbu_aggregates::payment::{CARD, Leg, POINTS as BY_POINTS, Payment, PaymentEvent, RefundState, Source};
use jangbu_aggregates::processes::walk::{Ground, Unloaded, Versioned, walk};
use jangbu_aggregates::processes::{
    Fulfilment, FulfilmentInput, PROCESSES, ProcessCommand, TimerName, Told, Way, task,
};
use jangbu_aggregates::shipment::Shipment;
use jangbu_aggregates::{AnyCommand, AnyState, DomainEvent, ErasedCommand, Facts, Outcome, Policy, Scope, States};
use jangbu_kernel::gateway::{ChargeOutcome, LabelCancelOutcome, RefundOutcome};
use jangbu_kernel::{
    CommandId, EventId, Money, OrderId, PaymentId, ProductId, RefundId, Role, Sealed, ShipmentId, StreamId, Timestamp,
    UserId, Version,
};
use uuid::Uuid;

use crate::outside::{Outside, Script};

pub fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(number))
}

pub fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}

pub const USER: u128 = 1;
pub const PRODUCT: u128 = 2;
pub const ORDER: u128 = 3;
pub const STOCK: u32 = 10;
pub const QUANTITY: u32 = 2;
pub const PRICE: i64 = 10_000;
pub const POINTS: i64 = 30_000;

/// The program crashed here.
#[derive(Debug)]
pub struct Crash;

#[derive(Clone, Debug)]
pub struct Logged {
    pub event_id: EventId,
    pub stream: StreamId,
    pub version: Version,
    pub event: DomainEvent,
}

#[derive(Default)]
pub struct Shelf {
    states: BTreeMap<StreamId, AnyState>,
    versions: BTreeMap<StreamId, Version>,
}

impl States for Shelf {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        self.states.get(&stream)
    }
}

impl Versioned for Shelf {
    fn version(&self, stream: StreamId) -> Version {
        self.versions.get(&stream).copied().unwrap_or(Version::ZERO)
    }
}

impl Shelf {
    fn load(&mut self, stream: StreamId) {
        self.states.entry(stream).or_insert_with(|| AnyState::initial(stream.kind));
    }

    pub fn state<A: jangbu_aggregates::Aggregate>(&self, id: impl Into<Uuid>) -> A {
        (self as &dyn States).get::<A>(id).cloned().unwrap_or_default()
    }
}

/// How the buyer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pays {
    Card,
    CardAndPoints,
    Points,
    Nothing,
}

pub struct World {
    pub now: Timestamp,
    pub log: Vec<Logged>,
    pub shelf: Shelf,
    pub outside: Outside,
    facts: Facts,
    /// Commands to the outside that the dispatcher has not executed, in order.
    pub outbox: Vec<(CommandId, ProcessCommand)>,
    receipts: BTreeSet<CommandId>,
    /// Appends and outside calls so far.
    pub ticks: u32,
    pub crash_at: Option<u32>,
    /// From this tick on new charges go to another gateway.
    pub gateway_changes_at: Option<u32>,
    pub every_input_twice: bool,
    /// Whether to write and read every event and every state.
    pub through_storage: bool,
    pub payments: Vec<PaymentId>,
}

impl World {
    pub fn new(script: Script) -> Self {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Self {
            now,
            log: Vec::new(),
            shelf: Shelf::default(),
            outside: Outside::new(script),
            facts: Facts { now, policy: Arc::new(Policy::default()), scope: Scope::Any },
            outbox: Vec::new(),
            receipts: BTreeSet::new(),
            ticks: 0,
            crash_at: None,
            gateway_changes_at: None,
            every_input_twice: false,
            through_storage: true,
            payments: Vec::new(),
        }
    }

    pub fn process(&self) -> Fulfilment {
        self.shelf.state(OrderId::new(Uuid::from_u128(ORDER)))
    }

    fn tick(&mut self) -> Result<(), Crash> {
        self.ticks += 1;
        if self.gateway_changes_at == Some(self.ticks) {
            let policy = Policy { gateway: "other".to_owned(), ..Policy::default() };
            self.facts.policy = Arc::new(policy);
        }
        if self.crash_at == Some(self.ticks) { Err(Crash) } else { Ok(()) }
    }

    /// After a crash the dispatcher starts anew: every call comes again, and the process is told
    /// again of everything that it was told.
    pub fn restart(&mut self) {
        self.crash_at = None;
        self.outbox = self.log.iter().flat_map(issued).collect();
        self.tell_again(0);
    }

    /// Checks that the process knows what it was told.
    fn tell_again(&mut self, from: usize) {
        for logged in &self.log[from..] {
            let told = Told { stream: logged.stream, version: logged.version, logged: None, event: &logged.event };
            for process in PROCESSES {
                let Some(instance) = process.learner(logged.stream, &logged.event) else { continue };
                let again = process.take_in(instance, told).decide(&self.shelf, &self.facts);
                assert_eq!(again, Ok(Outcome::AlreadyDone), "W2: {logged:?}");
            }
        }
    }

    /// Decides and appends. `Ok(Some(code))` means refused.
    pub fn ask(&mut self, command: &dyn ErasedCommand) -> Result<Option<String>, Crash> {
        self.facts.now = self.now;
        let outcome = loop {
            match command.decide(&self.shelf, &self.facts) {
                Ok(outcome) => break outcome,
                Err(missing) => self.shelf.load(missing.0),
            }
        };
        let first = match outcome {
            Outcome::AlreadyDone => return Ok(None),
            Outcome::Refused(refusal) => return Ok(Some(refusal.code.code().to_owned())),
            Outcome::Record(first) => first,
        };
        let (unreadable, from) = (BTreeMap::new(), self.log.len());
        let walked = loop {
            match walk(&self.shelf, &self.facts, &first, Ground { unreadable: &unreadable, begins: true }) {
                Ok(walked) => break walked,
                Err(Unloaded(streams)) => streams.into_iter().for_each(|stream| self.shelf.load(stream)),
            }
        };
        assert_eq!(walked.set_aside, None, "{command:?}");
        let then = walked.steps.into_iter().flat_map(|step| step.writes);
        for (stream, events) in first.into_iter().chain(then) {
            for event in events {
                self.append(stream, event);
            }
        }
        if self.every_input_twice {
            self.tell_again(from);
        }
        crate::check::prefix(self);
        crate::check::w1(&self.log[from..]);
        self.tick()?;
        Ok(None)
    }

    fn append(&mut self, stream: StreamId, event: DomainEvent) {
        self.shelf.load(stream);
        let state = self.shelf.states.get_mut(&stream).unwrap();
        state.evolve(&event);
        if self.through_storage {
            // Only the stored forms of the event and of the snapshot count.
            let stored = event.payload_json();
            let read = DomainEvent::decode(stream, event.event_type(), event.schema_version(), &stored).unwrap();
            assert_eq!(read, event, "the stored form is the event");
            *state = AnyState::from_snapshot(stream, &state.to_snapshot()).unwrap();
        }
        let version = self.shelf.versions.entry(stream).or_default();
        *version = version.next();
        let version = *version;
        let position = self.log.len() as u64 + 1;
        let logged = Logged { event_id: id(1_000_000 + u128::from(position)), stream, version, event };
        self.outbox.extend(issued(&logged));
        self.log.push(logged);
    }

    // ---- timers ----

    fn advance(&mut self, order_id: OrderId, input: FulfilmentInput) -> Result<(), Crash> {
        let refused = self.ask(&AdvanceFulfilment { order_id, input })?;
        assert_eq!(refused, None, "the process takes every input");
        Ok(())
    }

    pub fn next_timer(&self) -> Option<(TimerName, Timestamp)> {
        let process = self.process();
        process.timers().iter().map(|(timer, due_at)| (*timer, *due_at)).min_by_key(|(timer, due)| (*due, *timer))
    }

    pub fn ring(&mut self, timer: TimerName, due_at: Timestamp) -> Result<(), Crash> {
        self.now = self.now.max(due_at);
        self.advance(id(ORDER), FulfilmentInput::Timer { timer, due_at })
    }

    // ---- the dispatcher ----

    pub fn dispatch_next(&mut self) -> Result<(), Crash> {
        let (command_id, command) = self.outbox[0].clone();
        if let Some(code) = self.carry_out(command_id, &command)? {
            let input = FulfilmentInput::CommandRefused { command_id, code };
            self.advance(id(ORDER), input)?;
        }
        self.outbox.remove(0);
        Ok(())
    }

    fn once(&mut self, command_id: CommandId, command: &dyn ErasedCommand) -> Result<Option<String>, Crash> {
        if self.receipts.contains(&command_id) {
            return Ok(None);
        }
        let before = self.log.len();
        let answer = self.ask(command);
        // The receipt is part of the append, so it exists even if the program crashes right after.
        if self.log.len() > before {
            self.receipts.insert(command_id);
        }
        answer
    }

    fn carry_out(&mut self, command_id: CommandId, command: &ProcessCommand) -> Result<Option<String>, Crash> {
        match command.clone() {
            ProcessCommand::CapturePayment { payment_id } => self.capture(payment_id),
            ProcessCommand::ConfirmCharge { payment_id } => {
                let payment: Payment = self.shelf.state(payment_id);
                if payment.needs_confirm() {
                    let reference = payment.gateway_reference().unwrap().to_owned();
                    let answer = self.outside.confirm(payment.gateway().unwrap(), &reference);
                    self.tick()?;
                    self.observe(payment_id, answer, Source::Answer)?;
                }
                Ok(None)
            }
            ProcessCommand::InquirePayment { payment_id, .. } => {
                let payment: Payment = self.shelf.state(payment_id);
                if payment.needs_inquiry() {
                    let answer = self.outside.inquire(payment.gateway().unwrap(), self.charge_key(payment_id));
                    self.tick()?;
                    self.observe(payment_id, answer, Source::Inquiry)?;
                }
                Ok(None)
            }
            ProcessCommand::NetCancelPayment { payment_id, .. } => self.net_cancel(payment_id),
            ProcessCommand::BookCarrier { shipment_id, attempt } => {
                if self.shelf.state::<Shipment>(shipment_id).needs_label(attempt) {
                    let observation = self.outside.request_label(shipment_id);
                    self.tick()?;
                    let carrier = "sandbox".to_owned();
                    self.must(&ObserveLabel { shipment_id, carrier, observation })?;
                }
                Ok(None)
            }
            ProcessCommand::CancelShipment { shipment_id, reason } => {
                self.cancel_shipment(command_id, shipment_id, reason)
            }
            ProcessCommand::SettleRefund { payment_id, refund_id, .. } => {
                self.settle(payment_id, refund_id)?;
                Ok(None)
            }
            ProcessCommand::ConfirmOrder { .. }
            | ProcessCommand::RecordPaymentFailure { .. }
            | ProcessCommand::ExpireOrder
            | ProcessCommand::RequestShipment { .. }
            | ProcessCommand::RequestRefund { .. }
            | ProcessCommand::CancelOrder { .. }
            | ProcessCommand::FinishCancellation
            | ProcessCommand::FailOrder { .. }
            | ProcessCommand::RecordLatePayment { .. }
            | ProcessCommand::MarkDelivered
            | ProcessCommand::CompleteOrder
            | ProcessCommand::HoldOrder { .. } => Ok(None),
        }
    }

    fn capture(&mut self, payment_id: PaymentId) -> Result<Option<String>, Crash> {
        let payment: Payment = self.shelf.state(payment_id);
        if payment.needs_charge() {
            let (_, leg) = payment.charge_leg().unwrap();
            let answer =
                self.outside.charge(payment.gateway().unwrap(), self.charge_key(payment_id), payment_id, leg.amount);
            self.tick()?;
            self.observe(payment_id, answer, Source::Answer)?;
        }
        Ok(None)
    }

    fn net_cancel(&mut self, payment_id: PaymentId) -> Result<Option<String>, Crash> {
        let payment: Payment = self.shelf.state(payment_id);
        if payment.needs_net_cancel() {
            let gateway = payment.gateway().unwrap();
            let answer = self.outside.net_cancel(gateway, self.charge_key(payment_id), payment_id);
            self.tick()?;
            self.observe(payment_id, answer, Source::Answer)?;
        }
        Ok(None)
    }

    fn cancel_shipment(
        &mut self,
        command_id: CommandId,
        shipment_id: ShipmentId,
        reason: String,
    ) -> Result<Option<String>, Crash> {
        if self.shelf.state::<Shipment>(shipment_id).state().name() == "cancelled" {
            return Ok(None);
        }
        let answer = self.outside.cancel_label(shipment_id);
        self.tick()?;
        match answer {
            LabelCancelOutcome::Cancelled => self.once(command_id, &CancelShipment { shipment_id, reason }),
            LabelCancelOutcome::AlreadyDispatched => Ok(Some("order_already_dispatched".to_owned())),
            LabelCancelOutcome::Unknown { .. } => Ok(None),
        }
    }

    fn settle(&mut self, payment_id: PaymentId, refund_id: RefundId) -> Result<(), Crash> {
        let payment: Payment = self.shelf.state(payment_id);
        let Some(refund) = payment.refund(refund_id).filter(|refund| refund.state == RefundState::Requested) else {
            return Ok(());
        };
        let refund_id = refund.id;
        let (observation, source) = match payment.gateway_part(refund_id) {
            None => (RefundOutcome::Settled { reference: String::new() }, Source::Shop),
            Some(part) => {
                let key = self.key_of(StreamId::payment(payment_id), |event| {
                    matches!(event, DomainEvent::Payment(PaymentEvent::RefundRequested(asked)) if asked.refund_id == refund_id)
                });
                let (gateway, charge) = (payment.gateway().unwrap(), payment.gateway_reference().unwrap());
                let answer = self.outside.refund(gateway, key, charge, part.amount);
                self.tick()?;
                (answer, Source::Answer)
            }
        };
        self.must(&ObserveRefund { payment_id, refund_id, observation, source })
    }

    pub fn observe(&mut self, payment_id: PaymentId, observation: ChargeOutcome, source: Source) -> Result<(), Crash> {
        self.must(&ObservePayment { payment_id, observation, source })
    }

    /// Asks for something that must not be refused.
    pub fn must(&mut self, command: &dyn ErasedCommand) -> Result<(), Crash> {
        let refused = self.ask(command)?;
        assert_eq!(refused, None, "{command:?}");
        Ok(())
    }

    fn charge_key(&self, payment_id: PaymentId) -> Uuid {
        self.key_of(StreamId::payment(payment_id), |event| {
            matches!(event, DomainEvent::Payment(PaymentEvent::CaptureRequested(_)))
        })
    }

    fn key_of(&self, stream: StreamId, found: impl Fn(&DomainEvent) -> bool) -> Uuid {
        self.log.iter().find(|logged| logged.stream == stream && found(&logged.event)).unwrap().event_id.uuid()
    }

    // ---- the people ----

    /// A shop with a buyer, a product with stock, and points.
    pub fn open_shop(&mut self) {
        let sealed = |text: &str| Sealed::from_ciphertext(text.to_owned());
        let (user_id, product_id): (UserId, ProductId) = (id(USER), id(PRODUCT));
        let commands: [AnyCommand; 5] = [
            RegisterUser {
                user_id,
                email_claim: id(77),
                other_claims: Vec::new(),
                email: sealed("e"),
                name: sealed("n"),
                phone: None,
                password_hash: sealed("h"),
                roles: vec![Role::Customer],
            }
            .into(),
            CreateProduct::plain(product_id, "mug", won(PRICE)).into(),
            ActivateProduct { product_id }.into(),
            ReceiveStock { product_id, quantity: STOCK, location: None }.into(),
            GrantPoints { user_id, amount: won(POINTS), reference: "welcome".into(), expires_at: None }.into(),
        ];
        for command in commands {
            self.must(&*command).unwrap();
        }
    }

    pub fn place(&mut self, pays: Pays, price: i64) -> Result<(), Crash> {
        let payment = (pays != Pays::Nothing).then(|| self.wanted_payment(pays, price));
        self.must(&PlaceOrder {
            order_id: id(ORDER),
            number: "A-1".into(),
            user_id: id(USER),
            lines: vec![WantedLine { product_id: id(PRODUCT), quantity: QUANTITY }],
            shipping_address: Sealed::from_ciphertext("a".into()),
            postal_code: None,
            expected_total: None,
            pay_within: None,
            payment,
        })
    }

    pub fn wanted_payment(&mut self, pays: Pays, price: i64) -> WantedPayment {
        let total = price * i64::from(QUANTITY);
        let card = |amount| Leg {
            method: CARD,
            amount: won(amount),
            instrument: Some(Sealed::from_ciphertext("t".into()).into()),
        };
        let points = |amount| Leg { method: BY_POINTS, amount: won(amount), instrument: None };
        let legs = match pays {
            Pays::Card => vec![card(total)],
            Pays::CardAndPoints => vec![card(total - 3_000), points(3_000)],
            Pays::Points => vec![points(total)],
            Pays::Nothing => Vec::new(),
        };
        let payment_id: PaymentId = id(100 + self.payments.len() as u128);
        self.payments.push(payment_id);
        WantedPayment { payment_id, legs }
    }
}

/// The calls that an event issues; what else a process asks for was decided with it.
fn issued(logged: &Logged) -> Vec<(CommandId, ProcessCommand)> {
    let issued = if let DomainEvent::Fulfilment(event) = &logged.event { event.issued() } else { &[] };
    let outside = issued.iter().filter(|issued| matches!(task(id(ORDER), &issued.command).way, Way::Outside { .. }));
    outside.map(|issued| (issued.command_id, issued.command.clone())).collect()
}
