//! The answers of an order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, PaymentId, RefusalCode, Remark, ShipmentId, Timestamp};

use super::*;
use crate::returns::ReturnReason;
use crate::testing::{at, check_table, facts, folded, given, id, sealed, won};

/// Seconds: the deadline, the moment of payment, a moment before the deadline, one after it.
const DEADLINE: i64 = 900;
const PAID_AT: i64 = 60;
const EARLY: i64 = 100;
const LATE: i64 = 1_000;
/// The end of the owner's window, in seconds.
const WINDOW_END: i64 = PAID_AT + 24 * 3_600;
/// Seconds: the delivery, and the last moment in which the buyer may return goods for no reason.
const DELIVERED_AT: i64 = 500;
const RETURN_END: i64 = DELIVERED_AT + 7 * 24 * 3_600;

fn payment() -> PaymentId {
    id(1)
}
fn other_payment() -> PaymentId {
    id(2)
}
fn shipment() -> ShipmentId {
    id(3)
}

fn placed_for(total: i64) -> OrderPlaced {
    let line = |product: u128, price: i64, quantity: u32| OrderLine {
        product_id: id(product),
        name: "한라봉".into(),
        unit_price: won(price),
        quantity,
        line_total: won(price * i64::from(quantity)),
    };
    let part = total / 5;
    OrderPlaced {
        number: "1".into(),
        user_id: id(7),
        lines: vec![line(9, part, 3), line(8, total - 3 * part, 1)],
        subtotal: won(total),
        discount: won(0),
        shipping_fee: won(0),
        total: won(total),
        shipping_address: sealed("address"),
        payment_deadline: at(DEADLINE),
        replaces: None,
    }
}

fn placed() -> OrderEvent {
    placed_for(1_000).into()
}
fn opened() -> OrderEvent {
    OrderPaymentOpened { payment_id: payment() }.into()
}
fn payment_failed() -> OrderEvent {
    OrderPaymentFailed { payment_id: payment(), reason: "declined".into() }.into()
}
fn paid() -> OrderEvent {
    OrderPaid { payment_id: Some(payment()), paid_at: Some(at(PAID_AT)), ship_by: Some(ship_by(PAID_AT)) }.into()
}
fn ship_by(paid_at: i64) -> Timestamp {
    crate::policy::Policy::default().ship_by(at(paid_at))
}
fn packed() -> OrderEvent {
    OrderPacked { shipment_id: shipment() }.into()
}
fn preparing() -> OrderEvent {
    OrderPreparationStarted { shipment_id: shipment() }.into()
}
fn called_off() -> OrderEvent {
    OrderCancellationRequested { by: CancelledBy::Owner, reason: Some("too late".into()) }.into()
}
fn cancelled() -> OrderEvent {
    OrderCancelled { by: CancelledBy::Owner, reason: Some("too late".into()) }.into()
}
fn held() -> OrderEvent {
    OrderPutOnHold { reason: "amount_mismatch".into() }.into()
}

fn states() -> Vec<(&'static str, Vec<OrderEvent>)> {
    let ready = vec![placed(), opened(), paid()];
    let then = |before: &[OrderEvent], more: &[OrderEvent]| [before, more].concat();
    let prepared = then(&ready, &[preparing()]);
    let shipped = then(&prepared, &[OrderShipped {}.into()]);
    let delivered = then(&shipped, &[OrderDelivered { delivered_at: Some(at(DELIVERED_AT)) }.into()]);
    vec![
        ("none", vec![]),
        ("placed", vec![placed()]),
        ("open", vec![placed(), opened()]),
        ("retry", vec![placed(), opened(), payment_failed()]),
        ("paid", ready.clone()),
        ("held", then(&ready, &[held()])),
        ("preparing", prepared.clone()),
        ("packed", then(&prepared, &[packed()])),
        ("shipped", shipped),
        ("delivered", delivered.clone()),
        ("completed", then(&delivered, &[OrderCompleted { by: CompletedBy::Timer }.into()])),
        ("cancelling", then(&ready, &[called_off()])),
        ("cancelled", then(&ready, &[called_off(), cancelled()])),
        ("expired", vec![placed(), OrderExpired {}.into()]),
        ("failed", then(&ready, &[OrderFailed { reason: "insufficient_stock".into() }.into()])),
    ]
}

