//! From the payment to the parcel, and back again.

use jangbu_kernel::{RefusalCode, StreamId};

use super::*;
use crate::command::Outcome;
use crate::commands::{
    AdjustStock, CancelPayment, ConfirmDelivery, ConfirmOrder, CountStock, DispatchShipment, ExpireOrder, FailOrder,
    FinishCancellation, GrantPoints, HoldOrder, MarkDelivered, ReceiveStock, RecordLatePayment, RecordLoginFailure,
    RecordPaymentFailure, RefundPayment, RegisterUser, ReleaseHold, RequestCapture, RequestPayment, RequestShipment,
    RotateSession, SetBackOrder, SetBuyerLimit, SetStockThreshold, StartSession, WriteOffStock,
};
use crate::order::{Order, OrderStatus};
use crate::payment::Payment;
use crate::points::Points;
use crate::stock::Stock;

fn status(world: &World) -> Option<OrderStatus> {
    world.get_or_new::<Order>(order()).status()
}
fn stock(world: &World) -> (i64, i64, i64) {
    let stock = world.get_or_new::<Stock>(orange());
    (stock.on_hand(), stock.reserved(), stock.allocated())
}
fn ledger(world: &World) -> (i64, i64) {
    let points = world.get_or_new::<Points>(user());
    (points.balance(), points.held())
}
fn expire() -> impl Command {
    ExpireOrder { order_id: order() }
}
fn ship() -> impl Command {
    RequestShipment { order_id: order(), shipment_id: shipment() }
}
fn dispatch() -> impl Command {
    let (carrier, tracking_number) = (Some("sandbox".into()), Some("SB1".into()));
    DispatchShipment { shipment_id: shipment(), carrier, tracking_number }
}
fn failed() -> impl Command {
    RecordPaymentFailure { order_id: order(), payment_id: payment(), reason: "declined".into() }
}

#[test]
fn an_order_travels_to_the_door() {
    let mut world = captured_world();
    let appended = world.must(&confirm(), at(3));
    assert_eq!(appended[0], (StreamId::order(order()), vec!["order.paid"]));
    assert_eq!(appended[1], (StreamId::stock(orange()), vec!["stock.allocated"]));
    assert_eq!(appended[3], (StreamId::points(user()), vec!["points.captured"]));
    assert_eq!(world.ask(&confirm(), at(4)), Outcome::AlreadyDone);
    assert_eq!((stock(&world), ledger(&world)), ((10, 0, 2), (950, 0)));
    let appended = world.must(&ship(), at(4));
    assert_eq!(appended[0].1, ["order.preparation_started"]);
    assert_eq!(appended[1].1, ["shipment.requested"]);
    assert_eq!(world.ask(&ship(), at(5)), Outcome::AlreadyDone);
    let appended = world.must(&dispatch(), at(5));
    assert_eq!(appended[0].1, ["shipment.dispatched"]);
    assert_eq!(appended[1].1, ["order.shipped"]);
    assert_eq!(appended[2], (StreamId::stock(orange()), vec!["stock.shipped"]));
    assert_eq!(world.ask(&dispatch(), at(6)), Outcome::AlreadyDone);
    assert_eq!(stock(&world), (8, 0, 0));
    world.refuses(&cancel(), at(6), RefusalCode::OrderAlreadyDispatched);
    world.must(&MarkDelivered { order_id: order() }, at(7));
    world.must(&ConfirmDelivery { order_id: order() }, at(8));
    assert_eq!(status(&world), Some(OrderStatus::Completed));
    world.check_folds();
}

#[test]
fn no_parcel_leaves_before_the_money_is_here_or_while_on_hold() {
    let mut world = placed_with_payment();
    world.refuses(&ship(), at(1), RefusalCode::OrderStateConflict);
    world.refuses(&dispatch(), at(1), RefusalCode::NotFound);
    let mut world = paid_world();
    world.must(&HoldOrder { order_id: order(), reason: "amount_mismatch".into() }, at(4));
    world.refuses(&ship(), at(4), RefusalCode::OrderStateConflict);
    world.must(&ReleaseHold { order_id: order(), reason: "looked into".into() }, at(4));
    world.must(&ship(), at(4));
    world.must(&cancel(), at(5));
    world.refuses(&dispatch(), at(5), RefusalCode::OrderStateConflict);
    assert_eq!(stock(&world), (10, 0, 2));
}

