//! What the stock of a product answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, OrderId, RefusalCode};
use proptest::prelude::*;

use super::*;
use crate::testing::{at, check_table, facts, folded, given, id};

fn order() -> OrderId {
    id(1)
}
fn received(quantity: u32) -> StockEvent {
    StockReceived { quantity, location: None }.into()
}
fn reserved(order_id: OrderId, quantity: u32) -> StockEvent {
    StockReserved { order_id, quantity, expires_at: at(900) }.into()
}
fn allocated() -> StockEvent {
    StockAllocated { order_id: order(), quantity: 3 }.into()
}
fn reserve(order_id: OrderId, quantity: u32) -> StockCommand {
    StockCommand::Reserve { order_id, quantity, expires_at: at(900) }
}
fn adjust(delta: i64) -> StockCommand {
    StockCommand::Adjust { delta, reason: "counted".into(), location: None }
}
fn count(counted: u32) -> StockCommand {
    StockCommand::Count { counted, reason: None, location: None }
}
fn write_off(quantity: u32) -> StockCommand {
    StockCommand::WriteOff { quantity, reason: "mould".into(), location: None }
}

/// What each state answers: V is `validation_failed`, S `insufficient_stock`.
const ANSWERS: &str = "
        command    empty some reserved allocated shipped released
        receive    +     +    +        +         +       +
        receive_0  V     V    V        V         V       V
        take_2     S     +    +        +         +       +
        take_3     S     +    S        S         S       +
        adjust_0   V     V    V        V         V       V
        count_2    +     +    S        S         +       +
        count_3    +     +    +        +         +       +
        write_2    S     +    +        +         +       +
        write_3    S     +    S        S         S       +
        write_0    V     V    V        V         V       V
        low_2      +     +    +        +         +       +
        low_0      =     =    =        =         =       =
        ahead_2    +     +    +        +         +       +
        ahead_0    =     =    =        =         =       =
        each_2     +     +    +        +         +       +
        each_0     =     =    =        =         =       =
        reserve_2  S     +    +        +         +       +
        reserve_3  S     +    S        S         S       +
        reserve_0  V     V    V        V         V       V
        again      S     +    =        =         S       +
        release    =     =    +        =         =       =
        give_back  S     S    +        +         S       S
        give_4     S     S    S        S         S       S
        give_0     V     V    V        V         V       V
        allocate   S     S    +        =         S       S
        deallocate =     =    =        +         =       =
        ship       S     S    S        +         S       S
        restock    +     +    +        +         +       +
        restock_0  V     V    V        V         V       V
";

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let reason = || "order_cancelled".to_owned();
    let order_id = order();
    let kept = vec![received(5), reserved(order_id, 3)];
    let sold = [&kept[..], &[allocated()]].concat();
    let states = [
        ("empty", vec![]),
        ("some", vec![received(5)]),
        ("reserved", kept.clone()),
        ("allocated", sold.clone()),
        ("shipped", [&sold[..], &[StockShipped { order_id, quantity: 3, from: Vec::new() }.into()]].concat()),
        ("released", [&kept[..], &[StockReleased { order_id, quantity: 3, reason: reason() }.into()]].concat()),
    ];
    let commands = [
        ("receive", StockCommand::Receive { quantity: 1, location: None }, at(0)),
        ("receive_0", StockCommand::Receive { quantity: 0, location: None }, at(0)),
        ("take_2", adjust(-2), at(0)),
        ("take_3", adjust(-3), at(0)),
        ("adjust_0", adjust(0), at(0)),
        ("count_2", count(2), at(0)),
        ("count_3", count(3), at(0)),
        ("write_2", write_off(2), at(0)),
        ("write_3", write_off(3), at(0)),
        ("write_0", write_off(0), at(0)),
        ("low_2", StockCommand::SetThreshold { low: 2 }, at(0)),
        ("low_0", StockCommand::SetThreshold { low: 0 }, at(0)),
        ("ahead_2", StockCommand::SetBackOrder { limit: 2 }, at(0)),
        ("ahead_0", StockCommand::SetBackOrder { limit: 0 }, at(0)),
        ("each_2", StockCommand::SetBuyerLimit { limit: 2 }, at(0)),
        ("each_0", StockCommand::SetBuyerLimit { limit: 0 }, at(0)),
        ("reserve_2", reserve(id(2), 2), at(0)),
        ("reserve_3", reserve(id(2), 3), at(0)),
        ("reserve_0", reserve(id(2), 0), at(0)),
        ("again", reserve(order_id, 3), at(0)),
        ("release", StockCommand::Release { order_id, reason: reason() }, at(0)),
        ("give_back", StockCommand::GiveBack { order_id, quantity: 2, reason: reason() }, at(0)),
        ("give_4", StockCommand::GiveBack { order_id, quantity: 4, reason: reason() }, at(0)),
        ("give_0", StockCommand::GiveBack { order_id, quantity: 0, reason: reason() }, at(0)),
        ("allocate", StockCommand::Allocate { order_id }, at(0)),
        ("deallocate", StockCommand::Deallocate { order_id, reason: reason() }, at(0)),
        ("ship", StockCommand::Ship { order_id }, at(0)),
        ("restock", StockCommand::Restock { order_id, quantity: 3, reason: reason() }, at(0)),
        ("restock_0", StockCommand::Restock { order_id, quantity: 0, reason: reason() }, at(0)),
    ];
    let answers = ANSWERS.replace(" V", " validation_failed").replace(" S", " insufficient_stock");
    check_table::<Stock>(&answers, &states, &commands);
}

