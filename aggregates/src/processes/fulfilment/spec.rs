//! What the process promises: its invariants, and the step after every input in every step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests")]

mod events;
mod invariants;

use jangbu_kernel::{Decider as _, Decision, Money, PaymentId, Position, ShipmentId, Timestamp, Version};
use proptest::prelude::*;

use super::knowledge::{KnownPayment, KnownShipment};
use super::*;
use crate::testing::{at, facts, id, won};

/// A process and the position of its next input.
#[derive(Clone)]
struct Bench {
    state: Fulfilment,
    position: u64,
    now: Timestamp,
}

const PAYMENT: u128 = 10;

/// The parcel that the process itself requests.
fn parcel() -> ShipmentId {
    ShipmentId::new(state::derive_id(id(1), "shipment/0"))
}

fn payment(news: PaymentNews) -> ProcessFact {
    ProcessFact::Payment { payment_id: id(PAYMENT), news }
}

fn shipment(news: ShipmentNews) -> ProcessFact {
    ProcessFact::Shipment { shipment_id: parcel(), news }
}

fn captured() -> ProcessFact {
    payment(PaymentNews::Captured { amount: won(5_000) })
}

fn ended() -> ProcessFact {
    payment(PaymentNews::Ended { reason: "declined".into() })
}

fn paid() -> ProcessFact {
    ProcessFact::OrderPaid { payment_id: Some(id(PAYMENT)) }
}

impl Bench {
    fn new() -> Self {
        Self { state: Fulfilment::default(), position: 1, now: at(0) }
    }

    fn decide(&self, command: &FulfilmentCommand) -> Decision<FulfilmentEvent> {
        self.state.decide(command, &facts(self.now))
    }

    fn ask(&mut self, command: &FulfilmentCommand) -> Decision<FulfilmentEvent> {
        let decision = self.decide(command);
        if let Decision::Record(events) = &decision {
            assert!(!events.is_empty(), "a record has events");
            for event in events {
                self.state.evolve(event);
            }
        }
        decision
    }

    fn input(&self, fact: &ProcessFact) -> FulfilmentCommand {
        let (stream, event) = events::of(fact);
        assert_eq!(fact_of(stream, &event).as_ref(), Some(fact), "the event tells the fact");
        let (version, event_id) = (Version::new(self.position), id(u128::from(self.position)));
        let logged = Some(FirstInput { position: Position::new(self.position), event_id });
        FulfilmentCommand::Take(FulfilmentInput::Event { stream, version, logged, event: Box::new(event) })
    }

    fn learn(&mut self, fact: &ProcessFact) -> Vec<FulfilmentEvent> {
        let command = self.input(fact);
        self.position += 1;
        match self.ask(&command) {
            Decision::Record(events) => events,
            // A process that has begun learns nothing from it.
            Decision::AlreadyDone if *fact == ProcessFact::OrderPlaced => Vec::new(),
            other => panic!("{fact:?}: {other:?}"),
        }
    }

    fn told(facts: &[ProcessFact]) -> Self {
        let mut bench = Self::new();
        for fact in facts {
            bench.learn(fact);
        }
        bench
    }

    fn ring(&mut self, timer: TimerName) -> Vec<FulfilmentEvent> {
        let due_at = self.state.timers()[&timer];
        self.now = self.now.max(due_at);
        match self.ask(&FulfilmentCommand::Take(FulfilmentInput::Timer { timer, due_at })) {
            Decision::Record(events) => events,
            other => panic!("{timer:?}: {other:?}"),
        }
    }

    fn refuse(&mut self, code: &str) -> Vec<FulfilmentEvent> {
        let command_id = self.state.open_commands().next().unwrap().0;
        let code = code.to_owned();
        match self.ask(&FulfilmentCommand::Take(FulfilmentInput::CommandRefused { command_id, code })) {
            Decision::Record(events) => events,
            other => panic!("{other:?}"),
        }
    }
}