fn staff_refund(refund_id: u128, units: i64) -> impl Command {
    let (payment_id, amount, reason) = (payment(), won(units), "goodwill".into());
    RefundPayment { payment_id, refund_id: id(refund_id), amount, reason }
}

#[test]
fn goods_whose_money_has_all_gone_back_do_not_leave() {
    let mut world = paid_world();
    world.must(&ship(), at(4));
    world.must(&staff_refund(41, 100), at(5));
    world.must(&staff_refund(42, 150), at(5));
    // It is enough that refunds claim all of it; the gateway may take its time.
    let refusal = world.refuses(&dispatch(), at(6), RefusalCode::OrderStateConflict);
    assert_eq!(refusal.current_state, Some("preparing"));
    assert_eq!(refusal.allowed_commands, ["cancel_order", "cancel_lines", "change_shipping_address"]);
    let scan = DispatchShipment { shipment_id: shipment(), carrier: None, tracking_number: None };
    world.refuses(&scan, at(6), RefusalCode::ShipmentStateConflict);
    assert_eq!(stock(&world), (10, 0, 2));
}

#[test]
fn goods_leave_whose_money_has_gone_back_in_part() {
    let mut world = paid_world();
    world.must(&ship(), at(4));
    world.must(&staff_refund(41, 249), at(5));
    let appended = world.must(&dispatch(), at(6));
    assert_eq!(appended[0].1, ["shipment.dispatched"]);
    assert_eq!(stock(&world), (8, 0, 0));
}

#[test]
fn a_failed_payment_frees_its_points_and_another_may_follow() {
    let mut world = placed_with_payment();
    world.refuses(&failed(), at(1), RefusalCode::PaymentInProgress);
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    world.must(&observe(ChargeOutcome::Declined { code: "insufficient_funds".into() }), at(2));
    assert_eq!(ledger(&world), (1_000, 50));
    world.must(&failed(), at(3));
    assert_eq!((ledger(&world), stock(&world)), ((1_000, 0), (10, 2, 0)));
    assert_eq!(world.ask(&failed(), at(3)), Outcome::AlreadyDone);
    let again = RequestPayment { order_id: order(), payment: pay(id(31), &[card(250)]) };
    world.refuses(&again, at(900), RefusalCode::OrderStateConflict);
    world.must(&again, at(899));
    let third = RequestPayment { order_id: order(), payment: pay(id(32), &[card(250)]) };
    world.refuses(&third, at(899), RefusalCode::PaymentInProgress);
}

#[test]
fn nothing_expires_while_a_payment_is_not_decided() {
    let mut world = placed_with_payment();
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    world.must(&observe(ChargeOutcome::Unknown { detail: "lost".into() }), at(2));
    world.refuses(&expire(), at(900), RefusalCode::PaymentInProgress);
    world.must(&observe(ChargeOutcome::Declined { code: "declined".into() }), at(901));
    // The order need not have noted the failure: a payment that has ended is not in flight.
    let appended = world.must(&expire(), at(902));
    assert_eq!(appended.len(), 4);
    assert_eq!((status(&world), stock(&world), ledger(&world)), (Some(OrderStatus::Expired), (10, 0, 0), (1_000, 0)));
    assert_eq!(world.ask(&expire(), at(903)), Outcome::AlreadyDone);
}

#[test]
fn nothing_expires_whose_money_is_here() {
    captured_world().refuses(&expire(), at(900), RefusalCode::PaymentInProgress);
}

#[test]
fn an_unpaid_order_is_called_off_at_once_with_a_payment_nobody_was_asked_for() {
    let mut world = placed_with_payment();
    let appended = world.must(&cancel(), at(1));
    let order_and_payment =
        [(StreamId::order(order()), vec!["order.cancelled"]), (StreamId::payment(payment()), vec!["payment.voided"])];
    assert_eq!(appended[..2], order_and_payment);
    assert_eq!((stock(&world), ledger(&world)), ((10, 0, 0), (1_000, 0)));
    world.refuses(&RequestCapture { payment_id: payment() }, at(2), RefusalCode::PaymentStateConflict);
    assert_eq!(world.ask(&cancel(), at(2)), Outcome::AlreadyDone);
}