#[test]
fn i2_what_is_promised_is_not_sold_again() {
    let refusal = given::<Stock>(&[received(5), reserved(order(), 3)])
        .when(&reserve(id(2), 3))
        .refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "3 wanted, 2 available");
}

#[test]
fn i4_a_reservation_becomes_an_allocation_and_leaves() {
    let stock = given::<Stock>(&[received(5), reserved(order(), 3)])
        .when(&StockCommand::Allocate { order_id: order() })
        .records(&[allocated()]);
    assert_eq!((stock.on_hand(), stock.reserved(), stock.allocated(), stock.available()), (5, 0, 3, 2));
    let stock = given::<Stock>(&[received(5), reserved(order(), 3), allocated()])
        .when(&StockCommand::Ship { order_id: order() })
        .records(&[StockShipped { order_id: order(), quantity: 3, from: Vec::new() }.into()]);
    assert_eq!((stock.on_hand(), stock.reserved(), stock.allocated(), stock.available()), (2, 0, 0, 2));
}

#[test]
fn i4_a_part_of_what_is_kept_is_given_back() {
    let give = StockCommand::GiveBack { order_id: order(), quantity: 2, reason: "lines_cancelled".into() };
    let (order_id, quantity, reason) = (order(), 2, "lines_cancelled".to_owned());
    let stock = given::<Stock>(&[received(5), reserved(order(), 3)]).when(&give).records(&[StockReleased {
        order_id,
        quantity,
        reason: reason.clone(),
    }
    .into()]);
    assert_eq!((stock.reserved_for(order()), stock.available()), (1, 4));
    let stock = given::<Stock>(&[received(5), reserved(order(), 3), allocated()])
        .when(&give)
        .records(&[StockDeallocated { order_id, quantity, reason }.into()]);
    assert_eq!((stock.allocated_for(order()), stock.available()), (1, 4));
}

#[test]
fn i5_a_correction_needs_a_reason() {
    let mute = StockCommand::Adjust { delta: 1, reason: " ".into(), location: None };
    given::<Stock>(&[received(5)]).when(&mute).refused(RefusalCode::ValidationFailed);
}

