//! Placing an order: everything in one append, or nothing.

use chrono::TimeDelta;
use jangbu_kernel::{Refusal, RefusalCode, StreamId};

use super::*;
use crate::command::Outcome;
use crate::commands::{
    CancelOrder, CancelPayment, CreateProduct, DeactivateProduct, ExpireOrder, PlaceOrder, ReceiveStock,
    RecordLoginFailure, RequestPayment, SetBuyerLimit, quote_order,
};
use crate::event::DomainEvent;
use crate::order::{Order, OrderEvent, OrderStatus};
use crate::shipping::ShippingFee;
use crate::state::States as _;
use crate::stock::Stock;
use crate::testing::facts;

fn refused(change: impl FnOnce(&mut PlaceOrder), code: RefusalCode) -> Refusal {
    let mut command = place(order(), &[(orange(), 2), (coffee(), 1)]);
    change(&mut command);
    shop().refuses(&command, at(0), code)
}

#[test]
fn an_order_its_process_and_its_reservations_are_one_append() {
    let mut world = shop();
    let appended = world.must(&place(order(), &[(orange(), 2), (coffee(), 1)]), at(0));
    assert_eq!(
        appended,
        [
            (StreamId::order(order()), vec!["order.placed"]),
            (StreamId::fulfilment(order()), vec!["fulfilment.started"]),
            (StreamId::stock(orange()), vec!["stock.reserved"]),
            (StreamId::stock(coffee()), vec!["stock.reserved"]),
            (StreamId::buyer(user()), vec!["buyer.order_opened"]),
        ]
    );
    assert_eq!(world.get_or_new::<Stock>(orange()).reserved_for(order()), 2);
    assert_eq!(world.ask(&place(order(), &[(orange(), 9)]), at(0)), Outcome::AlreadyDone);
}

#[test]
fn a_payment_in_the_body_is_opened_and_its_points_are_held_in_the_same_append() {
    let mut world = shop();
    let mut command = place(order(), &[(orange(), 2), (coffee(), 1)]);
    command.payment = Some(pay(payment(), &[card(200), points(50)]));
    let appended = world.must(&command, at(0));
    assert_eq!(appended[0].1, ["order.placed", "order.payment_opened"]);
    assert_eq!(appended[4], (StreamId::payment(payment()), vec!["payment.requested"]));
    assert_eq!(appended[5], (StreamId::points(user()), vec!["points.held"]));
    assert_eq!(world.get_or_new::<Order>(order()).status(), Some(OrderStatus::AwaitingPayment));
}

#[test]
fn an_order_without_a_price_is_paid_and_allocated_at_once() {
    let mut world = shop();
    let appended = world.must(&place(order(), &[(gift(), 1)]), at(0));
    assert_eq!(appended[0].1, ["order.placed", "order.paid"]);
    assert_eq!(appended[2].1, ["stock.reserved", "stock.depleted", "stock.allocated"]);
    let mut command = place(order(), &[(gift(), 1)]);
    command.payment = Some(pay(payment(), &[card(100)]));
    let refusal = shop().refuses(&command, at(0), RefusalCode::PaymentMethodInvalid);
    assert_eq!(refusal.pointer.as_deref(), Some("/payment"));
}

#[test]
fn the_time_to_pay_can_be_shortened_but_not_lengthened() {
    let deadline = |pay_within| {
        let mut world = shop();
        world.must(&PlaceOrder { pay_within, ..place(order(), &[(orange(), 1)]) }, at(0));
        world.get_or_new::<Order>(order()).payment_deadline()
    };
    assert_eq!(deadline(None), Some(at(15 * 60)));
    assert_eq!(deadline(Some(TimeDelta::seconds(60))), Some(at(60)));
    assert_eq!(deadline(Some(TimeDelta::hours(1))), Some(at(15 * 60)));
}

#[test]
fn equal_products_are_one_line() {
    let mut world = shop();
    world.must(&place(order(), &[(orange(), 2), (coffee(), 1), (orange(), 3)]), at(0));
    let order = world.get_or_new::<Order>(order());
    let lines: Vec<_> = order.lines().iter().map(|line| (line.product_id, line.quantity, line.line_total)).collect();
    assert_eq!(lines, [(orange(), 5, won(500)), (coffee(), 1, won(50))]);
    assert_eq!(order.total(), Some(won(550)));
}

#[test]
fn every_short_line_is_named_and_the_first_is_pointed_at() {
    let lines = &[(gift(), 1), (orange(), 11), (coffee(), 6)];
    let refusal = shop().refuses(&place(order(), lines), at(0), RefusalCode::InsufficientStock);
    assert_eq!(refusal.pointer.as_deref(), Some("/lines/1"));
    assert!(refusal.detail.contains("line 1 wants 11"), "{}", refusal.detail);
    assert!(refusal.detail.contains("line 2 wants 6"), "{}", refusal.detail);
    assert!(!refusal.detail.contains("line 0"), "{}", refusal.detail);
}

