//! Sees every event at the moment it is written: checks it against the shop's invariants, tracks
//! the progress of each order, and notifies the people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::NoticeEvent;
use jangbu_aggregates::points::Points;
use jangbu_aggregates::processes::{FulfilmentEvent, Step};
use jangbu_aggregates::returns::ReturnEvent;
use jangbu_audit::{Auditor, End, Findings, Seen};
use jangbu_kernel::ports::{DueTimer, LapsedPoints, LapsedReturn};
use jangbu_kernel::{Decider as _, NoticeId, OrderId, Position, RecordedEvent, ReturnId, StreamId, Timestamp, UserId};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::names::Point;
use crate::points;
use crate::sim::{Sim, lock};

/// How long a process may make no progress at the end of a run.
const PATIENCE_SECONDS: i64 = 60;

/// An event that people may react to.
pub(crate) type News = (StreamId, DomainEvent);

/// See the module's documentation.
pub(crate) struct Witness {
    /// Checks nothing, because the log need not be a shop's.
    blind: bool,
    news: mpsc::UnboundedSender<News>,
    eyes: Mutex<Eyes>,
}

#[derive(Default)]
struct Eyes {
    auditor: Auditor,
    /// The step of each order's process.
    processes: BTreeMap<OrderId, Step>,
    timers: BTreeMap<(StreamId, &'static str), Timestamp>,
    /// The notices that are to be tried again.
    notices: BTreeMap<NoticeId, Timestamp>,
    /// The notices that count as sent, each as often as that was recorded.
    sent: Vec<NoticeId>,
    /// The points ledgers, by user.
    ledgers: BTreeMap<UserId, Points>,
    /// The returns whose goods may be sent back, and until when.
    returns: BTreeMap<ReturnId, Timestamp>,
    commands: BTreeSet<Uuid>,
    /// Commands that were answered as having written nothing.
    refused: BTreeSet<Uuid>,
    memory: points::Memory,
    newest: Option<Timestamp>,
    events: u64,
}

impl Witness {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, heard) = mpsc::unbounded_channel();
        (Self { blind: false, news, eyes: Mutex::default() }, heard)
    }

    /// A witness that checks nothing: for logs that are not a shop's.
    pub fn blind() -> Self {
        Self { blind: true, ..Self::new().0 }
    }

    /// Processes an event as it is written.
    pub fn sees(&self, sim: &Sim, event: &RecordedEvent) {
        if self.blind {
            return;
        }
        let told = event
            .hash
            .iter()
            .take(8)
            .fold(event.position.get(), |sum, byte| (sum << 5) ^ u64::from(*byte) ^ (sum >> 59));
        sim.tell("event", told, || {
            format!("{:>5} {} {} {}", event.position, event.stream, event.event_type, event.payload)
        });
        let domain = match DomainEvent::try_from(event) {
            Ok(domain) => domain,
            Err(error) => return sim.fail("decodes", format!("position {}: {error}", event.position)),
        };
        let mut eyes = lock(&self.eyes);
        eyes.events += 1;
        eyes.auditor.observe(Seen { event, domain: &domain });
        if !eyes.auditor.findings().is_empty()
            && let Some(first) = eyes.auditor.findings().in_order().first()
        {
            sim.fail(first.invariant.code(), format!("position {}: {}", first.position, first.detail));
        }
        let command = event.meta.command_id.uuid();
        eyes.commands.insert(command);
        if eyes.refused.contains(&command) {
            let detail = format!(
                "command {command} wrote position {}, its caller was told that nothing is written",
                event.position
            );
            sim.fail("L1", detail);
        }
        if eyes.newest.is_some_and(|newest| event.meta.recorded_at < newest) {
            sim.reach(Point::TimeRanBack);
        }
        eyes.newest = eyes.newest.max(Some(event.meta.recorded_at));
        eyes.follow_process(event.stream, &domain);
        if let DomainEvent::Points(points) = &domain {
            eyes.ledgers.entry(UserId::new(event.stream.id)).or_default().evolve(points);
        }
        if let DomainEvent::Return(returned) = &domain {
            let return_id = ReturnId::new(event.stream.id);
            if let ReturnEvent::Approved(approved) = returned {
                eyes.returns.insert(return_id, approved.send_by);
            } else {
                eyes.returns.remove(&return_id);
            }
        }
        if let DomainEvent::Notice(notice) = &domain {
            eyes.follow_notice(sim, NoticeId::new(event.stream.id), notice);
        }
        eyes.memory.watch(sim, event, &domain);
        drop(eyes);
        // After the end of the run there is no receiver.
        let _heard = self.news.send((event.stream, domain));
    }

    /// Records that a command was answered as having written nothing.
    pub fn was_refused(&self, sim: &Sim, command: Uuid) {
        let mut eyes = lock(&self.eyes);
        if eyes.commands.contains(&command) {
            sim.fail("L1", format!("the caller of command {command} was told that nothing is written, but it is"));
        }
        eyes.refused.insert(command);
    }

    pub fn events(&self) -> u64 {
        lock(&self.eyes).events
    }

    pub fn orders(&self) -> usize {
        lock(&self.eyes).processes.len()
    }

    /// The orders whose process has not ended, with their steps.
    pub fn open_orders(&self) -> Vec<(OrderId, Step)> {
        let eyes = lock(&self.eyes);
        eyes.processes.iter().filter(|(_, step)| **step != Step::Ended).map(|(order, step)| (*order, *step)).collect()
    }

    /// The timers that are due.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<DueTimer> {
        let eyes = lock(&self.eyes);
        let due = eyes.timers.iter().filter(|(_, due_at)| **due_at <= now);
        let mut due: Vec<DueTimer> = due
            .map(|((stream, timer), due_at)| DueTimer { stream: *stream, timer: (*timer).to_owned(), due_at: *due_at })
            .collect();
        due.sort_by(|one, other| (one.due_at, one.stream, &one.timer).cmp(&(other.due_at, other.stream, &other.timer)));
        due.truncate(limit);
        due
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        lock(&self.eyes).timers.values().min().copied()
    }

    /// The points ledgers with lapsed points that are not written off.
    pub fn lapsed_points(&self, now: Timestamp, limit: usize) -> Vec<LapsedPoints> {
        let eyes = lock(&self.eyes);
        let lapsing = eyes.ledgers.iter().filter_map(|(user_id, points)| Some((*user_id, points.lapses_at()?)));
        let mut lapsed: Vec<LapsedPoints> = lapsing
            .filter(|(_, lapsed_at)| *lapsed_at <= now)
            .map(|(user_id, lapsed_at)| LapsedPoints { user_id, lapsed_at })
            .collect();
        lapsed.sort_by_key(|ledger| (ledger.lapsed_at, ledger.user_id));
        lapsed.truncate(limit);
        lapsed
    }

    /// The returns whose goods were not sent back in time.
    pub fn lapsed_returns(&self, now: Timestamp, limit: usize) -> Vec<LapsedReturn> {
        let eyes = lock(&self.eyes);
        let lapsing = eyes.returns.iter().filter(|(_, send_by)| **send_by <= now);
        let mut lapsed: Vec<LapsedReturn> =
            lapsing.map(|(return_id, send_by)| LapsedReturn { return_id: *return_id, lapsed_at: *send_by }).collect();
        lapsed.sort_by_key(|lapsed| (lapsed.lapsed_at, lapsed.return_id));
        lapsed.truncate(limit);
        lapsed
    }

    /// The notices that are to be tried again by then.
    pub fn due_notices(&self, now: Timestamp, limit: usize) -> Vec<NoticeId> {
        let eyes = lock(&self.eyes);
        eyes.notices.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).take(limit).collect()
    }

    /// The notices that count as sent, each as often as that was recorded.
    pub fn sent_notices(&self) -> Vec<NoticeId> {
        lock(&self.eyes).sent.clone()
    }

    /// The findings, once everything is at rest.
    pub fn findings(&self, now: Timestamp, gateways: &[Arc<Gateway>]) -> Findings {
        let auditor = std::mem::take(&mut lock(&self.eyes).auditor);
        // Everything is at rest, so nothing has changed since the list was read.
        for gateway in gateways {
            let books = auditor.compare_with_gateway(gateway.name(), &gateway.list(), Position::MAX);
            if !books.is_empty() {
                return books;
            }
        }
        auditor.finish(End { now, patience: TimeDelta::seconds(PATIENCE_SECONDS) })
    }
}

