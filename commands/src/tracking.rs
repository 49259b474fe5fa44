//! Follows parcels at trackers: services that report on parcels of carriers this program does not speak to
//! itself. A tracker is asked to report on a parcel for two days, and asked again before they are over; when it
//! takes a parcel, what it knows already is read, so that a report that was lost is made up for.
//!
//! Which parcels it follows is kept in memory alone: asking again changes nothing but the time.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use jangbu_aggregates::Scope;
use jangbu_aggregates::commands::RecordScan;
use jangbu_aggregates::shipment::Scan;
use jangbu_kernel::gateway::{Carrier, CarrierNotice, Following, ParcelUnderWay};
use jangbu_kernel::ports::{TimerQueue, World};
use jangbu_kernel::{Actor, CommandId, CorrelationId, ShipmentId, StreamId, Timestamp, time};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::decider::Commands;
use crate::inbox::Failure;
use crate::lease::{Ended, Lease, LeaseHolder};
use crate::request::{Caller, CommandError, Request};
use crate::worker::Worker;
use crate::workers::WorkerDeps;

/// The name of the lease. Storage format.
const LEASE: &str = "tracking";
/// Namespace for the ids of commands that scans cause.
const NAMESPACE: Uuid = Uuid::from_u128(0x51c3_9a77_0e2d_4b16_8f4c_2a90_d6e7_1b35);
/// Time between two looks at what is under way.
const EVERY: Duration = Duration::from_secs(10);
/// How long a tracker is asked to report.
const FOLLOWED_FOR: TimeDelta = TimeDelta::hours(48);
/// How long before the end it is asked again.
const ASKED_BEFORE: TimeDelta = TimeDelta::hours(12);
/// When a parcel is asked for again that the tracker did not take: the carrier may not know of it yet.
const ASKED_AGAIN: TimeDelta = TimeDelta::hours(1);
/// Parcels of each status that are followed.
const MOST: usize = 10_000;
/// Parcels that are asked for at the same time.
const AT_ONCE: usize = 8;

/// What the worker needs.
struct Deps {
    commands: Commands,
    timers: Arc<dyn TimerQueue>,
    lease: LeaseHolder,
    world: World,
    trackers: Vec<Arc<dyn Carrier>>,
}

/// Starts the worker; none where no tracker is connected.
pub(crate) fn spawn(deps: &WorkerDeps) -> Option<Worker> {
    let trackers = deps.carriers.trackers();
    if trackers.is_empty() {
        return None;
    }
    let deps = Deps {
        commands: deps.commands.clone(),
        timers: Arc::clone(&deps.timers),
        lease: deps.lease.clone(),
        world: deps.world.clone(),
        trackers,
    };
    Some(Worker::spawn("parcel tracking", |stop| run(deps, stop)))
}

/// Works while this node holds the lease, until the program stops.
async fn run(deps: Deps, stop: CancellationToken) {
    let lease = Lease::new(LEASE, deps.lease.clone(), stop.clone());
    while let Some(until) = lease.wait().await {
        let turn = stop.child_token();
        let mut work = pin!(work(&deps, &turn));
        let ended = tokio::select! {
            biased;
            () = &mut work => Ended::Stopped,
            ended = lease.keep(until) => {
                turn.cancel();
                work.await;
                ended
            }
        };
        match ended {
            Ended::Stopped => return lease.give_back().await,
            Ended::Lost => tracing::warn!("the lease of parcel tracking is lost; standing by"),
        }
    }
}

/// Until when a parcel is followed under its number.
type Followed = HashMap<ShipmentId, (String, Timestamp)>;

