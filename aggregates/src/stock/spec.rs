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
    StockReceived { quantity }.into()
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
    StockCommand::Adjust { delta, reason: "counted".into() }
}

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
        ("shipped", [&sold[..], &[StockShipped { order_id, quantity: 3 }.into()]].concat()),
        ("released", [&kept[..], &[StockReleased { order_id, quantity: 3, reason: reason() }.into()]].concat()),
    ];
    let commands = [
        ("receive", StockCommand::Receive { quantity: 1 }, at(0)),
        ("receive_0", StockCommand::Receive { quantity: 0 }, at(0)),
        ("take_2", adjust(-2), at(0)),
        ("take_3", adjust(-3), at(0)),
        ("adjust_0", adjust(0), at(0)),
        ("reserve_2", reserve(id(2), 2), at(0)),
        ("reserve_3", reserve(id(2), 3), at(0)),
        ("reserve_0", reserve(id(2), 0), at(0)),
        ("again", reserve(order_id, 3), at(0)),
        ("release", StockCommand::Release { order_id, reason: reason() }, at(0)),
        ("allocate", StockCommand::Allocate { order_id }, at(0)),
        ("deallocate", StockCommand::Deallocate { order_id, reason: reason() }, at(0)),
        ("ship", StockCommand::Ship { order_id }, at(0)),
        ("restock", StockCommand::Restock { order_id, quantity: 3, reason: reason() }, at(0)),
        ("restock_0", StockCommand::Restock { order_id, quantity: 0, reason: reason() }, at(0)),
    ];
    let answers = "
        command    empty some reserved allocated shipped released
        receive    +     +    +        +         +       +
        receive_0  V     V    V        V         V       V
        take_2     S     +    +        +         +       +
        take_3     S     +    S        S         S       +
        adjust_0   V     V    V        V         V       V
        reserve_2  S     +    +        +         +       +
        reserve_3  S     +    S        S         S       +
        reserve_0  V     V    V        V         V       V
        again      S     +    =        =         S       +
        release    =     =    +        =         =       =
        allocate   S     S    +        =         S       S
        deallocate =     =    =        +         =       =
        ship       S     S    S        +         S       S
        restock    +     +    +        +         +       +
        restock_0  V     V    V        V         V       V
    ";
    let answers = answers.replace(" V", " validation_failed").replace(" S", " insufficient_stock");
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
        .records(&[StockShipped { order_id: order(), quantity: 3 }.into()]);
    assert_eq!((stock.on_hand(), stock.reserved(), stock.allocated(), stock.available()), (2, 0, 0, 2));
}

#[test]
fn i5_a_correction_needs_a_reason() {
    let mute = StockCommand::Adjust { delta: 1, reason: " ".into() };
    given::<Stock>(&[received(5)]).when(&mute).refused(RefusalCode::ValidationFailed);
}

#[test]
fn i6_a_stock_too_large_to_count_is_refused() {
    let full: StockEvent = StockAdjusted { delta: i64::MAX, reason: "counted".into() }.into();
    given::<Stock>(std::slice::from_ref(&full)).when(&adjust(1)).refused(RefusalCode::ValidationFailed);
    given::<Stock>(&[full]).when(&StockCommand::Receive { quantity: 1 }).refused(RefusalCode::ValidationFailed);
}

fn any_command() -> impl Strategy<Value = StockCommand> {
    let order_id = (0_u128..4).prop_map(id::<OrderId>);
    let reason = || "order_cancelled".to_owned();
    (0..8, order_id, 0_u32..6, -6_i64..6).prop_map(move |(kind, order_id, quantity, delta)| match kind {
        0 => StockCommand::Receive { quantity },
        1 => adjust(delta),
        2 => reserve(order_id, quantity),
        3 => StockCommand::Release { order_id, reason: reason() },
        4 => StockCommand::Allocate { order_id },
        5 => StockCommand::Deallocate { order_id, reason: reason() },
        6 => StockCommand::Ship { order_id },
        _ => StockCommand::Restock { order_id, quantity: 2, reason: reason() },
    })
}

proptest! {
    #[test]
    fn i1_no_number_is_ever_negative(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut stock = Stock::default();
        let (mut log, mut counted) = (Vec::new(), 0_i64);
        for command in commands {
            let Decision::Record(events) = stock.decide(&command, &facts(at(0))) else { continue };
            for event in events {
                stock.evolve(&event);
                counted += match &event {
                    StockEvent::Received(received) => i64::from(received.quantity),
                    StockEvent::Adjusted(adjusted) => adjusted.delta,
                    StockEvent::Shipped(shipped) => -i64::from(shipped.quantity),
                    StockEvent::Restocked(restocked) => i64::from(restocked.quantity),
                    StockEvent::Reserved(_)
                    | StockEvent::Released(_)
                    | StockEvent::Allocated(_)
                    | StockEvent::Deallocated(_) => 0,
                };
                prop_assert_eq!(stock.on_hand(), counted);
                log.push(event);
                prop_assert!(stock.on_hand() >= 0 && stock.reserved() >= 0 && stock.allocated() >= 0);
                prop_assert!(stock.available() >= 0);
                let open: i64 = stock.reservations.values().copied().map(i64::from).sum();
                let sold: i64 = stock.allocations.values().copied().map(i64::from).sum();
                prop_assert_eq!((open, sold), (stock.reserved(), stock.allocated()));
            }
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
                // Each delivery and each count is a new one.
                StockCommand::Receive { .. } | StockCommand::Adjust { .. } | StockCommand::Restock { .. } => {}
                // Only the order knows that it left.
                StockCommand::Ship { .. } => prop_assert!(matches!(again, Decision::Refused(_))),
                StockCommand::Reserve { .. }
                | StockCommand::Release { .. }
                | StockCommand::Allocate { .. }
                | StockCommand::Deallocate { .. } => prop_assert_eq!(again, Decision::AlreadyDone),
            }
        }
    }
}