#[test]
fn i5_counting_and_writing_off_leave_what_is_promised() {
    let kept = [received(5), reserved(order(), 3)];
    let refusal = given::<Stock>(&kept).when(&count(2)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "2 were counted, but 3 are promised to orders: cancel orders of this product first");
    assert_eq!(refusal.pointer.as_deref(), Some("/counted"));
    let refusal = given::<Stock>(&kept).when(&write_off(3)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "only 2 can be taken, the rest is promised to orders");
    assert_eq!(refusal.pointer.as_deref(), Some("/quantity"));
    let gone = StockWrittenOff { quantity: 2, reason: "mould".into(), location: None };
    let stock = given::<Stock>(&kept).when(&write_off(2)).records(&[gone.into(), StockDepleted {}.into()]);
    assert_eq!((stock.on_hand(), stock.reserved(), stock.available()), (3, 3, 0));
    for mute in [
        StockCommand::WriteOff { quantity: 1, reason: " ".into(), location: None },
        StockCommand::Count { counted: 5, reason: Some(String::new()), location: None },
    ] {
        given::<Stock>(&kept).when(&mute).refused(RefusalCode::ValidationFailed);
    }
}

#[test]
fn i7_a_count_says_what_is_there_and_what_was_expected() {
    for (counted, difference) in [(3, -2), (5, 0), (9, 4)] {
        let reason = Some("yearly count".to_owned());
        let fact = StockCounted { counted, expected: 5, reason: reason.clone(), location: None };
        assert_eq!(fact.difference(), difference);
        let stock = given::<Stock>(&[received(5)])
            .when(&StockCommand::Count { counted, reason, location: None })
            .records(&[fact.into()]);
        assert_eq!(stock.on_hand(), i64::from(counted));
    }
}

#[test]
fn i6_a_stock_too_large_to_count_is_refused() {
    let full: StockEvent = StockAdjusted { delta: i64::MAX, reason: "counted".into(), location: None }.into();
    given::<Stock>(std::slice::from_ref(&full)).when(&adjust(1)).refused(RefusalCode::ValidationFailed);
    given::<Stock>(&[full])
        .when(&StockCommand::Receive { quantity: 1, location: None })
        .refused(RefusalCode::ValidationFailed);
}

/// What is told after each of these commands, as the events' types beside the first of each.
fn told(commands: &[StockCommand]) -> Vec<&'static str> {
    let mut stock = Stock::default();
    let mut told = Vec::new();
    for command in commands {
        let Decision::Record(events) = stock.decide(command, &facts(at(0))) else { panic!("{command:?}") };
        events.iter().for_each(|event| stock.evolve(event));
        told.extend(events.iter().skip(1).map(StockEvent::event_type));
    }
    told
}

fn ahead(limit: u32) -> StockEvent {
    StockBackOrderSet { limit }.into()
}

#[test]
fn i2_more_is_promised_than_is_here_only_up_to_the_limit() {
    let refusal =
        given::<Stock>(&[received(1), ahead(2)]).when(&reserve(order(), 4)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "4 wanted, 3 available");
    let stock = given::<Stock>(&[received(1), ahead(2)])
        .when(&reserve(order(), 3))
        .records(&[reserved(order(), 3), StockDepleted {}.into()]);
    assert_eq!((stock.available(), stock.orderable()), (-2, 0));
    // A lowered limit takes back no promise and allows no further one.
    let lowered = [received(1), ahead(2), reserved(order(), 3), ahead(0)];
    assert_eq!((folded::<Stock>(&lowered).available(), folded::<Stock>(&lowered).orderable()), (-2, 0));
    given::<Stock>(&lowered).when(&reserve(id(2), 1)).refused(RefusalCode::InsufficientStock);
    given::<Stock>(&lowered)
        .when(&StockCommand::Allocate { order_id: order() })
        .records(&[allocated(), StockDepleted {}.into()]);
}

#[test]
fn i5_what_is_promised_ahead_is_within_the_limit_after_a_count_too() {
    // Two here, three promised, up to two more may be.
    let promised = [received(2), ahead(3), reserved(order(), 3)];
    for allowed in [count(1), count(0), count(2), count(9), write_off(2), adjust(-2), adjust(1)] {
        assert!(
            matches!(folded::<Stock>(&promised).decide(&allowed, &facts(at(0))), Decision::Record(_)),
            "{allowed:?}"
        );
    }
    for more_than_is_here in [write_off(3), adjust(-3)] {
        given::<Stock>(&promised).when(&more_than_is_here).refused(RefusalCode::InsufficientStock);
    }
    let tight = [received(2), ahead(1), reserved(order(), 3)];
    for too_many in [count(1), write_off(1), adjust(-1)] {
        given::<Stock>(&tight).when(&too_many).refused(RefusalCode::InsufficientStock);
    }
    // A count that finds no fewer is a fact whatever is promised.
    given::<Stock>(&[received(2), ahead(1), reserved(order(), 3), ahead(0), StockDepleted {}.into()])
        .when(&count(2))
        .records(&[StockCounted { counted: 2, expected: 2, reason: None, location: None }.into()]);
}

