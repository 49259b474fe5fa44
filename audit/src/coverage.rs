//! Every event type names the checks that look at it, or why none does. Checks that look at all
//! events are not listed: that a command's events are one append, and that processes are told of
//! them.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_aggregates::DomainEvent;

use super::{checks, money};

enum Seen {
    By(&'static [&'static str]),
    Nowhere(&'static str),
}
use Seen::{By, Nowhere};

const PEOPLE: Seen = Nowhere("accounts carry no sums; what they may do is decided when they ask");
const CATALOGUE: Seen = Nowhere("an order keeps its own copy of names and prices, which is what is summed");
const SLUG: Seen = Nowhere("a slug carries no sums; whose it is is decided by its own stream");
const LOCATIONS: Seen = Nowhere("what is at a location is judged by the facts of stock, which name it");
const JOURNEY: Seen = Nowhere("where a parcel is says nothing about money or goods once it has left");
const STOCK: Seen = By(&["stock", "stock_levels"]);
const IMPORT: Seen = Nowhere("it only counts what became of the rows of a file, each a command of its own");
const TOLD: Seen = Nowhere("whether somebody was told of a fact changes neither money nor goods");
const WAITING: Seen = Nowhere("it only limits what is placed next; the orders themselves are looked at");

const TABLE: &[(&str, Seen)] = &[
    ("user.registered", PEOPLE),
    ("user.contact_details_changed", PEOPLE),
    ("user.role_granted", PEOPLE),
    ("user.role_revoked", PEOPLE),
    ("user.login_failed", PEOPLE),
    ("user.login_succeeded", PEOPLE),
    ("user.locked", PEOPLE),
    ("user.unlocked", PEOPLE),
    ("user.notices_chosen", PEOPLE),
    ("email.claimed", PEOPLE),
    ("administrators.listed", PEOPLE),
    ("administrators.added", PEOPLE),
    ("administrators.removed", PEOPLE),
    ("session.started", By(&["sessions"])),
    ("session.rotated", By(&["sessions"])),
    ("session.reuse_detected", By(&["sessions"])),
    ("session.ended", By(&["sessions"])),
    ("product.created", CATALOGUE),
    ("product.activated", CATALOGUE),
    ("product.deactivated", CATALOGUE),
    ("product.renamed", CATALOGUE),
    ("product.described", CATALOGUE),
    ("product.repriced", CATALOGUE),
    ("product.removed", CATALOGUE),
    ("product.categorised", CATALOGUE),
    ("product.seller_changed", CATALOGUE),
    ("product.tax_class_set", CATALOGUE),
    ("product.images_set", CATALOGUE),
    ("product.metadata_set", CATALOGUE),
    ("product.weighed", CATALOGUE),
    ("product.made_variant", CATALOGUE),
    ("product.made_single", CATALOGUE),
    ("product.variant_added", CATALOGUE),
    ("product.variant_removed", CATALOGUE),
    ("product.slug_set", CATALOGUE),
    ("slug.claimed", SLUG),
    ("slug.freed", SLUG),
    ("category.created", CATALOGUE),
    ("category.renamed", CATALOGUE),
    ("category.moved", CATALOGUE),
    ("category.child_added", CATALOGUE),
    ("category.child_removed", CATALOGUE),
    ("category.removed", CATALOGUE),
    ("stock.received", STOCK),
    ("stock.adjusted", STOCK),
    ("stock.counted", STOCK),
    ("stock.written_off", STOCK),
    ("stock.reserved", STOCK),
    ("stock.released", STOCK),
    ("stock.allocated", STOCK),
    ("stock.deallocated", STOCK),
    ("stock.shipped", STOCK),
    ("stock.restocked", STOCK),
    ("stock.transfer_sent", STOCK),
    ("stock.transfer_received", STOCK),
    ("stock.transfer_lost", STOCK),
    ("stock.threshold_set", STOCK),
    ("stock.back_order_set", STOCK),
    ("stock.buyer_limit_set", STOCK),
    ("stock.ran_low", STOCK),
    ("stock.depleted", STOCK),
    ("stock.replenished", STOCK),
    ("order.placed", By(&["totals", "fulfilments", "returns"])),
    ("locations.opened", LOCATIONS),
    ("locations.renamed", LOCATIONS),
    ("locations.closed", LOCATIONS),
    ("locations.reopened", LOCATIONS),
    ("order.payment_opened", By(&["fulfilments"])),
    ("order.payment_failed", By(&["fulfilments"])),
    ("order.paid", By(&["fulfilments"])),
    ("order.expired", By(&["stock", "fulfilments"])),
    ("order.preparation_started", By(&["fulfilments"])),
    ("order.lines_cancelled", By(&["totals", "fulfilments", "returns"])),
    ("order.packed", By(&["fulfilments"])),
    ("order.shipped", By(&["fulfilments"])),
    ("order.delivered", By(&["fulfilments"])),
    ("order.completed", By(&["stock", "fulfilments"])),
    ("order.cancellation_requested", By(&["fulfilments"])),
    ("order.cancelled", By(&["stock", "fulfilments"])),
    ("order.failed", By(&["stock", "fulfilments"])),
    ("order.late_payment_detected", By(&["payments", "fulfilments"])),
    ("order.put_on_hold", By(&["fulfilments"])),
    ("order.hold_released", By(&["fulfilments"])),
    ("order.noted", By(&["fulfilments"])),
    ("order.address_changed", By(&["totals", "fulfilments"])),
    ("order.return_opened", By(&["fulfilments", "returns"])),
    ("order.return_ended", By(&["fulfilments", "returns"])),
    ("payment.requested", By(&["payments", "totals", "fulfilments"])),
    ("payment.capture_requested", By(&["payments"])),
    ("payment.challenge_required", By(&["payments"])),
    ("payment.redirect_required", By(&["payments"])),
    ("payment.deposit_awaited", By(&["payments"])),
    ("payment.challenge_confirmed", By(&["payments"])),
    ("payment.outcome_unknown", By(&["payments"])),
    ("payment.inquiry_undecided", By(&["payments"])),
    ("payment.net_cancel_requested", By(&["payments"])),
    ("payment.captured", By(&["payments", "fulfilments"])),
    ("payment.failed", By(&["payments"])),
    ("payment.voided", By(&["payments"])),
    ("payment.mismatch_detected", By(&["payments"])),
    ("payment.mismatch_accepted", By(&["payments"])),
    ("payment.observation_ignored", By(&["payments"])),
    ("payment.refund_requested", By(&["payments", "totals", "fulfilments", "returns"])),
    ("payment.leg_refunded", By(&["payments"])),
    ("payment.refund_settled", By(&["payments", "fulfilments"])),
    ("payment.refund_refused", By(&["payments", "fulfilments"])),
    ("shipment.requested", By(&["fulfilments"])),
    ("shipment.refused", JOURNEY),
    ("shipment.ready", JOURNEY),
    ("shipment.dispatched", By(&["fulfilments"])),
    ("shipment.scan_recorded", JOURNEY),
    ("shipment.in_transit", JOURNEY),
    ("shipment.out_for_delivery", JOURNEY),
    ("shipment.attempt_failed", JOURNEY),
    ("shipment.exception_reported", JOURNEY),
    ("shipment.delivered", JOURNEY),
    ("shipment.returned", JOURNEY),
    ("shipment.lost", JOURNEY),
    ("shipment.cancelled", JOURNEY),
    ("shipment.tracking_number_corrected", JOURNEY),
    ("return.requested", By(&["returns"])),
    ("return.approved", By(&["returns"])),
    ("return.rejected", By(&["returns"])),
    ("return.withdrawn", By(&["returns"])),
    ("return.sent", By(&["returns"])),
    ("return.received", By(&["returns"])),
    ("return.inspected", By(&["returns"])),
    ("return.closed", By(&["returns"])),
    ("points.granted", By(&["points"])),
    ("points.held", By(&["payments", "points", "fulfilments"])),
    ("points.captured", By(&["payments", "points", "fulfilments"])),
    ("points.released", By(&["payments", "points", "fulfilments"])),
    ("points.restored", By(&["payments", "points"])),
    ("points.expired", By(&["points"])),
    ("fulfilment.started", By(&["fulfilments"])),
    ("fulfilment.input_received", By(&["fulfilments"])),
    ("fulfilment.inputs_set_aside", By(&["fulfilments"])),
    ("fulfilment.step_entered", By(&["fulfilments"])),
    ("fulfilment.command_issued", By(&["fulfilments"])),
    ("fulfilment.command_refused", By(&["fulfilments"])),
    ("fulfilment.timer_set", By(&["fulfilments"])),
    ("fulfilment.timer_cancelled", By(&["fulfilments"])),
    ("fulfilment.timer_reached", By(&["fulfilments"])),
    ("fulfilment.compensation_started", By(&["fulfilments"])),
    ("fulfilment.parked", By(&["fulfilments"])),
    ("fulfilment.operator_resolved", By(&["payments", "fulfilments"])),
    ("fulfilment.ended", By(&["fulfilments"])),
    ("buyer.order_opened", WAITING),
    ("buyer.order_closed", WAITING),
    ("import.started", IMPORT),
    ("import.progressed", IMPORT),
    ("import.finished", IMPORT),
    ("import.interrupted", IMPORT),
    ("notice.sent", TOLD),
    ("notice.failed", TOLD),
    ("notice.given_up", TOLD),
    ("notice.send_requested", TOLD),
];

#[test]
fn every_event_type_names_the_checks_that_look_at_it_or_why_none_does() {
    let mut looking: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut checks = checks();
    checks.push(Box::<money::Payments>::default());
    for info in DomainEvent::types() {
        let by = checks
            .iter()
            .filter(|check| !["commands", "walks"].contains(&check.name()) && check.looks().at(info.event_type));
        looking.insert(info.event_type, by.map(|check| check.name()).collect());
    }
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (event_type, seen) in TABLE {
        let by: BTreeSet<&str> = match seen {
            By(checks) => checks.iter().copied().collect(),
            Nowhere(why) => {
                assert!(why.len() > 20, "{event_type}: say why");
                BTreeSet::new()
            }
        };
        assert!(told.insert(event_type, by).is_none(), "{event_type} is listed twice");
    }
    assert_eq!(looking, told);
}

/// A name in the table that no event has would never match.
#[test]
fn every_check_looks_at_events_that_there_are() {
    let known: BTreeSet<&str> = DomainEvent::types().map(|info| info.event_type).collect();
    for check in checks() {
        for event_type in check.looks().types {
            assert!(known.contains(event_type), "{} looks at {event_type}", check.name());
        }
    }
}