#[test]
fn every_guard_refuses_and_nothing_is_appended() {
    let pointer = |refusal: Refusal| refusal.pointer.unwrap_or_default();
    assert_eq!(pointer(refused(|c| c.lines.clear(), RefusalCode::ValidationFailed)), "/lines");
    assert_eq!(pointer(refused(|c| c.lines[1].quantity = 0, RefusalCode::ValidationFailed)), "/lines/1/quantity");
    assert_eq!(pointer(refused(|c| c.lines[0].quantity = 1_000, RefusalCode::ValidationFailed)), "/lines/0/quantity");
    let sum = |c: &mut PlaceOrder| c.lines = place(order(), &[(orange(), 999), (orange(), 1)]).lines;
    assert_eq!(pointer(refused(sum, RefusalCode::ValidationFailed)), "/lines/1/quantity");
    let many =
        |c: &mut PlaceOrder| c.lines = (0..51).map(|n| WantedLine { product_id: id(100 + n), quantity: 1 }).collect();
    assert_eq!(pointer(refused(many, RefusalCode::ValidationFailed)), "/lines");
    let unknown = |c: &mut PlaceOrder| c.lines[1].product_id = id(999);
    assert_eq!(pointer(refused(unknown, RefusalCode::NotFound)), "/lines/1/product_id");
    assert_eq!(refused(|c| c.user_id = id(999), RefusalCode::NotFound).detail, "no such user");
    let refusal = refused(|c| c.expected_total = Some(won(251)), RefusalCode::TotalChanged);
    assert_eq!(refusal.detail, "251 KRW was expected, the total is 250 KRW");
    let short = |c: &mut PlaceOrder| c.payment = Some(pay(payment(), &[card(249)]));
    assert_eq!(pointer(refused(short, RefusalCode::PaymentTotalMismatch)), "/payment/legs");
    let poor = |c: &mut PlaceOrder| {
        c.lines = place(order(), &[(orange(), 10), (coffee(), 5)]).lines;
        c.payment = Some(pay(payment(), &[card(249), points(1_001)]));
    };
    assert_eq!(pointer(refused(poor, RefusalCode::InsufficientPoints)), "/payment/legs/1");
}

#[test]
fn what_is_off_sale_cannot_be_bought_and_wrong_passwords_keep_nobody_from_buying() {
    let mut world = shop();
    world.must(&DeactivateProduct { product_id: orange() }, at(0));
    let command = place(order(), &[(orange(), 1)]);
    world.refuses(&command, at(0), RefusalCode::ProductNotActive);
    let mut world = shop();
    for _ in 0..20 {
        world.must(&RecordLoginFailure { user_id: user() }, at(0));
    }
    world.must(&command, at(0));
}

/// Places an order that nobody pays yet.
fn waiting(number: u128, quantity: u32) -> PlaceOrder {
    place(id(number), &[(orange(), quantity)])
}

#[test]
fn a_buyer_keeps_no_more_orders_waiting_than_the_policy_allows() {
    let mut world = shop();
    for number in 100..103 {
        world.must(&waiting(number, 1), at(0));
    }
    let refusal = world.refuses(&waiting(103, 1), at(1), RefusalCode::TooManyOpenOrders);
    assert!(refusal.detail.contains("at most 3"), "{}", refusal.detail);
    // Paying an order, cancelling one, and time make room.
    let payment = pay(payment(), &[card(100)]);
    world.must(&RequestPayment { order_id: id(100), payment }, at(2));
    world.must(&waiting(103, 1), at(2));
    world.refuses(&waiting(104, 1), at(2), RefusalCode::TooManyOpenOrders);
    world.must(&CancelOrder { order_id: id(101), by: CancelledBy::Owner, reason: None }, at(3));
    world.must(&waiting(104, 1), at(3));
    world.must(&ExpireOrder { order_id: id(102) }, at(900));
    world.must(&waiting(105, 1), at(900));
    world.check_folds();
}

#[test]
fn an_order_whose_payment_failed_waits_again() {
    let mut world = shop();
    for number in 0..4 {
        let (order_id, payment_id) = (id(100 + number), id(200 + number));
        let mut command = place(order_id, &[(orange(), 1)]);
        command.payment = Some(pay(payment_id, &[card(100)]));
        world.must(&command, at(0));
        world.must(&CancelPayment { payment_id }, at(0));
    }
    // Four orders wait, one more than may, and the next is refused whether it is paid or not.
    world.refuses(&waiting(104, 1), at(1), RefusalCode::TooManyOpenOrders);
    let mut paid = place(id(104), &[(orange(), 1)]);
    paid.payment = Some(pay(id(204), &[card(100)]));
    world.refuses(&paid.clone(), at(1), RefusalCode::TooManyOpenOrders);
    world.must(&CancelOrder { order_id: id(100), by: CancelledBy::Owner, reason: None }, at(1));
    world.must(&paid, at(1));
    world.check_folds();
}

