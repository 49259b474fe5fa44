//! Turns stored messages into commands.

use jangbu_aggregates::commands::{ObservePayment, RecordScan};
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;

use futures::future::join_all;
use jangbu_aggregates::payment::Source;
use jangbu_aggregates::shipment::{Scan, Shipment};
use jangbu_aggregates::{AnyCommand, Scope};
use jangbu_kernel::gateway::{ChargeOutcome, ParcelUnderWay};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::InboxMessage;
use jangbu_kernel::{Actor, CommandId, CorrelationId, PaymentId, RecordedEvent, ShipmentId, StreamId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::InboxDeps;
use super::notice::Notice;
use crate::lease::{Ended, Lease};
use crate::process::PaymentHistory;
use crate::reader::load_state;
use crate::request::{Caller, CommandError, Idempotency, Request};
use crate::tracking;

/// Namespace for the ids of commands that messages cause.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f0a_6a5e_2d3c_4f41_9b0e_6c1d_7a52_e310);

/// Why a message was not handled this time.
pub(crate) enum Failure {
    /// An infrastructure failure: try again, without counting an attempt.
    Transient(String),
    /// The message itself is the cause: count a failed attempt.
    Message(String),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            // Trying again does not help: it counts, so that a person looks at it in the end.
            LogError::Damaged(reason) => Self::Message(reason),
            error @ (LogError::Unavailable(..) | LogError::ReadOnly(_) | LogError::OutcomeUnknown(_)) => {
                Self::Transient(error.to_string())
            }
        }
    }
}

/// The name of the lease. Storage format.
const LEASE: &str = "inbox";

/// Works while this node holds the lease, until the program stops.
pub(super) async fn run(deps: Arc<InboxDeps>, news: Arc<Notify>, stop: CancellationToken) {
    let lease = Lease::new(LEASE, deps.lease.clone(), stop.clone());
    while let Some(until) = lease.wait().await {
        let turn = stop.child_token();
        let mut work = pin!(work(&deps, &news, &turn));
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
            Ended::Lost => tracing::warn!("the inbox's lease is lost; standing by"),
        }
    }
}

/// Works until the lease ends or the program stops.
async fn work(deps: &InboxDeps, news: &Notify, stop: &CancellationToken) {
    let mut not_before: HashMap<u64, Instant> = HashMap::new();
    loop {
        let handled = turn(deps, &mut not_before).await;
        let now = Instant::now();
        not_before.retain(|_, moment| *moment > now);
        if stop.is_cancelled() {
            return;
        }
        if handled > 0 {
            continue;
        }
        let next_try = not_before.values().min().copied().unwrap_or(now + deps.options.poll);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = news.notified() => {}
            () = tokio::time::sleep_until(next_try.min(now + deps.options.poll)) => {}
        }
    }
}

/// Handles the pending messages, in parallel for different subjects. Returns how many are finished.
async fn turn(deps: &InboxDeps, not_before: &mut HashMap<u64, Instant>) -> usize {
    // Messages that wait for their next attempt must not keep others out of the page.
    let limit = deps.options.page.saturating_add(not_before.len());
    let pending = match deps.inbox.pending(limit, deps.options.max_attempts).await {
        Ok(pending) => pending,
        Err(error) => {
            tracing::warn!(%error, "the inbox cannot be read for now");
            return 0;
        }
    };
    // In the order of their ids, so that the same page is always handled in the same way.
    let mut by_subject: BTreeMap<Uuid, Vec<(InboxMessage, Option<Notice>)>> = BTreeMap::new();
    for message in pending.into_iter().filter(|message| !not_before.contains_key(&message.sequence)) {
        let notice = Notice::of_headers(&message.headers);
        let subject = notice.as_ref().map_or(Uuid::nil(), Notice::subject);
        by_subject.entry(subject).or_default().push((message, notice));
    }
    let subjects = by_subject.into_values().map(|messages| async {
        let mut results = Vec::with_capacity(messages.len());
        for (message, notice) in messages {
            let retry = deal_with(deps, &message, notice).await;
            results.push((message.sequence, retry));
        }
        results
    });
    let mut handled = 0;
    for (sequence, retry) in join_all(subjects).await.into_iter().flatten() {
        match retry {
            None => handled += 1,
            Some(moment) => {
                not_before.insert(sequence, moment);
            }
        }
    }
    handled
}

/// Handles one message and records the result. Returns the time of the next attempt, if there is
/// one.
async fn deal_with(deps: &InboxDeps, message: &InboxMessage, notice: Option<Notice>) -> Option<Instant> {
    let result = match notice {
        Some(notice) => handle(deps, message, notice).await,
        None => Err(Failure::Message("what was read of the message is missing".to_owned())),
    };
    let outcome = match &result {
        Ok(()) => "handled",
        Err(Failure::Transient(_)) => "postponed",
        Err(Failure::Message(_)) => "failed",
    };
    metrics::counter!("jangbu_inbox_messages_total", "outcome" => outcome).increment(1);
    let noted = match result {
        Ok(()) => deps.inbox.mark_handled(message.sequence).await.map(|()| true),
        Err(Failure::Transient(reason)) => {
            tracing::warn!(sequence = message.sequence, reason, "a message from outside has to wait");
            Ok(false)
        }
        Err(Failure::Message(reason)) => {
            tracing::warn!(
                sequence = message.sequence,
                attempts = message.attempts + 1,
                reason,
                "a message from outside cannot be handled"
            );
            deps.inbox.mark_failed(message.sequence, &reason).await.map(|()| false)
        }
    };
    match noted {
        Ok(true) => return None,
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, sequence = message.sequence, "the inbox cannot be written for now"),
    }
    let doubled = deps.options.retry_first.saturating_mul(2_u32.saturating_pow(message.attempts.min(16)));
    Some(Instant::now() + doubled.min(deps.options.retry_longest))
}