impl Eyes {
    fn follow_notice(&mut self, sim: &Sim, id: NoticeId, event: &NoticeEvent) {
        match event {
            NoticeEvent::Sent(sent) => {
                if sent.attempt > 1 {
                    sim.reach(Point::NoticeSentAtLast);
                }
                self.notices.remove(&id);
                self.sent.push(id);
            }
            NoticeEvent::Failed(failed) => {
                self.notices.insert(id, failed.retry_at);
            }
            NoticeEvent::GivenUp(_) => {
                self.notices.remove(&id);
            }
            NoticeEvent::SendRequested(requested) => {
                self.notices.insert(id, requested.at);
            }
        }
    }

    fn follow_process(&mut self, stream: StreamId, event: &DomainEvent) {
        let order_id = OrderId::new(stream.id);
        if let DomainEvent::Fulfilment(event) = event
            && let Some(step) = event.step()
        {
            self.processes.insert(order_id, step);
        }
        match event {
            DomainEvent::Order(jangbu_aggregates::order::OrderEvent::Placed(_)) => {
                self.processes.insert(order_id, Step::NotStarted);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::Started(started)) => {
                let (timer, due_at) = started.timer();
                self.timers.insert((stream, timer.name()), due_at);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::Parked(_)) => {
                self.processes.insert(order_id, Step::NeedsOperator);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::Ended(_)) => {
                self.processes.insert(order_id, Step::Ended);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::TimerSet(set)) => {
                self.timers.insert((stream, set.timer.name()), set.due_at);
            }
            DomainEvent::Fulfilment(FulfilmentEvent::TimerCancelled(cancelled)) => {
                self.timers.remove(&(stream, cancelled.timer.name()));
            }
            DomainEvent::Fulfilment(FulfilmentEvent::TimerReached(reached)) => {
                let key = (stream, reached.timer.name());
                if self.timers.get(&key) == Some(&reached.due_at) {
                    self.timers.remove(&key);
                }
            }
            _ => {}
        }
    }
}
