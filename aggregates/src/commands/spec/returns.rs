//! Returns: what is refunded or sent again, and what stays as it was.

use jangbu_kernel::{Money, RefusalCode, ReturnId};

use super::*;
use crate::command::{ErasedCommand, Outcome};
use crate::commands::{
    ApproveReturn, CloseReturn, DispatchShipment, FailOrder, FinishCancellation, InspectReturn, LapseReturn,
    MarkDelivered, ReceiveReturn, RefundPayment, RequestReturn, RequestShipment, WriteOffStock,
};
use crate::order::{Order, OrderStatus};
use crate::payment::Payment;
use crate::returns::{InspectedLine, Remedy, Replacement, Return, ReturnReason, ReturnStatus};
use crate::stock::Stock;

const LATER: i64 = 20;

fn goods_return() -> ReturnId {
    id(80)
}

/// Two oranges and a coffee, 250 won, arrived.
fn arrived() -> World {
    let mut world = paid_world();
    world.must(&RequestShipment { order_id: order(), shipment_id: shipment() }, at(4));
    let (carrier, tracking_number) = (Some("sandbox".into()), Some("SB1".into()));
    world.must(&DispatchShipment { shipment_id: shipment(), carrier, tracking_number }, at(5));
    world.must(&MarkDelivered { order_id: order() }, at(6));
    world
}

fn wants(reason: ReturnReason, remedy: Remedy, lines: &[(ProductId, Option<u32>)]) -> RequestReturn {
    let further = Replacement { order_id: id(90), number: "2".into(), shipping_address: sealed("address") };
    RequestReturn {
        return_id: goods_return(),
        order_id: order(),
        by: CancelledBy::Owner,
        reason,
        remedy,
        lines: lines.to_vec(),
        note: None,
        replacement: (remedy == Remedy::Exchange).then_some(further),
    }
}

/// The goods came back and were looked at.
fn back(world: &mut World, asked: &RequestReturn, fee: Option<Money>, found: &[(ProductId, u32, u32)]) {
    let return_id = goods_return();
    world.must(asked, at(LATER));
    world.must(&ApproveReturn { return_id, fee }, at(LATER));
    world.must(&ReceiveReturn { return_id }, at(LATER));
    let line = |(product_id, restocked, written_off): &(ProductId, u32, u32)| InspectedLine {
        product_id: *product_id,
        restocked: *restocked,
        written_off: *written_off,
    };
    world.must(&InspectReturn { return_id, lines: found.iter().map(line).collect(), note: None }, at(LATER));
}

fn close(remedy: Option<Remedy>) -> CloseReturn {
    CloseReturn { return_id: goods_return(), refund_id: refund(), remedy }
}

fn refunded(world: &World) -> Option<Money> {
    let payment = world.get_or_new::<Payment>(payment());
    payment.refund(refund()).map(|refund| refund.amount)
}

#[test]
fn what_came_back_is_refunded_less_the_fee_and_is_in_stock_where_it_can_be_sold() {
    let mut world = arrived();
    let asked = wants(ReturnReason::ChangedMind, Remedy::Refund, &[(orange(), None)]);
    back(&mut world, &asked, Some(won(30)), &[(orange(), 1, 1)]);
    assert_eq!(world.get_or_new::<Stock>(orange()).on_hand(), 9);
    world.must(&close(None), at(LATER));
    assert_eq!(refunded(&world), Some(won(170)));
    assert_eq!(world.get_or_new::<Return>(goods_return()).status(), Some(ReturnStatus::Closed));
    assert!(!world.get_or_new::<Order>(order()).has_open_returns());
    assert_eq!(world.ask(&close(None), at(LATER)), Outcome::AlreadyDone);
}

#[test]
fn never_more_is_refunded_than_is_left_and_nothing_for_nothing() {
    let mut world = arrived();
    let (payment_id, amount) = (payment(), won(120));
    world.must(&RefundPayment { payment_id, refund_id: id(41), amount, reason: "goodwill".into() }, at(10));
    let asked = wants(ReturnReason::Defect, Remedy::Refund, &[(orange(), None)]);
    back(&mut world, &asked, None, &[(orange(), 2, 0)]);
    world.must(&close(None), at(LATER));
    assert_eq!(refunded(&world), Some(won(130)));

    let mut world = arrived();
    back(&mut world, &wants(ReturnReason::Defect, Remedy::Exchange, &[(orange(), None)]), None, &[]);
    world.must(&close(None), at(LATER));
    assert_eq!((refunded(&world), world.get_or_new::<Order>(OrderId::new(id(90))).status()), (None, None));
}