#[test]
fn a_buyer_keeps_no_more_units_of_a_product_waiting_than_the_policy_allows() {
    let mut world = shop();
    world.must(&ReceiveStock { product_id: orange(), quantity: 5_000, location: None }, at(0));
    world.must(&waiting(100, 600), at(0));
    world.refuses(&waiting(101, 400), at(0), RefusalCode::TooManyOpenOrders);
    world.must(&waiting(101, 399), at(0));
}

#[test]
fn without_limits_nothing_is_written_about_what_waits() {
    let mut world = shop();
    let mut facts = facts(at(0));
    let policy = std::sync::Arc::make_mut(&mut facts.policy);
    (policy.max_open_unpaid_orders, policy.max_unpaid_units) = (None, None);
    for number in 100..110 {
        assert!(matches!(world.run(&waiting(number, 1), &facts), Outcome::Record(_)));
    }
    assert!(world.log.iter().all(|(stream, _)| stream.kind != jangbu_kernel::AggregateKind::Buyer));
}

#[test]
fn a_limit_of_a_product_holds_for_each_buyer_however_they_pay_and_without_limits_of_the_shop() {
    let mut world = shop();
    let limit = |product_id, limit| SetBuyerLimit { product_id, limit };
    world.must(&limit(orange(), 3), at(0));
    world.must(&ReceiveStock { product_id: gift(), quantity: 9, location: None }, at(0));
    world.must(&limit(gift(), 1), at(0));
    let mut facts = facts(at(0));
    let policy = std::sync::Arc::make_mut(&mut facts.policy);
    (policy.max_open_unpaid_orders, policy.max_unpaid_units) = (None, None);
    let refused = |world: &mut World, command: &PlaceOrder| {
        let Outcome::Refused(refusal) = world.run(command, &facts) else { panic!("{command:?}") };
        assert_eq!(refusal.code, RefusalCode::TooManyOpenOrders, "{command:?}");
    };
    let paid = |number: u128, quantity: u32| {
        let mut command = place(id(number), &[(orange(), quantity)]);
        command.payment = Some(pay(id(100 + number), &[card(100 * i64::from(quantity))]));
        command
    };
    refused(&mut world, &waiting(100, 4));
    refused(&mut world, &paid(100, 4));
    refused(&mut world, &place(id(100), &[(gift(), 2)]));
    assert!(matches!(world.run(&waiting(100, 2), &facts), Outcome::Record(_)));
    refused(&mut world, &waiting(101, 2));
    refused(&mut world, &paid(101, 2));
    assert!(matches!(world.run(&paid(101, 1), &facts), Outcome::Record(_)));
    let cancel = CancelOrder { order_id: id(100), by: CancelledBy::Owner, reason: None };
    assert!(matches!(world.run(&cancel, &facts), Outcome::Record(_)));
    assert!(matches!(world.run(&waiting(102, 3), &facts), Outcome::Record(_)));
}

#[test]
fn lines_of_two_currencies_are_refused() {
    let mut world = shop();
    let price = jangbu_kernel::Money::parse("1.50", "USD".parse().unwrap()).unwrap();
    let (product_id, name) = (id(13), "coffee".to_owned());
    let create = CreateProduct::plain(product_id, name, price);
    world.must(&create, at(0));
    world.must(&ReceiveStock { product_id, quantity: 1, location: None }, at(0));
    let command = place(order(), &[(orange(), 1), (product_id, 1)]);
    let refusal = world.refuses(&command, at(0), RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/lines/1"));
}

#[test]
fn m5_lines_and_shipping_make_the_total_and_the_quote_says_the_same() {
    let mut world = shop();
    let mut facts = facts(at(0));
    let policy = std::sync::Arc::make_mut(&mut facts.policy);
    policy.shipping_fees = vec![ShippingFee::plain(won(30), Some(won(300)))];
    for (quantity, fee) in [(2, 30), (3, 0)] {
        let command = place(id(20 + u128::from(quantity)), &[(orange(), quantity)]);
        let quote = quote_order(&world, &facts, &command.lines, None).unwrap().unwrap();
        let Outcome::Record(streams) = world.run(&command, &facts) else { panic!("refused") };
        let DomainEvent::Order(OrderEvent::Placed(placed)) = &streams[0].1[0] else { panic!("not placed") };
        let units = i64::from(quantity) * 100;
        assert_eq!((placed.subtotal, placed.discount, placed.shipping_fee), (won(units), won(0), won(fee)));
        assert_eq!(placed.total, won(units + fee));
        assert_eq!((quote.total, &quote.lines), (placed.total, &placed.lines));
    }
}

#[test]
fn of_many_buyers_of_the_last_one_exactly_one_gets_it() {
    let mut world = shop();
    let mut sold = 0;
    for number in 0..100 {
        match world.ask(&place(id(1_000 + number), &[(gift(), 1)]), at(0)) {
            Outcome::Record(_) => sold += 1,
            Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::InsufficientStock),
            Outcome::AlreadyDone => panic!("orders are different ones"),
        }
    }
    assert_eq!(sold, 1);
    assert!(world.any(StreamId::order(id(1_099))).is_some());
}