#[test]
fn with_a_payment_at_the_gateway_it_is_cancelling_until_everything_is_back() {
    let mut world = placed_with_payment();
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    assert_eq!(world.must(&cancel(), at(2)), [(StreamId::order(order()), vec!["order.cancellation_requested"])]);
    let finish = FinishCancellation { order_id: order() };
    world.refuses(&finish, at(2), RefusalCode::PaymentInProgress);
    world.must(&observe(captured(200)), at(3));
    world.refuses(&confirm(), at(3), RefusalCode::OrderStateConflict);
    world.must(&refund_all(), at(4));
    // The order was never confirmed, so the ledger only held what the payment had taken.
    let appended = world.must(&refund_settled(), at(5));
    assert_eq!(appended[1], (StreamId::points(user()), vec!["points.captured", "points.restored"]));
    world.must(&finish, at(6));
    assert_eq!((status(&world), stock(&world), ledger(&world)), (Some(OrderStatus::Cancelled), (10, 0, 0), (1_000, 0)));
    assert_eq!(world.ask(&finish, at(7)), Outcome::AlreadyDone);
    let payment = world.get_or_new::<Payment>(payment());
    assert_eq!((payment.captured(), payment.refunded()), (won(250), won(250)));
    world.check_folds();
}

#[test]
fn a_paid_order_is_called_off_by_its_owner_within_the_window() {
    let mut world = paid_world();
    world.refuses(&cancel(), at(3 + 24 * 3_600 + 1), RefusalCode::OrderStateConflict);
    world.must(&cancel(), at(3 + 24 * 3_600));
    world.must(&refund_all(), at(100_000));
    world.must(&refund_settled(), at(100_000));
    assert_eq!(world.ask(&refund_settled(), at(100_001)), Outcome::AlreadyDone);
    let appended = world.must(&FinishCancellation { order_id: order() }, at(100_002));
    assert_eq!(appended[1].1, ["stock.deallocated"]);
    assert_eq!((stock(&world), ledger(&world)), ((10, 0, 0), (1_000, 0)));
}

#[test]
fn a_reservation_that_is_gone_is_made_anew_when_there_is_stock() {
    let mut world = captured_world();
    world.lose_reservation(orange(), order());
    let appended = world.must(&confirm(), at(3));
    assert_eq!(appended[1], (StreamId::stock(orange()), vec!["stock.reserved", "stock.allocated"]));
    assert_eq!(stock(&world), (10, 0, 2));
}

#[test]
fn a_reservation_that_is_gone_for_good_refuses_and_the_order_fails_after_the_refund() {
    let mut world = captured_world();
    world.lose_reservation(orange(), order());
    world.must(&place(id(21), &[(orange(), 9)]), at(3));
    world.refuses(&confirm(), at(3), RefusalCode::InsufficientStock);
    world.must(&refund_all(), at(4));
    world.must(&refund_settled(), at(5));
    let fail = FailOrder { order_id: order(), reason: "insufficient_stock".into() };
    world.must(&fail, at(6));
    assert_eq!((status(&world), ledger(&world)), (Some(OrderStatus::Failed), (1_000, 0)));
    assert_eq!(world.get_or_new::<Stock>(coffee()).reserved_for(order()), 0);
    assert_eq!(world.ask(&fail, at(7)), Outcome::AlreadyDone);
}

#[test]
fn money_that_is_not_here_or_on_its_way_back_pays_nothing() {
    placed_with_payment().refuses(&confirm(), at(1), RefusalCode::PaymentStateConflict);
    let mut world = captured_world();
    world.must(&refund_all(), at(3));
    world.refuses(&confirm(), at(4), RefusalCode::PaymentStateConflict);
    // Captured after it had failed: its points are released or about to be.
    let mut world = placed_with_payment();
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    world.must(&observe(ChargeOutcome::Declined { code: "declined".into() }), at(2));
    world.must(&observe(captured(200)), at(3));
    let refusal = world.refuses(&confirm(), at(4), RefusalCode::PaymentStateConflict);
    assert_eq!(refusal.detail, "the payment had ended before the money came");
    let other = ConfirmOrder { order_id: order(), payment_id: id(99) };
    world.refuses(&other, at(4), RefusalCode::NotFound);
}

