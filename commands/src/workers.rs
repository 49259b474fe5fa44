//! The workers that run in addition to the decider: one list, which the program and the simulation
//! both run. A new worker is a file of its own and its line in [`start`]. The program that runs the
//! list supervises and stops it with the others.

use std::sync::Arc;

use jangbu_kernel::part::Parts;
use jangbu_kernel::ports::{Checkpoints, Inbox, ParkedProcesses, TimerQueue, World};

use crate::adapters::{Carriers, Gateways};
use crate::decider::Commands;
use crate::inbox::{Hooks, InboxOptions};
use crate::lease::LeaseHolder;
use crate::notices::{self, NoticeOptions};
use crate::process::{ProcessDeps, ProcessManager, ProcessManagerHandle, ProcessOptions};

/// The dependencies of the workers; each uses what it needs.
pub struct WorkerDeps {
    /// The decider.
    pub commands: Commands,
    /// The durable inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Stores the checkpoints of the process manager.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Stores the parked orders.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Has the due timers and lapsed points.
    pub timers: Arc<dyn TimerQueue>,
    /// Decides which node does the work that one node does for all.
    pub lease: LeaseHolder,
    /// Clock, ids and vault.
    pub world: World,
    /// The payment gateways.
    pub gateways: Arc<Gateways>,
    /// The carriers.
    pub carriers: Arc<Carriers>,
    /// The limits of the inbox.
    pub receiving: InboxOptions,
    /// The limits of the process manager; none on a node that does not process orders.
    pub processing: Option<ProcessOptions>,
    /// Whom to tell of what happened, and how; none on a node that tells nobody.
    pub notices: Option<NoticeOptions>,
}

/// The running workers and the handles to them.
pub struct Workers {
    /// Accepts messages from outside.
    pub hooks: Hooks,
    /// The process manager, if this node has one.
    pub processes: Option<ProcessManagerHandle>,
    /// The workers themselves, in the order in which they are stopped.
    pub parts: Parts,
}

/// Starts all workers of this node that run in addition to the decider. Stop them before it.
#[must_use]
pub fn start(deps: &WorkerDeps) -> Workers {
    let mut parts = Parts::default();
    let hooks = parts.keep(Hooks::spawn(deps.into()));
    let processes = ProcessDeps::of(deps).map(|deps| parts.keep(ProcessManager::spawn(deps)));
    if let Some(worker) = crate::tracking::spawn(deps) {
        parts.add(worker);
    }
    parts.extend(notices::spawn(deps));
    Workers { hooks, processes, parts }
}
