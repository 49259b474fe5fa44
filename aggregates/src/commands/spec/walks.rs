//! What the processes add to a decision in its own append.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{RefusalCode, StreamId, Version};
use proptest::prelude::*;

use super::invariants::{Step, any_step, check, command, order_of};
use super::*;
use crate::command::{AnyCommand, ErasedCommand, Outcome};
use crate::commands::{AdjustStock, AdvanceFulfilment, DispatchShipment, ObserveLabel};
use crate::event::DomainEvent;
use crate::facts::Facts;
use crate::order::{Order, OrderEvent, OrderHoldReleased, OrderStatus};
use crate::payment::Payment;
use crate::policy::Policy;
use crate::processes::walk::{Ground, MAX_ROUNDS, Versioned as _, walk};
use crate::processes::{Fulfilment, FulfilmentEvent, FulfilmentInput, InputName, PROCESSES, Step as At, Told};
use crate::testing::{Appended, facts};

const START: &str = "fulfilment.started";
const INPUT: &str = "fulfilment.input_received";

fn types(appended: &Appended) -> Vec<&'static str> {
    appended.events.iter().map(|(_, event)| event.event_type()).collect()
}

fn appended(world: &mut World, command: &dyn ErasedCommand, seconds: i64) -> Appended {
    world.append(command, &facts(at(seconds))).unwrap_or_else(|refusal| panic!("{command:?}: {refusal:?}"))
}

fn place_paid(legs: &[Leg]) -> PlaceOrder {
    let mut command = place(order(), &[(orange(), 2), (coffee(), 1)]);
    command.payment = Some(pay(payment(), legs));
    command
}

fn parcel(world: &World) -> ShipmentId {
    world.get_or_new::<Order>(order()).shipment_id().expect("a parcel")
}

fn label(world: &World) -> ObserveLabel {
    let (carrier, tracking_number) = ("sandbox".to_owned(), "SB1".to_owned());
    let observation = LabelOutcome::Ready { tracking_number };
    ObserveLabel { shipment_id: parcel(world), carrier, observation }
}

#[test]
fn a_paid_order_is_four_appends_to_its_ready_parcel() {
    let mut world = shop();
    let placed = appended(&mut world, &place_paid(&[card(200), points(50)]), 0);
    let first = ["order.placed", "order.payment_opened", START, "stock.reserved", "stock.reserved"];
    let then = ["payment.requested", "points.held", INPUT, "payment.capture_requested"];
    let told: BTreeSet<_> = types(&placed).into_iter().collect();
    assert_eq!(told, first.into_iter().chain(then).collect());
    assert_eq!(types(&placed)[7..], [INPUT, "payment.capture_requested"], "what follows lies behind its cause");

    let paid = appended(&mut world, &observe(captured(200)), 1);
    assert_eq!(types(&paid)[..3], ["payment.captured", INPUT, "order.paid"]);
    assert!(types(&paid).contains(&"points.captured") && types(&paid).contains(&"shipment.requested"));
    let end = types(&paid).len() - 2;
    assert_eq!(types(&paid)[end..], [INPUT, "fulfilment.timer_set"], "the parcel's label is asked for");

    let label = label(&world);
    let ready = appended(&mut world, &label, 2);
    assert_eq!(types(&ready), ["shipment.ready", INPUT, "fulfilment.timer_cancelled"]);
    let webhook = appended(&mut world, &observe(captured(200)), 3);
    assert_eq!(types(&webhook), ["payment.observation_ignored"]);
    assert_eq!(world.get_or_new::<Fulfilment>(order()).step(), At::Delivering);
    world.check_folds();
}

/// No outside call is needed before the label.
#[test]
fn an_order_paid_with_points_is_being_prepared_in_the_append_that_places_it() {
    let mut world = shop();
    let placed = appended(&mut world, &place_paid(&[points(250)]), 0);
    assert_eq!(world.get_or_new::<Order>(order()).status(), Some(OrderStatus::Preparing));
    assert!(placed.walked.steps.len() < MAX_ROUNDS as usize / 2, "{}", placed.walked.steps.len());
    assert!(!parcel(&world).uuid().is_nil());
}