#[test]
fn an_exchange_is_a_further_order_that_costs_nothing_or_a_refund_where_there_is_nothing_to_send() {
    let mut world = arrived();
    back(&mut world, &wants(ReturnReason::Defect, Remedy::Exchange, &[(orange(), Some(1))]), None, &[(orange(), 0, 1)]);
    let none_left = WriteOffStock { product_id: orange(), quantity: 8, reason: "frost".into(), location: None };
    world.must(&none_left, at(LATER));
    world.refuses(&close(None), at(LATER), RefusalCode::InsufficientStock);
    assert!(world.get_or_new::<Order>(order()).has_open_returns());
    let mut refund_instead = world.clone();
    refund_instead.must(&close(Some(Remedy::Refund)), at(LATER));
    assert_eq!(refunded(&refund_instead), Some(won(100)));

    world.must(&ReceiveStock { product_id: orange(), quantity: 1, location: None }, at(LATER));
    world.must(&close(None), at(LATER));
    let further = world.get_or_new::<Order>(OrderId::new(id(90)));
    assert_eq!((further.status(), further.total()), (Some(OrderStatus::Paid), Some(won(0))));
    assert_eq!(further.money_in(), Some(payment()));
    assert_eq!(world.get_or_new::<Stock>(orange()).allocated_for(id(90)), 1);
    assert_eq!(refunded(&world), None);
}

#[test]
fn nobody_who_asked_for_money_gets_goods() {
    let mut world = arrived();
    back(&mut world, &wants(ReturnReason::Defect, Remedy::Refund, &[(orange(), None)]), None, &[(orange(), 2, 0)]);
    let refusal = world.refuses(&close(Some(Remedy::Exchange)), at(LATER), RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/remedy"));
}

#[test]
fn what_is_not_sent_back_lapses_in_its_time_and_not_before() {
    let mut world = arrived();
    let return_id = goods_return();
    world.must(&wants(ReturnReason::Defect, Remedy::Refund, &[(orange(), None)]), at(LATER));
    let two_weeks = 14 * 24 * 3_600;
    assert_eq!(world.ask(&LapseReturn { return_id }, at(LATER + two_weeks)), Outcome::AlreadyDone, "not approved");
    world.must(&ApproveReturn { return_id, fee: None }, at(LATER));
    assert_eq!(world.ask(&LapseReturn { return_id }, at(LATER + two_weeks - 1)), Outcome::AlreadyDone);
    world.must(&LapseReturn { return_id }, at(LATER + two_weeks));
    assert_eq!(world.get_or_new::<Return>(return_id).status(), Some(ReturnStatus::Withdrawn));
    assert!(!world.get_or_new::<Order>(order()).has_open_returns());
}

#[test]
fn a_return_of_an_order_that_is_not_there_is_refused() {
    let mut world = shop();
    world.refuses(&wants(ReturnReason::Defect, Remedy::Refund, &[(orange(), None)]), at(1), RefusalCode::NotFound);
    world.refuses(&close(None), at(1), RefusalCode::NotFound);
    world.refuses(&LapseReturn { return_id: goods_return() }, at(1), RefusalCode::NotFound);
}

#[test]
fn an_exchange_that_is_called_off_or_fails_gives_the_money_of_its_goods_back() {
    let further = OrderId::new(id(90));
    let money = |world: &World| world.get_or_new::<Payment>(payment()).refundable();
    let ends: [&[&dyn ErasedCommand]; 2] = [
        &[
            &CancelOrder { order_id: further, by: CancelledBy::Owner, reason: None },
            &FinishCancellation { order_id: further },
        ],
        &[&FailOrder { order_id: further, reason: "shipment_refused".into() }],
    ];
    for end in ends {
        let mut world = arrived();
        let asked = wants(ReturnReason::Defect, Remedy::Exchange, &[(orange(), Some(1))]);
        back(&mut world, &asked, None, &[(orange(), 0, 1)]);
        world.must(&close(None), at(LATER));
        assert_eq!(money(&world), won(250));
        for command in end {
            world.must(*command, at(LATER + 1));
        }
        assert_eq!(money(&world), won(150));
        assert_eq!(world.get_or_new::<Stock>(orange()).allocated_for(further), 0);
        // A repeat gives nothing more back.
        world.ask(*end.last().unwrap(), at(LATER + 2));
        assert_eq!(money(&world), won(150));
    }
}