#[test]
fn i9_what_was_promised_ahead_leaves_when_it_is_here() {
    let ship = StockCommand::Ship { order_id: order() };
    let sold = vec![received(1), ahead(2), reserved(order(), 3), StockDepleted {}.into(), allocated()];
    let refusal = given::<Stock>(&sold).when(&ship).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "3 are to leave, 1 are on hand: receive the others first");
    let here = [&sold[..], &[received(2)]].concat();
    let stock =
        given::<Stock>(&here)
            .when(&ship)
            .records(&[StockShipped { order_id: order(), quantity: 3, from: Vec::new() }.into()]);
    assert_eq!((stock.on_hand(), stock.available()), (0, 0));
}

#[test]
fn i8_without_a_threshold_only_the_last_unit_and_its_return_are_told() {
    let release = || StockCommand::Release { order_id: order(), reason: "order_expired".into() };
    let (receive, keep) = (StockCommand::Receive { quantity: 3, location: None }, reserve(order(), 3));
    let allocate = || StockCommand::Allocate { order_id: order() };
    assert_eq!(told(&[receive.clone(), reserve(order(), 2), reserve(id(2), 1)]), ["stock.depleted"]);
    assert_eq!(told(&[receive.clone(), keep.clone(), release()]), ["stock.depleted", "stock.replenished"]);
    let sold = [receive.clone(), keep, allocate(), StockCommand::Ship { order_id: order() }];
    assert_eq!(told(&sold), ["stock.depleted"], "it is told when the last one is kept, and not again");
    assert_eq!(told(&[&sold[..], &[receive]].concat()), ["stock.depleted", "stock.replenished"]);
    assert_eq!(told(&[StockCommand::Receive { quantity: 1, location: None }, write_off(1), count(1)]).len(), 2);
}

#[test]
fn i8_each_line_is_told_once_by_what_crosses_it() {
    let low = |low| StockCommand::SetThreshold { low };
    let receive = |quantity| StockCommand::Receive { quantity, location: None };
    let (ran_low, depleted, replenished) = ("stock.ran_low", "stock.depleted", "stock.replenished");
    // While it is low it stays told.
    let down = [receive(5), low(3), reserve(id(1), 1), reserve(id(2), 1), adjust(-1), write_off(1), count(4)];
    assert_eq!(told(&down), [ran_low]);
    assert_eq!(told(&[receive(9), low(3), count(2), adjust(-1), adjust(-1)]), [ran_low, depleted]);
    // From none it may come back low: that units can be sold again is told, that they are few is not.
    assert_eq!(told(&[receive(3), low(2), count(0), receive(1), receive(1)]), [depleted, replenished]);
    assert_eq!(told(&[receive(3), low(2), count(0), receive(1), receive(9)]), [depleted, replenished, replenished]);
    // The line moves over the stock.
    assert_eq!(told(&[receive(3), low(3), low(2), low(0)]), [ran_low, replenished]);
    let stock = given::<Stock>(&[received(3)])
        .when(&low(3))
        .records(&[StockThresholdSet { low: 3 }.into(), StockRanLow { available: 3, low: 3 }.into()]);
    assert_eq!((stock.low(), stock.level()), (3, StockLevel::Low));
}

#[test]
fn i8_what_was_sold_out_before_levels_were_told_is_told_at_its_next_change() {
    let old = [received(3), reserved(order(), 3)];
    let allocate = StockCommand::Allocate { order_id: order() };
    given::<Stock>(&old).when(&allocate).records(&[allocated(), StockDepleted {}.into()]);
    let more = StockCommand::Receive { quantity: 1, location: None };
    given::<Stock>(&old).when(&more).records(&[received(1)]);
}