#[test]
fn a_refusal_inside_is_an_input_at_once_and_holds_to_what_it_saw() {
    let mut world = shop();
    appended(&mut world, &place_paid(&[card(200), points(50)]), 0);
    // The oranges are gone: both the reserved ones and the rest.
    world.lose_reservation(orange(), order());
    world.must(&AdjustStock { product_id: orange(), delta: -9, reason: "mould".into(), location: None }, at(1));
    let paid = appended(&mut world, &observe(captured(200)), 2);
    let seen = ["payment.captured", INPUT, "fulfilment.command_refused", "fulfilment.compensation_started"];
    assert_eq!(types(&paid)[..4], seen);
    assert!(types(&paid).contains(&"payment.refund_requested"), "{:?}", types(&paid));
    let held: Vec<StreamId> = paid.walked.steps.iter().flat_map(|step| &step.writes).filter_map(checked).collect();
    assert!(held.contains(&StreamId::stock(orange())), "{held:?}");
    assert_eq!(paid.walked.carried.iter().filter(|carried| carried.refused).count(), 1);
}

fn checked((stream, events): &(StreamId, Vec<DomainEvent>)) -> Option<StreamId> {
    events.is_empty().then_some(*stream)
}

/// A plan that panics: a wait beyond the end of time.
fn breaking() -> Facts {
    let policy = Policy { inquiry_ladder: vec![TimeDelta::MAX], ..Policy::default() };
    Facts { policy: Arc::new(policy), ..facts(at(1)) }
}

#[test]
fn w3_a_plan_that_breaks_off_refuses_nothing_and_is_set_aside() {
    let mut world = shop();
    appended(&mut world, &place_paid(&[card(250)]), 0);
    let lost = observe(ChargeOutcome::Unknown { detail: "lost".into() });
    let alone = world.append(&lost, &breaking()).unwrap();
    assert_eq!(types(&alone), ["payment.outcome_unknown", "fulfilment.inputs_set_aside"]);
    assert_eq!(alone.walked.set_aside, Some("broke_off"));
    // Once the plan is repaired, the process catches up with what it was not told.
    let (_, DomainEvent::Fulfilment(FulfilmentEvent::InputsSetAside(aside))) = &alone.events[1] else { panic!() };
    let InputName::Event { stream, version } = aside.inputs[0] else { panic!() };
    let told = Told { stream, version, logged: None, event: &alone.events[0].1 };
    let caught_up = appended(&mut world, &*PROCESSES[0].take_in(StreamId::fulfilment(order()), told), 2);
    assert_eq!(types(&caught_up)[0], INPUT);
    assert_eq!(world.get_or_new::<Fulfilment>(order()).step(), At::Inquiring);
}

#[test]
fn w3_a_timer_whose_command_breaks_off_rings_all_the_same() {
    let mut world = shop();
    appended(&mut world, &place(order(), &[(orange(), 1)]), 0);
    let process = world.get_or_new::<Fulfilment>(order());
    let (timer, due_at) = process.timers().iter().next().map(|(timer, due_at)| (*timer, *due_at)).unwrap();
    let ring = AdvanceFulfilment { order_id: order(), input: FulfilmentInput::Timer { timer, due_at } };
    world.unreadable.insert(StreamId::order(order()), Version::FIRST);
    let rung = world.append(&ring, &facts(due_at)).unwrap();
    assert_eq!(types(&rung)[..2], ["fulfilment.timer_reached", "fulfilment.command_issued"]);
    assert!(types(&rung).contains(&"fulfilment.command_refused"), "{:?}", types(&rung));
    assert!(types(&rung).contains(&"fulfilment.parked"), "a person is asked: {:?}", types(&rung));
}

#[test]
fn w3_a_process_that_cannot_be_read_is_set_aside() {
    let mut world = shop();
    appended(&mut world, &place_paid(&[card(250)]), 0);
    let process = StreamId::fulfilment(order());
    let version = world.version(process);
    world.unreadable.insert(process, version);
    let alone = appended(&mut world, &observe(captured(250)), 1);
    assert_eq!(types(&alone), ["payment.captured", "fulfilment.inputs_set_aside"]);
    assert_eq!(alone.walked.set_aside, Some(RefusalCode::StreamUnreadable.code()));
    assert!(world.get_or_new::<Payment>(payment()).is_captured());
}