#[test]
fn a_payment_is_called_off_before_the_gateway_knows_and_its_points_are_free() {
    let cancel_payment = CancelPayment { payment_id: payment() };
    let mut world = placed_with_payment();
    let appended = world.must(&cancel_payment, at(1));
    let types: Vec<_> = appended.iter().map(|(_, events)| events[0]).collect();
    assert_eq!(types, ["payment.voided", "order.payment_failed", "points.released", "buyer.order_opened"]);
    assert_eq!(ledger(&world), (1_000, 0));
    assert_eq!(world.ask(&cancel_payment, at(2)), Outcome::AlreadyDone);
    let mut world = placed_with_payment();
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    world.refuses(&cancel_payment, at(2), RefusalCode::PaymentInProgress);
    assert_eq!(ledger(&world), (1_000, 50));
}

#[test]
fn money_after_the_end_is_noted_with_its_amount() {
    let late = RecordLatePayment { order_id: order(), payment_id: payment() };
    let mut world = placed_with_payment();
    world.must(&cancel(), at(1));
    world.refuses(&late, at(1), RefusalCode::PaymentStateConflict);
    world.must(&observe(captured(200)), at(2));
    world.must(&late, at(3));
    assert_eq!(world.ask(&late, at(4)), Outcome::AlreadyDone);
    world.must(&refund_all(), at(5));
    // Its points were released when it was cancelled, so only the card's money is refunded.
    assert_eq!(world.must(&refund_settled(), at(6)).len(), 1);
    assert_eq!(ledger(&world), (1_000, 0));
}

#[test]
fn stock_and_points_are_for_what_and_whom_there_is() {
    let mut world = shop();
    world.refuses(&ReceiveStock { product_id: id(99), quantity: 1, location: None }, at(0), RefusalCode::NotFound);
    world.refuses(
        &CountStock { product_id: id(99), counted: 1, reason: None, location: None },
        at(0),
        RefusalCode::NotFound,
    );
    let write_off = WriteOffStock { product_id: id(99), quantity: 1, reason: "mould".into(), location: None };
    world.refuses(&write_off, at(0), RefusalCode::NotFound);
    world.refuses(&SetStockThreshold { product_id: id(99), low: 1 }, at(0), RefusalCode::NotFound);
    world.refuses(&SetBackOrder { product_id: id(99), limit: 1 }, at(0), RefusalCode::NotFound);
    world.refuses(&SetBuyerLimit { product_id: id(99), limit: 1 }, at(0), RefusalCode::NotFound);
    let adjust = AdjustStock { product_id: id(99), delta: 1, reason: "counted".into(), location: None };
    world.refuses(&adjust, at(0), RefusalCode::NotFound);
    let nobody = GrantPoints { user_id: id(99), amount: won(1), reference: "x".into(), expires_at: None };
    world.refuses(&nobody, at(0), RefusalCode::NotFound);
    assert_eq!(world.ask(&grant(1_000, "welcome"), at(1)), Outcome::AlreadyDone);
    world.refuses(&grant(1, "welcome"), at(1), RefusalCode::ReferenceReused);
}

#[test]
fn an_address_registers_once_and_wrong_passwords_lock_nobody_out() {
    let mut world = shop();
    let (email, name, phone, password_hash) = (sealed("e"), sealed("n"), None, sealed("p"));
    let other = RegisterUser {
        user_id: id(3),
        email_claim: id(2),
        other_claims: vec![],
        email,
        name,
        phone,
        password_hash,
        roles: vec![],
    };
    world.refuses(&other, at(0), RefusalCode::EmailTaken);
    let start = |session| StartSession { session_id: id(session), user_id: user(), token_hash: "a".into() };
    assert_eq!(world.must(&start(60), at(0)).len(), 1);
    world.must(&RecordLoginFailure { user_id: user() }, at(0));
    let appended = world.must(&start(61), at(0));
    assert_eq!(appended[0].1, ["user.login_succeeded"]);
    for _ in 0..20 {
        world.must(&RecordLoginFailure { user_id: user() }, at(0));
    }
    world.must(&start(62), at(1));
    let rotate = |presented: &str| RotateSession {
        session_id: id(60),
        presented_hash: presented.into(),
        presented_generation: Some(0),
        next_hash: "b".into(),
    };
    world.must(&rotate("a"), at(1));
    assert_eq!(world.ask(&rotate("a"), at(10)), Outcome::AlreadyDone);
    let appended = world.must(&rotate("a"), at(900));
    assert_eq!(appended[0].1, ["session.reuse_detected", "session.ended"]);
}
