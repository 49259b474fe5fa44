//! Whether everything has come to rest, and the checks at that point.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jangbu_aggregates::shipment::{Shipment, ShipmentState};
use jangbu_commands::commands::ReceiveStock;
use jangbu_commands::load_state;
use jangbu_kernel::log::EventLog as _;
use jangbu_kernel::ports::Inbox as _;
use jangbu_kernel::{Position, StreamId, Timestamp};
use jangbu_projections::{ProjectorError, ProjectorHandle, RebuildOptions};
use uuid::Uuid;

use crate::client::Told;
use crate::market::Market;
use crate::names::Point;
use crate::people::People;
use crate::shop::{Open, Town};

/// How long the read models may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);
/// A failed message stays in the inbox for an operator: there should be none.
const ANY_ATTEMPTS: u32 = u32::MAX;

/// Whether all people are idle and everything that was written has been processed.
pub(crate) async fn is_quiet(town: &Town) -> bool {
    let running = town.running();
    let head = town.store.truth.head().await.unwrap_or(Position::ZERO);
    town.sim.at_work() == 0
        && running.len() == town.nodes
        && running.iter().filter_map(Open::progress).all(|progress| progress.under_way == 0)
        && running.iter().filter_map(Open::progress).any(|progress| progress.active && progress.dispatched >= head)
        && town.store.witness.lapsed_points(town.sim.now(), 1).is_empty()
        && town.store.witness.lapsed_returns(Timestamp::MAX_UTC, 1).is_empty()
        && town.store.truth.pending(1, ANY_ATTEMPTS).await.is_ok_and(|pending| pending.is_empty())
}

/// The same as text, for reports about a run that does not come to rest.
pub(crate) async fn state(town: &Town) -> String {
    let head = town.store.truth.head().await.unwrap_or(Position::ZERO);
    let progress: Vec<_> = town.running().iter().filter_map(Open::progress).collect();
    let pending = town.store.truth.pending(1_000, ANY_ATTEMPTS).await.unwrap_or_default();
    let bodies: Vec<_> = pending.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect();
    let lapsed = town.store.witness.lapsed_points(town.sim.now(), 10);
    format!("head {head}, {progress:?}, messages left {bodies:?}, points not written off {lapsed:?}")
}

/// Checks the final state against the invariants.
pub(crate) async fn check(people: &People, market: &Market) {
    alive(people, market).await;
    log(&people.town).await;
    books(&people.town).await;
    read_models(&people.town).await;
}

/// Every node still takes orders.
async fn alive(people: &People, market: &Market) {
    for (number, product) in market.products.iter().take(2 * people.town.nodes).enumerate() {
        let make = || ReceiveStock { product_id: product.id, quantity: 1, location: None };
        if !matches!(people.staff(format!("alive-{number}"), &make).await, Told::Done(_)) {
            people.town.sim.fail("alive", "a command is not carried out although nothing is wrong any more".to_owned());
        }
    }
}

/// L3 and L5, and the folds over all events.
async fn log(town: &Town) {
    let (sim, truth) = (&town.sim, &town.store.truth);
    let clock = crate::world::NodeClock::new(sim);
    if let Err(error) = jangbu_store::seal_to_head(truth, &clock).await {
        sim.fail("L5", error.to_string());
    }
    match jangbu_store::verify_log(truth, |_| {}).await {
        Ok(verified) => {
            if let Some(flaw) = verified.flaw() {
                sim.fail("L3", flaw.to_string());
            }
        }
        Err(error) => sim.fail("L3", error.to_string()),
    }
    let findings = town.store.witness.findings(sim.now(), &town.gateways);
    if let Some(first) = findings.in_order().first() {
        let stream = first.stream.map(|stream| format!(" {stream}")).unwrap_or_default();
        sim.fail(first.invariant.code(), format!("position {}{stream}: {}", first.position, first.detail));
    }
}

/// The books of the gateway and the carrier, and the mail server's.
async fn books(town: &Town) {
    let mut told = BTreeSet::new();
    for notice in town.store.witness.sent_notices() {
        if !told.insert(notice) {
            town.sim.fail("N1", format!("notice {notice} counts as sent twice"));
        }
        if !town.mailbox.has(notice) {
            town.sim.fail("N1", format!("notice {notice} counts as sent, the mail server never got it"));
        }
    }
    let mut paid = BTreeSet::new();
    let all = town.gateways.iter().flat_map(|gateway| gateway.captured_payments());
    for payment_id in all.filter(|payment_id| !paid.insert(*payment_id)) {
        town.sim.fail("M3", format!("money was taken twice for {payment_id}"));
    }
    for shipment_id in town.hauler.ready() {
        let shipment = load_state::<Shipment>(&town.store.truth, shipment_id).await;
        if shipment.is_ok_and(|(shipment, _)| shipment.state() == ShipmentState::Cancelled) {
            town.sim.fail("G2", format!("the carrier still has a label for {shipment_id}, which was called off"));
        }
    }
}

/// P1: a read model equals the fold of the log.
async fn read_models(town: &Arc<Town>) {
    let sim = &town.sim;
    let mut owner: Option<ProjectorHandle> = None;
    for projector in town.running().into_iter().filter_map(|node| node.projector) {
        // Only the projector that owns the views can say that nothing is parked; a fenced one is
        // skipped.
        match projector.redrive("orders", StreamId::order(jangbu_kernel::OrderId::new(Uuid::nil()))).await {
            Err(ProjectorError::Stopped) => sim.reach(Point::Fenced),
            Ok(_) | Err(_) => owner = Some(projector),
        }
    }
    let Some(projector) = owner else {
        if town.models.is_some() {
            sim.fail("P1", "no projector owns the read models".to_owned());
        }
        return;
    };
    let head = town.store.truth.head().await.unwrap_or(Position::ZERO);
    if !projector.wait_for(head, tokio::time::Instant::now() + CATCH_UP).await {
        return sim.fail("P1", format!("the read models do not reach position {head}"));
    }
    let options = RebuildOptions { verify_only: true, ..RebuildOptions::default() };
    match projector.rebuild(&[], options, |_| {}).await {
        Ok(report) => {
            for view in report.views {
                if view.differences != Some(0) || view.parked_streams > 0 {
                    sim.fail("P1", format!("{}: {:?} rows differ: {:?}", view.name, view.differences, view.examples));
                }
            }
        }
        Err(error) => sim.fail("P1", format!("the read models cannot be compared: {error}")),
    }
}