async fn work(deps: &Deps, stop: &CancellationToken) {
    let mut followed = Followed::new();
    while !stop.is_cancelled() {
        round(deps, &mut followed, stop).await;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Asks for every parcel that is not followed, or will soon not be.
async fn round(deps: &Deps, followed: &mut Followed, stop: &CancellationToken) {
    let parcels = match deps.timers.parcels_under_way(MOST).await {
        Ok(parcels) => parcels,
        Err(error) => {
            tracing::warn!(%error, "which parcels are under way cannot be read for now");
            return;
        }
    };
    let now = deps.world.clock.now();
    let mut before = std::mem::take(followed);
    let mut due = Vec::new();
    for parcel in parcels {
        let Some(tracker) = deps.trackers.iter().find(|tracker| tracker.follows(&parcel.carrier)) else { continue };
        match before.remove(&parcel.shipment_id) {
            Some((number, until)) if number == parcel.tracking_number && until - ASKED_BEFORE > now => {
                followed.insert(parcel.shipment_id, (number, until));
            }
            Some(_) | None => due.push((Arc::clone(tracker), parcel)),
        }
    }
    for some in due.chunks(AT_ONCE) {
        if stop.is_cancelled() {
            return;
        }
        let asked = join_all(some.iter().map(|(tracker, parcel)| ask(deps, tracker.as_ref(), parcel, now))).await;
        for ((_, parcel), until) in some.iter().zip(asked) {
            if let Some(until) = until {
                followed.insert(parcel.shipment_id, (parcel.tracking_number.clone(), until));
            }
        }
    }
}

/// Until when a parcel need not be asked for again; none: in the next round.
async fn ask(deps: &Deps, tracker: &dyn Carrier, parcel: &ParcelUnderWay, now: Timestamp) -> Option<Timestamp> {
    let (name, shipment_id) = (tracker.name(), parcel.shipment_id);
    let until = match tracker.follow(parcel, time::to_millis(now.checked_add_signed(FOLLOWED_FOR)?)).await {
        Following::Until(until) => until,
        // It is taken for followed as long as it is not to be asked again.
        Following::NotHere => return now.checked_add_signed(ASKED_AGAIN + ASKED_BEFORE),
        Following::Unknown { detail } => {
            tracing::warn!(tracker = name, %shipment_id, detail, "a parcel is not followed for now");
            return None;
        }
    };
    match read(&deps.commands, tracker, parcel).await {
        Ok(()) => Some(until),
        Err(Failure::Transient(reason) | Failure::Message(reason)) => {
            tracing::warn!(tracker = name, %shipment_id, reason, "what is known of a parcel cannot be read for now");
            None
        }
    }
}

/// Reads what a tracker knows of a parcel, and records what is new.
pub(crate) async fn read(commands: &Commands, tracker: &dyn Carrier, parcel: &ParcelUnderWay) -> Result<(), Failure> {
    let scans = tracker.scans(parcel).await.map_err(Failure::Message)?;
    if scans.is_empty() {
        return Ok(());
    }
    let events = commands.history(StreamId::shipment(parcel.shipment_id), None).await?;
    let correlation_id = events.first().map(|first| first.meta.correlation_id);
    for scan in scans {
        record(commands, tracker.name(), parcel, scan, correlation_id).await?;
    }
    Ok(())
}

async fn record(
    commands: &Commands,
    tracker: &str,
    parcel: &ParcelUnderWay,
    scan: CarrierNotice,
    correlation_id: Option<CorrelationId>,
) -> Result<(), Failure> {
    let status = serde_json::from_value(serde_json::Value::String(scan.status.clone()))
        .map_err(|_| Failure::Message("not a status of a parcel".to_owned()))?;
    let CarrierNotice { shipment_id, tracking_number, code, place, at, .. } = scan;
    let name = format!(
        "{shipment_id}/{}/{tracking_number}/{}/{code}/{place}/{}",
        parcel.carrier,
        time::rfc3339(at),
        scan.status
    );
    let command_id = CommandId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()));
    // It is the parcel's carrier that scanned it.
    let scan = Scan { carrier: parcel.carrier.clone(), tracking_number, status, code, place, at, note: None };
    let caller = Caller { actor: Actor::Carrier(tracker.to_owned()), scope: Scope::Any };
    let correlation_id = correlation_id.unwrap_or(CorrelationId::new(command_id.uuid()));
    let request = Request::new(RecordScan { shipment_id, scan }, caller, command_id, correlation_id);
    match commands.execute(request).await {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => Err(Failure::Message(refusal.code.code().to_owned())),
        Err(error) if error.is_transient() || matches!(error, CommandError::ShuttingDown) => {
            Err(Failure::Transient(error.to_string()))
        }
        Err(error) => Err(Failure::Message(error.to_string())),
    }
}