fn commands(events: &[FulfilmentEvent]) -> Vec<ProcessCommand> {
    events.iter().flat_map(FulfilmentEvent::issued).map(|issued| issued.command.clone()).collect()
}

fn requested() -> Vec<ProcessFact> {
    vec![ProcessFact::OrderPlaced, payment(PaymentNews::Requested)]
}

fn with(mut before: Vec<ProcessFact>, more: &[ProcessFact]) -> Vec<ProcessFact> {
    before.extend_from_slice(more);
    before
}

fn in_step(step: Step) -> Bench {
    let delivering = || {
        let parcel = [captured(), paid(), shipment(ShipmentNews::Requested), shipment(ShipmentNews::Ready)];
        with(requested(), &parcel)
    };
    let bench = match step {
        Step::NotStarted => Bench::new(),
        Step::AwaitingPayment => Bench::told(&[ProcessFact::OrderPlaced]),
        Step::Capturing => Bench::told(&requested()),
        Step::AwaitingChallenge => Bench::told(&with(requested(), &[payment(PaymentNews::ChallengeRequired)])),
        Step::AwaitingDeposit => Bench::told(&with(requested(), &[payment(PaymentNews::DepositAwaited)])),
        Step::Inquiring => Bench::told(&with(requested(), &[payment(PaymentNews::OutcomeUnknown)])),
        Step::Confirming => Bench::told(&with(requested(), &[captured()])),
        Step::Shipping => Bench::told(&with(requested(), &[captured(), paid()])),
        Step::Delivering => Bench::told(&delivering()),
        Step::AwaitingCompletion => Bench::told(&with(delivering(), &[ProcessFact::OrderDelivered])),
        Step::Cancelling => {
            Bench::told(&with(requested(), &[captured(), paid(), ProcessFact::OrderCancellationRequested]))
        }
        Step::Compensating => {
            let mut bench = Bench::told(&with(requested(), &[captured()]));
            bench.refuse("insufficient_stock");
            bench
        }
        Step::ReturningLatePayment => {
            Bench::told(&with(requested(), &[ended(), ProcessFact::OrderExpired, captured()]))
        }
        Step::NeedsOperator => Bench::told(&with(requested(), &[payment(PaymentNews::Mismatch)])),
        Step::Ended => Bench::told(&with(requested(), &[ended(), ProcessFact::OrderExpired])),
    };
    assert_eq!(bench.state.step(), step);
    bench
}

const fn short(step: Step) -> &'static str {
    match step {
        Step::NotStarted => "--",
        Step::AwaitingPayment => "AP",
        Step::Capturing => "CA",
        Step::AwaitingChallenge => "AC",
        Step::AwaitingDeposit => "AD",
        Step::Inquiring => "IN",
        Step::Confirming => "CO",
        Step::Shipping => "SH",
        Step::Delivering => "DE",
        Step::AwaitingCompletion => "AW",
        Step::Cancelling => "CX",
        Step::Compensating => "CM",
        Step::ReturningLatePayment => "RL",
        Step::NeedsOperator => "NO",
        Step::Ended => "EN",
    }
}