#[test]
fn w3_a_walk_without_end_is_broken_off() {
    let mut world = shop();
    appended(&mut world, &place_paid(&[card(250)]), 0);
    let released = OrderEvent::from(OrderHoldReleased { reason: "again".into() });
    let many = |count: u32| {
        let events: Vec<DomainEvent> = (0..count).map(|_| released.clone().into()).collect();
        vec![(StreamId::order(order()), events)]
    };
    let unreadable = BTreeMap::new();
    let ground = Ground { unreadable: &unreadable, begins: true };
    let walked = walk(&world, &facts(at(1)), &many(MAX_ROUNDS), ground).unwrap();
    assert_eq!((walked.set_aside, walked.steps.len()), (None, MAX_ROUNDS as usize));
    let walked = walk(&world, &facts(at(1)), &many(MAX_ROUNDS + 1), ground).unwrap();
    assert_eq!((walked.set_aside, walked.steps.len()), (Some("no_end"), 1), "one word for all of its events");
}

/// Every event that a process learns from has its input in the same append, after it.
fn check_w1(appended: &Appended, versions: &BTreeMap<StreamId, Version>) {
    let mut versions = versions.clone();
    let mut untold = BTreeSet::new();
    for (stream, event) in &appended.events {
        let version = versions.entry(*stream).or_default();
        *version = version.next();
        if PROCESSES.iter().any(|process| process.learner(*stream, event).is_some()) {
            untold.insert(InputName::Event { stream: *stream, version: *version });
        }
        match event {
            DomainEvent::Fulfilment(FulfilmentEvent::InputReceived(input)) => {
                assert!(untold.remove(&input.input), "W1: {:?} is no event of the append", input.input);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::Started(_)) => {
                untold.remove(&InputName::Event {
                    stream: StreamId::new(jangbu_kernel::AggregateKind::Order, stream.id),
                    version: Version::FIRST,
                });
            }
            _ => {}
        }
    }
    assert!(untold.is_empty(), "W1: {untold:?} of {:?}", types(appended));
}

/// W2: a process knows everything that it was told.
fn check_w2(world: &World) {
    let mut versions: BTreeMap<StreamId, Version> = BTreeMap::new();
    for (stream, event) in &world.log {
        let version = versions.entry(*stream).or_default();
        *version = version.next();
        for process in PROCESSES {
            let Some(instance) = process.learner(*stream, event) else { continue };
            let told = Told { stream: *stream, version: *version, logged: None, event };
            let again = process.take_in(instance, told).decide(world, &facts(at(0)));
            assert_eq!(again, Ok(Outcome::AlreadyDone), "W2: {stream} {version}");
        }
    }
}

/// The command of a step, or one for a timer or a label, which no command of [`any_step`] has.
fn asked(world: &World, step: Step) -> AnyCommand {
    let order_id = order_of(step.1);
    let process = world.get_or_new::<Fulfilment>(order_id);
    let due = process.timers().iter().next().map(|(timer, due_at)| (*timer, *due_at));
    match (step.0, due, world.get_or_new::<Order>(order_id).shipment_id()) {
        (13 | 15, Some((timer, due_at)), _) => {
            AdvanceFulfilment { order_id, input: FulfilmentInput::Timer { timer, due_at } }.into()
        }
        (3 | 12 | 21, _, Some(shipment_id)) => {
            let observation = LabelOutcome::Ready { tracking_number: "SB1".into() };
            ObserveLabel { shipment_id, carrier: "sandbox".into(), observation }.into()
        }
        (22, _, Some(shipment_id)) => DispatchShipment { shipment_id, carrier: None, tracking_number: None }.into(),
        _ => command(step),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn w1_w2_hold_for_any_sequence_of_commands(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut world = shop();
        let mut now = 0;
        for step in steps {
            now += step.3;
            let command = asked(&world, step);
            let versions: BTreeMap<StreamId, Version> =
                world.log.iter().map(|(stream, _)| (*stream, world.version(*stream))).collect();
            let mut twin = world.clone();
            let once = world.append(&*command, &facts(at(now)));
            if let Ok(once) = &once {
                check_w1(once, &versions);
                prop_assert_eq!(once.walked.set_aside, None);
            }
            let again = twin.append(&*command, &facts(at(now)));
            prop_assert_eq!(once.map(|one| one.walked), again.map(|one| one.walked), "W2");
            check(&world);
        }
        check_w2(&world);
        world.check_folds();
    }
}