fn any_command() -> impl Strategy<Value = StockCommand> {
    let order_id = (0_u128..4).prop_map(id::<OrderId>);
    let reason = || "order_cancelled".to_owned();
    (0..14, order_id, 0_u32..6, -6_i64..6).prop_map(move |(kind, order_id, quantity, delta)| match kind {
        0 => StockCommand::Receive { quantity, location: None },
        1 => adjust(delta),
        2 => reserve(order_id, quantity),
        3 => StockCommand::Release { order_id, reason: reason() },
        4 => StockCommand::Allocate { order_id },
        5 => StockCommand::Deallocate { order_id, reason: reason() },
        6 => StockCommand::Ship { order_id },
        7 => StockCommand::GiveBack { order_id, quantity, reason: reason() },
        8 => count(quantity),
        9 => write_off(quantity),
        10 => StockCommand::SetThreshold { low: quantity },
        11 => StockCommand::SetBackOrder { limit: quantity },
        12 => StockCommand::SetBuyerLimit { limit: quantity },
        _ => StockCommand::Restock { order_id, quantity: 2, reason: reason() },
    })
}

proptest! {
    #[test]
    fn i1_no_number_is_ever_negative(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut stock = Stock::default();
        let (mut log, mut numbers, mut before) = (Vec::new(), (0, 0, 0), 0_i64);
        for command in commands {
            let Decision::Record(events) = stock.decide(&command, &facts(at(0))) else { continue };
            for event in events {
                stock.evolve(&event);
                let change = event.change();
                numbers = (numbers.0 + change.on_hand, numbers.1 + change.reserved, numbers.2 + change.allocated);
                prop_assert_eq!((stock.on_hand(), stock.reserved(), stock.allocated()), numbers);
                log.push(event);
                prop_assert!(stock.on_hand() >= 0 && stock.reserved() >= 0 && stock.allocated() >= 0);
                // A lowered limit takes back no promise.
                prop_assert!(stock.available() >= before.min(-i64::from(stock.back_order())));
                before = stock.available();
                let open: i64 = stock.reservations.values().copied().map(i64::from).sum();
                let sold: i64 = stock.allocations.values().copied().map(i64::from).sum();
                prop_assert_eq!((open, sold), (stock.reserved(), stock.allocated()));
            }
            prop_assert_eq!(stock.level(), StockLevel::of(stock.available(), stock.low()), "I8");
        }
        prop_assert_eq!(&folded::<Stock>(&log), &stock);
        let snapshot = serde_json::to_string(&stock).unwrap();
        prop_assert_eq!(serde_json::from_str::<Stock>(&snapshot).unwrap(), stock);
    }

    #[test]
    fn i3_what_was_just_done_is_done_already(commands in prop::collection::vec(any_command(), 1..40)) {
        let mut stock = Stock::default();
        for command in commands {
            let Decision::Record(events) = stock.decide(&command, &facts(at(0))) else { continue };
            events.iter().for_each(|event| stock.evolve(event));
            let again = stock.decide(&command, &facts(at(0)));
            match command {
                // Each delivery, each count and each piece less is a new one.
                StockCommand::Receive { .. }
                | StockCommand::Adjust { .. }
                | StockCommand::GiveBack { .. }
                | StockCommand::Count { .. }
                | StockCommand::WriteOff { .. }
                | StockCommand::Arrive { .. }
                | StockCommand::Restock { .. } => {}
                // Only the order knows that it left.
                StockCommand::Ship { .. } | StockCommand::Lose { .. } => prop_assert!(matches!(again, Decision::Refused(_))),
                StockCommand::Reserve { .. }
                | StockCommand::Release { .. }
                | StockCommand::Allocate { .. }
                | StockCommand::Send { .. }
                | StockCommand::SetThreshold { .. }
                | StockCommand::SetBackOrder { .. }
                | StockCommand::SetBuyerLimit { .. }
                | StockCommand::Deallocate { .. } => prop_assert_eq!(again, Decision::AlreadyDone),
            }
        }
    }
}