fn every_fact() -> Vec<(&'static str, ProcessFact)> {
    let refund = |number| id(number);
    vec![
        ("placed", ProcessFact::OrderPlaced),
        ("payment_failed", ProcessFact::OrderPaymentFailed { payment_id: id(PAYMENT) }),
        ("paid", paid()),
        ("delivered", ProcessFact::OrderDelivered),
        ("completed", ProcessFact::OrderCompleted),
        ("cancellation", ProcessFact::OrderCancellationRequested),
        ("cancelled", ProcessFact::OrderCancelled),
        ("expired", ProcessFact::OrderExpired),
        ("failed", ProcessFact::OrderFailed),
        ("late_payment", ProcessFact::OrderLatePayment { payment_id: id(PAYMENT) }),
        ("replaced", ProcessFact::OrderParcelReplaced { shipment_id: parcel() }),
        ("held", ProcessFact::OrderHeld),
        ("released", ProcessFact::OrderReleased),
        ("return", ProcessFact::OrderReturnOpened { return_id: id(21) }),
        ("return_ended", ProcessFact::OrderReturnEnded { return_id: id(21) }),
        ("requested", payment(PaymentNews::Requested)),
        ("challenge", payment(PaymentNews::ChallengeRequired)),
        ("confirmed", payment(PaymentNews::ChallengeConfirmed)),
        ("deposit", payment(PaymentNews::DepositAwaited)),
        ("unknown", payment(PaymentNews::OutcomeUnknown)),
        ("undecided", payment(PaymentNews::InquiryUndecided { not_found: false })),
        ("net_cancel", payment(PaymentNews::NetCancelRequested)),
        ("captured", captured()),
        ("ended", ended()),
        ("mismatch", payment(PaymentNews::Mismatch)),
        ("refund", payment(PaymentNews::RefundRequested { refund_id: refund(7), amount: won(5_000) })),
        ("settled", payment(PaymentNews::RefundSettled { refund_id: refund(7) })),
        ("refund_refused", payment(PaymentNews::RefundRefused { refund_id: refund(7) })),
        ("parcel", shipment(ShipmentNews::Requested)),
        ("label_refused", shipment(ShipmentNews::Refused { attempt: 1 })),
        ("label", shipment(ShipmentNews::Ready)),
        ("dispatched", shipment(ShipmentNews::Dispatched)),
        ("arrived", shipment(ShipmentNews::Delivered)),
        ("returned", shipment(ShipmentNews::Returned)),
        ("lost", shipment(ShipmentNews::Lost)),
        ("called_off", shipment(ShipmentNews::Cancelled)),
    ]
}

/// One line for each fact, one column for each step in the order of `Step::ALL`: the step after it.
const TABLE: &str = "
    placed          AP AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    payment_failed  -- AP AP AP AP AP CO SH DE AW CX CM RL NO EN
    paid            -- SH SH SH SH SH SH SH DE DE SH CM SH NO SH
    delivered       -- AW AW AW AW AW AW AW AW AW AW AW AW NO AW
    completed       -- EN RL RL RL RL EN EN EN EN EN EN RL NO EN
    cancellation    -- CX CX CX CX CX CX CX CX CX CX CX CX NO CX
    cancelled       -- EN RL RL RL RL RL RL RL RL RL RL RL NO EN
    expired         -- EN RL RL RL RL RL RL RL RL RL RL RL NO EN
    failed          -- EN RL RL RL RL RL RL RL RL RL RL RL NO EN
    late_payment    -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    replaced        -- AP CA AC AD IN CO SH SH AW CX CM RL NO EN
    held            -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    released        -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    return          -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    return_ended    -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    requested       -- CA CA AC AD IN CO SH DE AW CX CM RL NO EN
    challenge       -- AC AC AC AC AC CO SH DE AW CX CM RL NO EN
    confirmed       -- CA CA CA CA CA CO SH DE AW CX CM RL NO EN
    deposit         -- AD AD AD AD AD CO SH DE AW CX CM RL NO EN
    unknown         -- IN IN IN IN IN CO SH DE AW CX CM RL NO EN
    undecided       -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    net_cancel      -- IN IN IN IN IN CO SH DE AW CX CM RL NO EN
    captured        -- CO CO CO CO CO CO SH DE AW CX CM RL CO RL
    ended           -- AP AP AP AP AP AP SH DE AW CX CM RL NO EN
    mismatch        -- NO NO NO NO NO CO SH DE AW CX CM RL NO EN
    refund          -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    settled         -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    refund_refused  -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    parcel          -- AP CA AC AD IN CO SH SH AW CX CM RL NO EN
    label_refused   -- AP CA AC AD IN CO SH DE AW CX CM RL NO EN
    label           -- AP CA AC AD IN CO DE DE AW CX CM RL NO EN
    dispatched      -- AP CA AC AD IN CO DE DE AW NO NO RL NO EN
    arrived         -- AP CA AC AD IN CO DE DE AW NO NO RL NO EN
    returned        -- AP CA AC AD IN CO NO NO NO CX CM RL NO EN
    lost            -- AP CA AC AD IN CO NO NO AW CX CM RL NO EN
    called_off      -- AP CA AC AD IN CO CM CM AW CX CM RL NO EN
