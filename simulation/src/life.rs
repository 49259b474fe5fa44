//! The life of a node: what it may still do, and what is under way when it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jangbu_kernel::log::Append;
use tokio::sync::Notify;

use crate::names::{Fault, Point};
use crate::sim::{Sim, lock};
use crate::store::SimStore;

/// The outcome of an append that is under way when its node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is written at that moment.
    Lands,
    /// It is never written.
    Gone,
    /// It is written a little later, because the database had received it.
    LandsLater,
}

/// One incarnation of a node. After its end, none of its calls is started or answered.
pub(crate) struct Life {
    pub sim: Arc<Sim>,
    pub node: usize,
    /// Whether it is the only writer.
    pub exclusive: bool,
    over: AtomicBool,
    /// The leases that it held at its last renewal.
    leases: Mutex<BTreeSet<String>>,
    next: AtomicU64,
    appends: Mutex<BTreeMap<u64, Vec<Append>>>,
    outside_calls: AtomicU32,
    /// Notified when it was killed.
    pub killed: Notify,
    /// Notified when it should shut down.
    pub asked_to_stop: Notify,
    log: Arc<SimStore>,
}

impl Life {
    pub fn new(log: &Arc<SimStore>, node: usize, exclusive: bool) -> Self {
        Self {
            sim: Arc::clone(&log.sim),
            node,
            exclusive,
            over: AtomicBool::new(false),
            leases: Mutex::default(),
            next: AtomicU64::new(0),
            appends: Mutex::default(),
            outside_calls: AtomicU32::new(0),
            killed: Notify::new(),
            asked_to_stop: Notify::new(),
            log: Arc::clone(log),
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A point at which the node may be killed or asked to shut down. A killed node never returns
    /// from it.
    pub async fn moment(&self) {
        if !self.is_over() {
            if !self.sim.count_call() {
                std::future::pending::<()>().await;
            }
            if self.sim.strikes(Fault::Crash) {
                self.kill();
            } else if self.sim.strikes(Fault::Restart) {
                self.asked_to_stop.notify_one();
            }
        }
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends this life like SIGKILL.
    pub fn kill(&self) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let node = self.node;
        self.sim.tell("killed", node as u64, || format!("node {node} is killed"));
        if self.outside_calls.load(Ordering::Relaxed) > 0 {
            self.sim.reach(Point::CrashDuringCall);
        }
        let under_way = std::mem::take(&mut *lock(&self.appends));
        for (ticket, batch) in under_way {
            let choices: &[Fate] =
                if self.exclusive { &[Fate::Lands, Fate::Gone] } else { &[Fate::Lands, Fate::Gone, Fate::LandsLater] };
            match self.sim.dice(|dice| dice.pick(choices)) {
                Some(Fate::Lands) => {
                    self.sim.reach(Point::CrashAppendLanded);
                    // The result has no receiver.
                    let _unheard = self.log.commit(batch);
                }
                Some(Fate::LandsLater) => {
                    lock(&self.appends).insert(ticket, batch);
                }
                Some(Fate::Gone) | None => self.sim.reach(Point::CrashAppendGone),
            }
        }
        self.killed.notify_one();
    }

    /// Ends this life after a shutdown: nothing is under way any more.
    pub fn retire(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Registers an append under way; returns its ticket.
    pub fn set_out(&self, batch: Vec<Append>) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.appends).insert(ticket, batch);
        ticket
    }

    /// The append reaches the log; none if a kill decided otherwise.
    pub fn arrive(&self, ticket: u64) -> Option<Vec<Append>> {
        lock(&self.appends).remove(&ticket)
    }

    /// Records whether it holds a lease; true if it has just lost it.
    pub fn note_lease(&self, lease: &str, held: bool) -> bool {
        let mut leases = lock(&self.leases);
        if held {
            leases.insert(lease.to_owned());
            false
        } else {
            leases.remove(lease)
        }
    }

    /// Counts an external call for as long as the guard lives.
    pub fn call_outside(self: &Arc<Self>) -> OutsideCall {
        self.outside_calls.fetch_add(1, Ordering::Relaxed);
        OutsideCall(Arc::clone(self))
    }
}

/// An external call under way.
pub(crate) struct OutsideCall(Arc<Life>);

impl Drop for OutsideCall {
    fn drop(&mut self) {
        self.0.outside_calls.fetch_sub(1, Ordering::Relaxed);
    }
}