fn cancel(by: CancelledBy, reason: Option<&str>, payment_in_flight: bool) -> OrderCommand {
    OrderCommand::Cancel { by, reason: reason.map(Remark::code), payment_in_flight }
}

/// Two of the three that the first line has.
fn fewer(by: CancelledBy, reason: Option<&str>) -> LinesToCancel {
    let line = OrderLine { quantity: 2, line_total: won(400), ..placed_for(1_000).lines[0].clone() };
    LinesToCancel {
        by,
        reason: reason.map(Remark::code),
        lines: vec![line],
        refund_id: Some(id(5)),
        shipment_id: id(6),
    }
}

fn lines(by: CancelledBy, reason: Option<&str>) -> OrderCommand {
    OrderCommand::CancelLines(Box::new(fewer(by, reason)))
}

fn commands() -> Vec<(&'static str, OrderCommand, Timestamp)> {
    use OrderCommand as C;
    let reason = || "insufficient_stock".to_owned();
    let (payment_id, shipment_id) = (payment(), shipment());
    vec![
        ("place", C::Place(Box::new(placed_for(1_000))), at(EARLY)),
        ("open", C::OpenPayment { payment_id }, at(EARLY)),
        ("open_other", C::OpenPayment { payment_id: other_payment() }, at(EARLY)),
        ("open_late", C::OpenPayment { payment_id }, at(DEADLINE)),
        ("payment_failed", C::RecordPaymentFailure { payment_id, reason: reason() }, at(EARLY)),
        ("pay", C::MarkPaid { payment_id: Some(payment_id) }, at(LATE)),
        ("pay_other", C::MarkPaid { payment_id: Some(other_payment()) }, at(LATE)),
        ("pay_nothing", C::MarkPaid { payment_id: None }, at(EARLY)),
        ("expire", C::Expire, at(DEADLINE)),
        ("expire_early", C::Expire, at(DEADLINE - 1)),
        ("prepare", C::StartPreparation { shipment_id }, at(LATE)),
        ("prepare_other", C::StartPreparation { shipment_id: id(4) }, at(LATE)),
        ("again", C::SendAgain { shipment_id }, at(LATE)),
        ("again_other", C::SendAgain { shipment_id: id(4) }, at(LATE)),
        ("pack", C::Pack, at(LATE)),
        ("ship", C::MarkShipped, at(LATE)),
        ("deliver", C::MarkDelivered, at(LATE)),
        ("complete", C::Complete { by: CompletedBy::Buyer }, at(LATE)),
        ("cancel_owner", cancel(CancelledBy::Owner, None, false), at(WINDOW_END)),
        ("cancel_late", cancel(CancelledBy::Owner, None, false), at(WINDOW_END + 1)),
        ("cancel_staff", cancel(CancelledBy::Staff, Some("asked"), true), at(WINDOW_END + 1)),
        ("cancel_mute", cancel(CancelledBy::Staff, None, false), at(LATE)),
        ("lines_owner", lines(CancelledBy::Owner, None), at(WINDOW_END)),
        ("lines_late", lines(CancelledBy::Owner, None), at(WINDOW_END + 1)),
        ("lines_staff", lines(CancelledBy::Staff, Some("asked")), at(WINDOW_END + 1)),
        ("lines_mute", lines(CancelledBy::Staff, None), at(LATE)),
        ("finish", C::FinishCancellation, at(LATE)),
        ("fail", C::Fail { reason: reason() }, at(LATE)),
        ("late", C::RecordLatePayment { payment_id, amount: won(1_000) }, at(LATE)),
        ("hold", C::PutOnHold { reason: "looked_odd".into() }, at(LATE)),
        ("release", C::ReleaseHold { reason: "looked_into".into() }, at(LATE)),
        ("address", elsewhere(CancelledBy::Owner, 0), at(WINDOW_END)),
        ("address_late", elsewhere(CancelledBy::Owner, 0), at(WINDOW_END + 1)),
        ("address_far", elsewhere(CancelledBy::Owner, 100), at(WINDOW_END)),
        ("address_staff", elsewhere(CancelledBy::Staff, 100), at(WINDOW_END + 1)),
        ("return", returned(CancelledBy::Owner, ReturnReason::ChangedMind, 2), at(RETURN_END)),
        ("return_late", returned(CancelledBy::Owner, ReturnReason::ChangedMind, 2), at(RETURN_END + 1)),
        ("return_staff", returned(CancelledBy::Staff, ReturnReason::ChangedMind, 2), at(RETURN_END + 1)),
        ("return_broken", returned(CancelledBy::Owner, ReturnReason::Defect, 2), at(RETURN_END + 1)),
        ("return_more", returned(CancelledBy::Staff, ReturnReason::Defect, 4), at(LATE)),
        ("return_ended", C::EndReturn { return_id: id(21), lines: Vec::new() }, at(LATE)),
        ("note", C::Note { note: "rang_twice".into(), by: id(8) }, at(LATE)),
    ]
}

