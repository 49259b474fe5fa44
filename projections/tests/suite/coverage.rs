//! Every event type names the views it shows in, or why it shows in none.

use std::collections::BTreeMap;

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::AggregateKind;

enum Shown {
    In(&'static [&'static str]),
    Nowhere(&'static str),
}
use Shown::{In, Nowhere};

const LEDGER: Shown = In(&["points", "points_entries"]);
const STOCK: Shown = In(&["stock", "stock_marks"]);
const MOVEMENT: Shown = In(&["stock", "stock_marks", "stock_movements"]);
const TIMER: Shown = In(&["fulfilments", "timers"]);
const SESSION: Shown = Nowhere("sessions are read by folding their stream when a token is refreshed");
const SLUG: Shown = Nowhere("a claim is looked up by its own stream; the slug shows with its product");
const LOCATIONS: Shown = Nowhere("they are read by folding their one stream, of a hundred locations at most");
const ADMINISTRATORS: Shown = Nowhere("it guards the last of them; who is one shows in the roles of \"users\"");

const IMPORT: Shown = Nowhere("an import is read by folding its stream, which is short");
const WAITING: Shown = Nowhere("they only limit what is placed next; the orders themselves show what waits");

const TABLE: &[(&str, Shown)] = &[
    ("user.registered", In(&["users"])),
    ("user.contact_details_changed", In(&["users"])),
    ("user.role_granted", In(&["users"])),
    ("user.role_revoked", In(&["users"])),
    ("user.login_failed", In(&["users"])),
    ("user.login_succeeded", In(&["users"])),
    ("user.locked", In(&["users"])),
    ("user.unlocked", In(&["users"])),
    ("user.notices_chosen", In(&["users"])),
    ("administrators.listed", ADMINISTRATORS),
    ("administrators.added", ADMINISTRATORS),
    ("administrators.removed", ADMINISTRATORS),
    ("email.claimed", Nowhere("a claim is looked up by its own stream and says nothing that its user does not")),
    ("session.started", SESSION),
    ("session.rotated", SESSION),
    ("session.reuse_detected", SESSION),
    ("session.ended", SESSION),
    ("product.created", In(&["products"])),
    ("product.activated", In(&["products"])),
    ("product.deactivated", In(&["products"])),
    ("product.renamed", In(&["products"])),
    ("product.described", In(&["products"])),
    ("product.repriced", In(&["products"])),
    ("product.removed", In(&["products"])),
    ("product.categorised", In(&["products"])),
    ("product.seller_changed", In(&["products"])),
    ("product.tax_class_set", In(&["products"])),
    ("product.images_set", In(&["products"])),
    ("product.metadata_set", In(&["products"])),
    ("product.weighed", In(&["products"])),
    ("product.made_variant", In(&["products"])),
    ("product.made_single", In(&["products"])),
    ("product.variant_added", In(&["products"])),
    ("product.variant_removed", In(&["products"])),
    ("product.slug_set", In(&["products"])),
    ("slug.claimed", SLUG),
    ("slug.freed", SLUG),
    ("category.created", In(&["categories"])),
    ("category.renamed", In(&["categories"])),
    ("category.moved", In(&["categories"])),
    ("category.child_added", In(&["categories"])),
    ("category.child_removed", In(&["categories"])),
    ("category.removed", In(&["categories"])),
    ("stock.received", MOVEMENT),
    ("stock.adjusted", MOVEMENT),
    ("stock.counted", MOVEMENT),
    ("stock.written_off", MOVEMENT),
    ("stock.reserved", STOCK),
    ("stock.released", STOCK),
    ("stock.allocated", STOCK),
    ("stock.deallocated", STOCK),
    ("stock.shipped", MOVEMENT),
    ("stock.restocked", MOVEMENT),
    ("stock.transfer_sent", MOVEMENT),
    ("stock.transfer_received", MOVEMENT),
    ("stock.transfer_lost", MOVEMENT),
    ("stock.threshold_set", STOCK),
    ("stock.back_order_set", STOCK),
    ("stock.buyer_limit_set", STOCK),
    ("stock.ran_low", STOCK),
    ("stock.depleted", STOCK),
    ("stock.replenished", STOCK),
    ("locations.opened", LOCATIONS),
    ("locations.renamed", LOCATIONS),
    ("locations.closed", LOCATIONS),
    ("locations.reopened", LOCATIONS),
    ("order.placed", In(&["orders"])),
    ("order.payment_opened", In(&["orders"])),
    ("order.payment_failed", In(&["orders"])),
    ("order.paid", In(&["orders"])),
    ("order.expired", In(&["orders"])),
    ("order.preparation_started", In(&["orders"])),
    ("order.lines_cancelled", In(&["orders"])),
    ("order.packed", In(&["orders"])),
    ("order.shipped", In(&["orders"])),
    ("order.delivered", In(&["orders"])),
    ("order.completed", In(&["orders"])),
    ("order.cancellation_requested", In(&["orders"])),
    ("order.cancelled", In(&["orders"])),
    ("order.failed", In(&["orders"])),
    ("order.late_payment_detected", In(&["orders"])),
    ("order.put_on_hold", In(&["orders"])),
    ("order.hold_released", In(&["orders"])),
    ("order.noted", In(&["orders", "order_notes"])),
    ("order.address_changed", In(&["orders"])),
    ("order.return_opened", In(&["orders"])),
    ("order.return_ended", In(&["orders"])),
    ("payment.requested", In(&["payments"])),
    ("payment.capture_requested", In(&["payments"])),
    ("payment.challenge_required", In(&["payments"])),
    ("payment.redirect_required", In(&["payments"])),
    ("payment.deposit_awaited", In(&["payments"])),
    ("payment.challenge_confirmed", In(&["payments"])),
    ("payment.outcome_unknown", In(&["payments"])),
    ("payment.inquiry_undecided", In(&["payments"])),
    ("payment.net_cancel_requested", In(&["payments"])),
    ("payment.captured", In(&["payments"])),
    ("payment.failed", In(&["payments"])),
    ("payment.voided", In(&["payments"])),
    ("payment.mismatch_detected", In(&["payments"])),
    ("payment.mismatch_accepted", In(&["payments"])),
    ("payment.observation_ignored", In(&["payments"])),
    ("payment.refund_requested", In(&["payments"])),
    ("payment.leg_refunded", In(&["payments"])),
    ("payment.refund_settled", In(&["payments"])),
    ("payment.refund_refused", In(&["payments"])),
    ("shipment.requested", In(&["shipments"])),
    ("shipment.refused", In(&["shipments"])),
    ("shipment.ready", In(&["shipments"])),
    ("shipment.dispatched", In(&["shipments"])),
    ("shipment.scan_recorded", In(&["shipments"])),
    ("shipment.in_transit", In(&["shipments"])),
    ("shipment.out_for_delivery", In(&["shipments"])),
    ("shipment.attempt_failed", In(&["shipments"])),
    ("shipment.exception_reported", In(&["shipments"])),
    ("shipment.delivered", In(&["shipments"])),
    ("shipment.returned", In(&["shipments"])),
    ("shipment.lost", In(&["shipments"])),
    ("shipment.cancelled", In(&["shipments"])),
    ("shipment.tracking_number_corrected", In(&["shipments"])),
    ("return.requested", In(&["returns"])),
    ("return.approved", In(&["returns"])),
    ("return.rejected", In(&["returns"])),
    ("return.withdrawn", In(&["returns"])),
    ("return.sent", In(&["returns"])),
    ("return.received", In(&["returns"])),
    ("return.inspected", In(&["returns"])),
    ("return.closed", In(&["returns"])),
    ("points.granted", LEDGER),
    ("points.held", LEDGER),
    ("points.captured", LEDGER),
    ("points.released", LEDGER),
    ("points.restored", LEDGER),
    ("points.expired", LEDGER),
    ("fulfilment.started", In(&["fulfilments", "timers"])),
    ("fulfilment.input_received", In(&["fulfilments"])),
    ("fulfilment.inputs_set_aside", In(&["fulfilments"])),
    ("fulfilment.step_entered", In(&["fulfilments"])),
    ("fulfilment.command_issued", In(&["fulfilments"])),
    ("fulfilment.command_refused", In(&["fulfilments"])),
    ("fulfilment.timer_set", TIMER),
    ("fulfilment.timer_cancelled", TIMER),
    ("fulfilment.timer_reached", TIMER),
    ("fulfilment.compensation_started", In(&["fulfilments"])),
    ("fulfilment.parked", In(&["fulfilments"])),
    ("fulfilment.operator_resolved", In(&["fulfilments"])),
    ("fulfilment.ended", In(&["fulfilments"])),
    ("buyer.order_opened", WAITING),
    ("buyer.order_closed", WAITING),
    ("import.started", IMPORT),
    ("import.progressed", IMPORT),
    ("import.finished", IMPORT),
    ("import.interrupted", IMPORT),
    ("notice.sent", In(&["notices"])),
    ("notice.failed", In(&["notices"])),
    ("notice.given_up", In(&["notices"])),
    ("notice.send_requested", In(&["notices"])),
];

#[test]
fn every_event_type_says_where_it_shows() {
    let table: BTreeMap<&str, &Shown> = TABLE.iter().map(|(event_type, shown)| (*event_type, shown)).collect();
    assert_eq!(table.len(), TABLE.len(), "a type is listed twice");
    let mut types = 0;
    for info in DomainEvent::types() {
        types += 1;
        let shown = table.get(info.event_type).unwrap_or_else(|| panic!("{} is missing in the table", info.event_type));
        let kind = AggregateKind::from_name(info.event_type.split('.').next().unwrap()).unwrap();
        let views = jangbu_projections::shown_in(kind, info.event_type);
        match shown {
            In(named) => assert_eq!(views, **named, "{}", info.event_type),
            Nowhere(reason) => {
                assert!(!reason.is_empty(), "{}", info.event_type);
                assert!(views.is_empty(), "{} shows in {views:?}", info.event_type);
            }
        }
    }
    assert_eq!(types, table.len(), "the table lists a type that does not exist");
}