";

#[test]
fn every_step_answers_every_fact_as_the_table_says() {
    let rows: Vec<Vec<&str>> =
        TABLE.lines().map(|line| line.split_whitespace().collect()).filter(|row: &Vec<_>| !row.is_empty()).collect();
    let mut actual = String::new();
    for (name, fact) in every_fact() {
        actual.push_str(&format!("    {name:<15}"));
        for step in Step::ALL.iter().copied() {
            let mut bench = in_step(step);
            let input = bench.input(&fact);
            bench.learn(&fact);
            actual.push_str(&format!(" {}", short(bench.state.step())));
            // I1: the same input changes nothing the second time.
            assert_eq!(bench.decide(&input), Decision::AlreadyDone, "{name} twice in {step:?}");
        }
        actual.push('\n');
    }
    let expected: Vec<Vec<&str>> = actual.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(expected, rows, "\n{actual}");
}

#[test]
fn every_step_answers_every_timer_refusal_and_resolution() {
    const TIMERS: [TimerName; 7] = [
        TimerName::PaymentDeadline,
        TimerName::Inquiry,
        TimerName::LabelRetry,
        TimerName::RefundRetry,
        TimerName::CancelRetry,
        TimerName::Completion,
        TimerName::CommandRetry,
    ];
    for step in Step::ALL.iter().copied() {
        let bench = in_step(step);
        for timer in TIMERS {
            let set = bench.state.timers().get(&timer).copied();
            let ring = |due_at, now| {
                let bench = Bench { now, ..bench.clone() };
                bench.decide(&FulfilmentCommand::Take(FulfilmentInput::Timer { timer, due_at }))
            };
            let due_at = set.unwrap_or(at(5));
            assert_eq!(matches!(ring(due_at, due_at), Decision::Record(_)), set.is_some(), "{timer:?} in {step:?}");
            let (moved, early) = (due_at + chrono::TimeDelta::seconds(1), due_at - chrono::TimeDelta::seconds(1));
            assert_eq!(ring(moved, moved), Decision::AlreadyDone, "{timer:?} was moved, in {step:?}");
            assert_eq!(ring(due_at, early), Decision::AlreadyDone, "{timer:?} rings too early, in {step:?}");
        }
        let unknown = FulfilmentInput::CommandRefused { command_id: id(5), code: "not_found".into() };
        assert_eq!(bench.decide(&FulfilmentCommand::Take(unknown)), Decision::AlreadyDone, "{step:?}");
        for action in [OperatorAction::Resume, OperatorAction::Skip, OperatorAction::Compensate] {
            let resolve = FulfilmentCommand::Resolve { action, reason: "looked".into() };
            let allowed = bench.state.allowed_actions().contains(&action);
            assert_eq!(matches!(bench.decide(&resolve), Decision::Record(_)), allowed, "{action:?} in {step:?}");
            assert!(!allowed || step == Step::NeedsOperator);
        }
    }
}