fn elsewhere(by: CancelledBy, fee: i64) -> OrderCommand {
    let (shipping_address, shipping_fee, shipment_id) = (sealed("elsewhere"), won(fee), id(6));
    OrderCommand::ChangeAddress(Box::new(AddressToChange { by, shipping_address, shipping_fee, shipment_id }))
}

fn returned(by: CancelledBy, reason: ReturnReason, quantity: u32) -> OrderCommand {
    let line = OrderLine { quantity, ..placed_for(1_000).lines[0].clone() };
    OrderCommand::OpenReturn(Box::new(ReturnToOpen { return_id: id(20), by, reason, lines: vec![line] }))
}

// C conflict, N not found, P payment in progress, D dispatched, V invalid, W after its time, M more
// than there is: see `spelled`.
const ANSWERS: &str = "
    command        none placed open retry paid held preparing packed shipped delivered completed cancelling cancelled expired failed
    place          +    =      =    =     =    =    =         =      =       =         =         =          =         =       =
    open           N    +      =    +     C    C    C         C      C       C         C         C          C         C       C
    open_other     N    +      P    +     C    C    C         C      C       C         C         C          C         C       C
    open_late      N    C      =    C     C    C    C         C      C       C         C         C          C         C       C
    payment_failed N    =      +    =     C    C    C         C      C       C         C         C          C         =       C
    pay            N    C      +    C     =    =    =         =      =       =         =         C          C         C       C
    pay_other      N    C      C    C     C    C    C         C      C       C         C         C          C         C       C
    pay_nothing    N    C      C    C     C    C    C         C      C       C         C         C          C         C       C
    expire         N    +      +    +     C    C    C         C      C       C         C         C          C         =       C
    expire_early   N    C      C    C     C    C    C         C      C       C         C         C          C         =       C
    prepare        N    C      C    C     +    C    =         =      =       =         =         C          C         C       C
    prepare_other  N    C      C    C     +    C    C         C      C       C         C         C          C         C       C
    again          N    C      C    C     C    C    =         =      =       =         =         C          C         C       C
    again_other    N    C      C    C     C    C    C         C      +       C         C         C          C         C       C
    pack           N    C      C    C     C    C    +         =      D       D         D         C          C         C       C
    ship           N    C      C    C     C    C    +         +      =       =         =         C          C         C       C
    deliver        N    C      C    C     C    C    C         C      +       =         =         C          C         C       C
    complete       N    C      C    C     C    C    C         C      C       +         =         C          C         C       C
    cancel_owner   N    +      +    +     +    +    +         +      D       D         D         =          =         C       C
    cancel_late    N    +      +    +     C    C    C         C      D       D         D         =          =         C       C
    cancel_staff   N    +      +    +     +    +    +         +      D       D         D         =          =         C       C
    cancel_mute    N    V      V    V     V    V    V         V      D       D         D         =          =         C       C
    lines_owner    N    +      P    +     +    +    +         +      D       D         D         C          C         C       C
    lines_late     N    +      P    +     C    C    C         C      D       D         D         C          C         C       C
    lines_staff    N    +      P    +     +    +    +         +      D       D         D         C          C         C       C
    lines_mute     N    V      P    V     V    V    V         V      D       D         D         C          C         C       C
    finish         N    C      C    C     C    C    C         C      C       C         C         +          =         C       C
    fail           N    +      +    +     +    +    +         +      +       C         C         C          C         C       =
    late           N    C      C    C     C    C    C         C      C       C         C         C          +         +       +
    hold           N    +      +    +     +    =    +         +      +       +         C         +          C         C       C
    release        N    =      =    =     =    +    =         =      =       =         =         =          =         =       =
    address        N    +      P    +     +    +    +         +      D       D         D         C          C         C       C
    address_late   N    +      P    +     C    C    C         C      D       D         D         C          C         C       C
    address_far    N    +      P    +     C    C    C         C      D       D         D         C          C         C       C
    address_staff  N    +      P    +     +    +    +         +      D       D         D         C          C         C       C
    return         N    C      C    C     C    C    C         C      C       +         +         C          C         C       C
    return_late    N    C      C    C     C    C    C         C      C       W         W         C          C         C       C
    return_staff   N    C      C    C     C    C    C         C      C       +         +         C          C         C       C
    return_broken  N    C      C    C     C    C    C         C      C       +         +         C          C         C       C
    return_more    N    C      C    C     C    C    C         C      C       M         M         C          C         C       C
    return_ended   N    =      =    =     =    =    =         =      =       =         =         =          =         =       =
    note           N    +      +    +     +    +    +         +      +       +         +         +          +         +       +
