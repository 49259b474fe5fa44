//! The workers beside the decider: one list, which the program and the simulation both run.
//! A new worker is a file of its own and its line in [`start`]; the program that runs the list watches
//! and stops it with the others.

use std::sync::Arc;

use jangbu_kernel::part::Parts;
use jangbu_kernel::ports::{Checkpoints, Inbox, ParkedProcesses, TimerQueue, World};

use crate::adapters::{Carriers, Gateways};
use crate::decider::Commands;
use crate::inbox::{Hooks, InboxOptions};
use crate::lease::LeaseHolder;
use crate::process::{ProcessDeps, ProcessManager, ProcessManagerHandle, ProcessOptions};

/// What the workers work with; each takes what it needs.
pub struct WorkerDeps {
    /// The decider.
    pub commands: Commands,
    /// The durable inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Keeps how far the process manager has come.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Keeps which orders are left alone.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Knows what is due: timers, and points that have lapsed.
    pub timers: Arc<dyn TimerQueue>,
    /// Says which node does the work that one node does for all.
    pub lease: LeaseHolder,
    /// Clock, ids and vault.
    pub world: World,
    /// The payment gateways.
    pub gateways: Arc<Gateways>,
    /// The carriers.
    pub carriers: Arc<Carriers>,
    /// The limits of the inbox.
    pub receiving: InboxOptions,
    /// The limits of the process manager; none on a node that does not carry orders on.
    pub processing: Option<ProcessOptions>,
}

/// The running workers and the handles to them.
pub struct Workers {
    /// Takes messages from outside in.
    pub hooks: Hooks,
    /// Carries the orders on, where this node does that.
    pub processes: Option<ProcessManagerHandle>,
    /// The workers themselves, in the order in which they are stopped.
    pub parts: Parts,
}

/// Starts every worker that this node runs beside the decider. Stop them before it.
#[must_use]
pub fn start(deps: &WorkerDeps) -> Workers {
    let mut parts = Parts::default();
    let hooks = parts.keep(Hooks::spawn(deps.into()));
    let processes = ProcessDeps::of(deps).map(|deps| parts.keep(ProcessManager::spawn(deps)));
    Workers { hooks, processes, parts }
}