#[test]
fn it_begins_the_same_with_the_placing_and_with_its_event() {
    let by_event = in_step(Step::AwaitingPayment);
    let due_at = by_event.state.timers()[&TimerName::PaymentDeadline];
    let start = FulfilmentCommand::Start { order_id: id(1), total: won(10_000), payment_deadline: due_at };
    let mut by_placing = Bench::new();
    let Decision::Record(events) = by_placing.ask(&start) else { panic!("not begun") };
    assert_eq!(events.len(), 1);
    assert_eq!(by_placing.state.step(), Step::AwaitingPayment);
    assert_eq!(by_placing.state.timers(), by_event.state.timers());
    assert_eq!(by_placing.state.order_id(), by_event.state.order_id());
    for bench in [&by_event, &by_placing] {
        assert_eq!(bench.decide(&start), Decision::AlreadyDone, "it begins once");
        assert_eq!(bench.decide(&bench.input(&ProcessFact::OrderPlaced)), Decision::AlreadyDone);
    }
    let paid = |mut bench: Bench| commands(&bench.learn(&payment(PaymentNews::Requested)));
    assert_eq!(paid(by_placing), paid(by_event));
}

#[test]
fn i1_events_that_teach_nothing_are_not_taken_in() {
    let bench = in_step(Step::Capturing);
    let event = crate::payment::PaymentEvent::from(crate::payment::CaptureRequested {
        order_id: id(1),
        leg: Some(0),
        gateway: Some("sandbox".to_owned()),
        amount: won(1),
    });
    let stream = jangbu_kernel::StreamId::payment(id::<PaymentId>(PAYMENT));
    let input =
        FulfilmentInput::Event { stream, version: Version::new(99), logged: None, event: Box::new(event.into()) };
    assert_eq!(bench.decide(&FulfilmentCommand::Take(input)), Decision::AlreadyDone);
}

fn knowledge(bench: &Bench) -> String {
    let mut state = bench.state.clone();
    state.payments.sort_by_key(|payment: &KnownPayment| payment.id);
    state.shipments.sort_by_key(|shipment: &KnownShipment| shipment.id);
    format!("{:?}{:?}{:?}", state.order, state.payments, state.shipments)
}

fn long_story() -> Vec<ProcessFact> {
    let late: PaymentId = id(11);
    let of_late = |news| ProcessFact::Payment { payment_id: late, news };
    vec![
        ProcessFact::OrderPlaced,
        of_late(PaymentNews::Requested),
        of_late(PaymentNews::ChallengeRequired),
        of_late(PaymentNews::Ended { reason: "declined".into() }),
        ProcessFact::OrderPaymentFailed { payment_id: late },
        payment(PaymentNews::Requested),
        payment(PaymentNews::OutcomeUnknown),
        captured(),
        paid(),
        ProcessFact::OrderHeld,
        of_late(PaymentNews::Captured { amount: won(5_000) }),
        ProcessFact::OrderReleased,
        ProcessFact::OrderReturnOpened { return_id: id(21) },
        ProcessFact::OrderReturnEnded { return_id: id(21) },
        shipment(ShipmentNews::Requested),
        shipment(ShipmentNews::Refused { attempt: 1 }),
        shipment(ShipmentNews::Ready),
        ProcessFact::OrderCancellationRequested,
        shipment(ShipmentNews::Cancelled),
        payment(PaymentNews::RefundRequested { refund_id: id(7), amount: won(5_000) }),
        payment(PaymentNews::RefundSettled { refund_id: id(7) }),
        ProcessFact::OrderCancelled,
    ]
}

proptest! {
    #[test]
    fn i2_the_same_inputs_give_the_same_knowledge_in_any_order(
        order in Just((0..long_story().len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let story = long_story();
        let fold = |order: &[usize]| {
            let mut bench = Bench::new();
            for index in order {
                let input = InputReceived {
                    input: InputName::Event { stream: jangbu_kernel::StreamId::order(id(1)), version: Version::new(*index as u64 + 1) },
                    event_type: "a.b".into(),
                    fact: story[*index].clone(),
                    step: None,
                    issued: Vec::new(),
                };
                bench.state.evolve(&input.into());
            }
            bench
        };
        let in_order: Vec<usize> = (0..story.len()).collect();
        prop_assert_eq!(knowledge(&fold(&order)), knowledge(&fold(&in_order)));
    }
}