async fn handle(deps: &InboxDeps, message: &InboxMessage, notice: Notice) -> Result<(), Failure> {
    let (_, name) = message.source.split_once('/').unwrap_or_default();
    match notice {
        Notice::Charge { payment_id, idempotency_key, outcome, .. } => {
            let (events, key) = charge_at(deps, payment_id, name).await?;
            // The key is the id of the event that asked for the capture. It is in the log before
            // the gateway can know it, so a key that is not in the log never belonged to this
            // payment.
            if key != idempotency_key {
                return Err(Failure::Message("the charge is not this payment's".to_owned()));
            }
            let observation = outcome.into();
            let command = ObservePayment { payment_id, observation, source: Source::Webhook };
            submit(deps, message, Actor::Gateway(name.to_owned()), command, &events).await
        }
        Notice::Ask { payment_id, .. } => {
            let (events, key) = charge_at(deps, payment_id, name).await?;
            let observation = deps.gateways.holding(name).inquire(key).await;
            if let ChargeOutcome::Unknown { detail } = observation {
                return Err(Failure::Message(format!("the gateway gave no answer: {detail}")));
            }
            let command = ObservePayment { payment_id, observation, source: Source::Inquiry };
            submit(deps, message, Actor::Gateway(name.to_owned()), command, &events).await
        }
        Notice::Look { shipment_id, .. } => {
            let parcel = parcel(deps, shipment_id).await?;
            tracking::read(&deps.commands, deps.carriers.holding(name).as_ref(), &parcel).await
        }
        Notice::Scan { shipment_id, tracking_number, status, code, place, at, .. } => {
            let events = deps.commands.history(StreamId::shipment(shipment_id), None).await?;
            let scan = Scan { carrier: name.to_owned(), tracking_number, status, code, place, at, note: None };
            submit(deps, message, Actor::Carrier(name.to_owned()), RecordScan { shipment_id, scan }, &events).await
        }
    }
}

/// A payment's stream and the key of its charge, if this gateway was asked for it: only that
/// gateway may report on the charge.
pub(super) async fn charge_at(
    deps: &InboxDeps,
    payment_id: PaymentId,
    gateway: &str,
) -> Result<(Vec<RecordedEvent>, Uuid), Failure> {
    let events = deps.commands.history(StreamId::payment(payment_id), None).await?;
    let payment = PaymentHistory::fold(&events)?;
    let Some(key) = payment.charge_key() else {
        return Err(Failure::Message("nobody was asked for this charge".to_owned()));
    };
    if payment.state.gateway() != Some(gateway) {
        return Err(Failure::Message("the charge is another gateway's".to_owned()));
    }
    Ok((events, key))
}

/// A parcel that was dispatched, by what it was dispatched with.
pub(super) async fn parcel(deps: &InboxDeps, shipment_id: ShipmentId) -> Result<ParcelUnderWay, Failure> {
    let (shipment, _) = load_state::<Shipment>(deps.commands.log().as_ref(), shipment_id).await?;
    match (shipment.state().is_dispatched(), shipment.carrier(), shipment.tracking_number()) {
        (true, Some(carrier), Some(number)) => {
            let (carrier, tracking_number) = (carrier.to_owned(), number.to_owned());
            Ok(ParcelUnderWay { shipment_id, carrier, tracking_number })
        }
        _ => Err(Failure::Message("there is no such parcel under way".to_owned())),
    }
}

async fn submit(
    deps: &InboxDeps,
    message: &InboxMessage,
    actor: Actor,
    command: impl Into<AnyCommand>,
    events: &[RecordedEvent],
) -> Result<(), Failure> {
    let name = format!("{}/{}", message.source, message.message_id);
    let command_id = CommandId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()));
    // It belongs to the request that started the payment or the shipment.
    let correlation_id =
        events.first().map_or(CorrelationId::new(command_id.uuid()), |first| first.meta.correlation_id);
    let mut request = Request::new(command, Caller { actor, scope: Scope::Any }, command_id, correlation_id);
    request.idempotency = Some(Idempotency { key: format!("inbox/{command_id}"), fingerprint: [0; 32] });
    match deps.commands.execute(request).await {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => Err(Failure::Message(refusal.code.code().to_owned())),
        Err(error) if error.is_transient() || matches!(error, CommandError::ShuttingDown) => {
            Err(Failure::Transient(error.to_string()))
        }
        Err(error) => Err(Failure::Message(error.to_string())),
    }
}