";

fn spelled(table: &str) -> String {
    let spell = |word: &str| match word {
        "C" => RefusalCode::OrderStateConflict.code().to_owned(),
        "N" => RefusalCode::NotFound.code().to_owned(),
        "P" => RefusalCode::PaymentInProgress.code().to_owned(),
        "D" => RefusalCode::OrderAlreadyDispatched.code().to_owned(),
        "V" => RefusalCode::ValidationFailed.code().to_owned(),
        "W" => RefusalCode::ReturnWindowOver.code().to_owned(),
        "M" => RefusalCode::ReturnExceedsDelivered.code().to_owned(),
        other => other.to_owned(),
    };
    table
        .lines()
        .map(|line| line.split_whitespace().map(spell).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    check_table::<Order>(&spelled(ANSWERS), &states(), &commands());
}

#[test]
fn i1_only_the_arrows_that_are_drawn_are_followed() {
    const ARROWS: [(&str, &str); 21] = [
        ("shipped", "preparing"),
        ("placed", "awaiting_payment"),
        ("placed", "expired"),
        ("placed", "cancelled"),
        ("placed", "cancelling"),
        ("placed", "failed"),
        ("awaiting_payment", "awaiting_payment"),
        ("awaiting_payment", "paid"),
        ("awaiting_payment", "expired"),
        ("awaiting_payment", "cancelled"),
        ("awaiting_payment", "cancelling"),
        ("awaiting_payment", "failed"),
        ("paid", "preparing"),
        ("paid", "cancelling"),
        ("paid", "failed"),
        ("preparing", "shipped"),
        ("preparing", "cancelling"),
        ("preparing", "failed"),
        ("shipped", "delivered"),
        ("shipped", "failed"),
        ("delivered", "completed"),
    ];
    for (_, events) in states() {
        for (_, command, now) in commands() {
            let mut order = folded::<Order>(&events);
            let before = order.status();
            if let Decision::Record(recorded) = order.decide(&command, &facts(now)) {
                recorded.iter().for_each(|event| order.evolve(event));
                let (Some(from), Some(to)) = (before, order.status()) else { continue };
                let drawn = from == to
                    || ARROWS.contains(&(from.name(), to.name()))
                    || (from, to) == (OrderStatus::Cancelling, OrderStatus::Cancelled);
                assert!(drawn, "{from:?} -> {to:?} by {command:?}");
                assert!(!from.is_final() || from == to, "{from:?} is an end");
            }
        }
    }
}

#[test]
fn a_refusal_names_the_state_and_what_can_be_asked_in_it() {
    let refusal = given::<Order>(&[placed(), opened(), paid(), preparing(), OrderShipped {}.into()])
        .when(&cancel(CancelledBy::Owner, None, false))
        .refused(RefusalCode::OrderAlreadyDispatched);
    assert_eq!((refusal.current_state, refusal.allowed_commands.len()), (Some("shipped"), 0));
    let refusal = given::<Order>(&[placed()]).when(&OrderCommand::MarkShipped).refused(RefusalCode::OrderStateConflict);
    assert_eq!(refusal.current_state, Some("placed"));
    let allowed = ["request_payment", "cancel_order", "cancel_lines", "change_shipping_address"];
    assert_eq!(refusal.allowed_commands, allowed);
}

#[test]
fn i2_a_second_payment_may_follow_a_failed_one() {
    let opened_again = OrderPaymentOpened { payment_id: other_payment() };
    let order = given::<Order>(&[placed(), opened(), payment_failed()])
        .at(at(EARLY))
        .when(&OrderCommand::OpenPayment { payment_id: other_payment() })
        .records(&[opened_again.into()]);
    assert_eq!((order.open_payment(), order.paid_by()), (Some(other_payment()), None));
}

#[test]
fn i2_only_an_order_without_a_price_is_paid_by_nothing() {
    let free: OrderEvent = placed_for(0).into();
    let order = given::<Order>(&[free])
        .at(at(1))
        .when(&OrderCommand::MarkPaid { payment_id: None })
        .records(&[OrderPaid { payment_id: None, paid_at: Some(at(1)), ship_by: Some(ship_by(1)) }.into()]);
    assert_eq!(order.status(), Some(OrderStatus::Paid));
}

#[test]
fn i4_an_unpaid_order_ends_at_once_and_one_with_a_payment_in_flight_does_not() {
    let none = OrderCancelled { by: CancelledBy::Owner, reason: None };
    given::<Order>(&[placed(), opened()]).when(&cancel(CancelledBy::Owner, None, false)).records(&[none.into()]);
    let asked = OrderCancellationRequested { by: CancelledBy::Owner, reason: None };
    given::<Order>(&[placed(), opened()]).when(&cancel(CancelledBy::Owner, None, true)).records(&[asked.into()]);
}

#[test]
fn i4_the_reason_that_was_given_is_the_one_that_is_written_at_the_end() {
    given::<Order>(&[placed(), opened(), paid(), called_off()])
        .when(&OrderCommand::FinishCancellation)
        .records(&[cancelled()]);
    given::<Order>(&[placed()])
        .when(&cancel(CancelledBy::Staff, Some("  "), false))
        .refused(RefusalCode::ValidationFailed);
}

#[test]
fn i6_on_hold_nothing_new_is_begun() {
    let before = |events: &[OrderEvent]| [events, &[held()]].concat();
    let frozen = [
        (vec![placed()], OrderCommand::OpenPayment { payment_id: payment() }),
        (vec![placed(), opened(), paid()], OrderCommand::StartPreparation { shipment_id: shipment() }),
        (vec![placed(), opened(), paid(), preparing()], OrderCommand::Pack),
        (vec![placed(), opened(), paid(), preparing()], OrderCommand::MarkShipped),
        (
            vec![
                placed(),
                opened(),
                paid(),
                preparing(),
                OrderShipped {}.into(),
                OrderDelivered { delivered_at: None }.into(),
            ],
            OrderCommand::Complete { by: CompletedBy::Timer },
        ),
    ];
    for (events, command) in frozen {
        given::<Order>(&before(&events)).when(&command).refused(RefusalCode::OrderStateConflict);
    }
    // Money that was on its way still arrives.
    given::<Order>(&before(&[placed(), opened()]))
        .at(at(PAID_AT))
        .when(&OrderCommand::MarkPaid { payment_id: Some(payment()) })
        .records(&[paid()]);
}

#[test]
fn i7_late_money_is_noted_once_a_payment() {
    let late = OrderLatePaymentDetected { payment_id: payment(), amount: won(1_000) };
    let command = OrderCommand::RecordLatePayment { payment_id: payment(), amount: won(1_000) };
    let expired = [placed(), OrderExpired {}.into()];
    given::<Order>(&expired).when(&command).records(&[late.clone().into()]);
    given::<Order>(&[&expired[..], &[late.into()]].concat()).when(&command).done_already();
}

#[test]
fn i8_cancelled_lines_lower_the_total_and_one_line_is_left() {
    let cancelled = |replaced_shipment_id| OrderLinesCancelled {
        by: CancelledBy::Owner,
        reason: None,
        lines: fewer(CancelledBy::Owner, None).lines,
        subtotal: won(600),
        total: won(600),
        refund_id: Some(id(5)),
        replaced_shipment_id,
    };
    let order = given::<Order>(&[placed()]).when(&lines(CancelledBy::Owner, None)).records(&[cancelled(None).into()]);
    let left: Vec<_> = order.lines().iter().map(|line| (line.quantity, line.line_total)).collect();
    assert_eq!((left, order.total()), (vec![(1, won(200)), (1, won(400))], Some(won(600))));
    // A parcel that is being prepared is replaced by another one, which is not packed.
    let order = given::<Order>(&[placed(), opened(), paid(), preparing(), packed()])
        .when(&lines(CancelledBy::Owner, None))
        .records(&[cancelled(Some(shipment())).into(), OrderPreparationStarted { shipment_id: id(6) }.into()]);
    assert_eq!(order.shipment_id(), Some(id(6)));
    let more = |lines: Vec<OrderLine>| {
        let asked = LinesToCancel { lines, ..fewer(CancelledBy::Owner, None) };
        given::<Order>(&[placed(), cancelled(None).into()]).when(&OrderCommand::CancelLines(Box::new(asked)))
    };
    let all = order.lines().to_vec();
    more(all.clone()).refused(RefusalCode::ValidationFailed);
    more(Vec::new()).refused(RefusalCode::ValidationFailed);
    more(fewer(CancelledBy::Owner, None).lines).refused(RefusalCode::ValidationFailed);
    more(vec![all[0].clone(), all[0].clone()]).refused(RefusalCode::ValidationFailed);
}

#[test]
fn a_further_parcel_is_not_packed_yet() {
    let sent = [placed(), opened(), paid(), preparing(), packed(), OrderShipped {}.into()];
    let again = OrderEvent::from(OrderPreparationStarted { shipment_id: id(4) });
    given::<Order>(&[&sent[..], &[again]].concat())
        .when(&OrderCommand::Pack)
        .records(&[OrderPacked { shipment_id: id(4) }.into()]);
}

#[test]
fn i9_notes_change_nothing_and_are_bounded() {
    let note = |text: &str| OrderCommand::Note { note: Remark::code(text), by: id(8) };
    let noted = || OrderEvent::from(OrderNoted { note: "rang_twice".into(), by: id(8) });
    let before = folded::<Order>(&[placed()]);
    let after = given::<Order>(&[placed()]).when(&note("rang_twice")).records(&[noted()]);
    assert_eq!((after.status(), after.total(), after.lines()), (before.status(), before.total(), before.lines()));
    let events = |notes: usize| [vec![placed()], vec![noted(); notes]].concat();
    given::<Order>(&events(99)).when(&note("rang_twice")).records(&[noted()]);
    given::<Order>(&events(100)).when(&note("rang_twice")).refused(RefusalCode::TooManyNotes);
    let longest = "x".repeat(2_000);
    given::<Order>(&[placed()]).when(&note(&longest)).records(&[OrderNoted {
        note: Remark::code(&longest),
        by: id(8),
    }
    .into()]);
    for text in [" ", "x".repeat(2_001).as_str()] {
        given::<Order>(&[placed()]).when(&note(text)).refused(RefusalCode::ValidationFailed);
    }
}

#[test]
fn status_names_are_read_back() {
    for status in OrderStatus::ALL.iter().copied() {
        assert_eq!(OrderStatus::from_name(status.name()), Some(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
}

fn delivered() -> Vec<OrderEvent> {
    let (_, events) = states().into_iter().find(|(name, _)| *name == "delivered").unwrap();
    events
}

fn opened_return(quantity: u32) -> OrderEvent {
    let lines = vec![ReturnedUnits { product_id: id(9), quantity }];
    OrderReturnOpened { return_id: id(21), lines }.into()
}

#[test]
fn i10_an_order_is_not_completed_while_goods_of_it_come_back() {
    let open = [delivered(), vec![opened_return(1)]].concat();
    let complete = OrderCommand::Complete { by: CompletedBy::Timer };
    given::<Order>(&open).when(&complete).refused(RefusalCode::OrderStateConflict);
    let ended = OrderReturnEnded { return_id: id(21), lines: Vec::new() };
    let order = given::<Order>(&[open, vec![ended.into()]].concat())
        .when(&complete)
        .records(&[OrderCompleted { by: CompletedBy::Timer }.into()]);
    assert!(!order.has_open_returns());
}

#[test]
fn i10_no_unit_comes_back_twice() {
    let units = |quantity| vec![ReturnedUnits { product_id: id(9), quantity }];
    // Two are about to come back: one is left of three.
    let open = [delivered(), vec![opened_return(2)]].concat();
    let more = returned(CancelledBy::Staff, ReturnReason::Defect, 2);
    let refusal = given::<Order>(&open).when(&more).refused(RefusalCode::ReturnExceedsDelivered);
    assert_eq!(refusal.pointer.as_deref(), Some("/lines/0/quantity"));
    // One of them came back: two are left.
    let back = OrderReturnEnded { return_id: id(21), lines: units(1) };
    let one_back = [open, vec![back.into()]].concat();
    let two = OrderReturnOpened { return_id: id(20), lines: units(2) };
    given::<Order>(&one_back).when(&more).records(&[two.into()]);
    given::<Order>(&one_back)
        .when(&returned(CancelledBy::Staff, ReturnReason::Defect, 3))
        .refused(RefusalCode::ReturnExceedsDelivered);
}

#[test]
fn i10_what_a_carrier_brought_back_is_returned_by_staff() {
    let by = |by| returned(by, ReturnReason::ReturnedToSender, 1);
    let refusal = given::<Order>(&delivered()).when(&by(CancelledBy::Owner)).refused(RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/reason"));
    assert!(matches!(
        folded::<Order>(&delivered()).decide(&by(CancelledBy::Staff), &facts(at(LATE))),
        Decision::Record(_)
    ));
}

#[test]
fn i8_an_unpaid_order_costs_what_shipping_to_its_new_address_costs_and_a_paid_one_what_was_paid() {
    let changed = |total: i64, fee: i64| OrderAddressChanged {
        by: CancelledBy::Staff,
        shipping_address: sealed("elsewhere"),
        shipping_fee: won(fee),
        total: won(total),
        replaced_shipment_id: None,
    };
    let staff = elsewhere(CancelledBy::Staff, 100);
    let order = given::<Order>(&[placed()]).when(&staff).records(&[changed(1_100, 100).into()]);
    assert_eq!((order.total(), order.shipping_address()), (Some(won(1_100)), Some(&sealed("elsewhere"))));
    given::<Order>(&[placed(), opened(), paid()]).when(&staff).records(&[changed(1_000, 0).into()]);
}

#[test]
fn i5_a_parcel_that_is_being_prepared_is_replaced_with_the_address() {
    let replaced = OrderAddressChanged {
        by: CancelledBy::Staff,
        shipping_address: sealed("elsewhere"),
        shipping_fee: won(0),
        total: won(1_000),
        replaced_shipment_id: Some(shipment()),
    };
    let further = OrderPreparationStarted { shipment_id: id(6) };
    given::<Order>(&[placed(), opened(), paid(), preparing()])
        .when(&elsewhere(CancelledBy::Staff, 0))
        .records(&[replaced.into(), further.into()]);
}
