//! The notices: buyers and the shop are told of what happened, by mail and by other channels.
//!
//! - `table.rs` lists which facts are told to whom; `templates/` has the texts.
//! - `follow.rs` reads the log from a checkpoint of its own and tells each fact once; it also tries
//!   again what was not delivered.
//! - `concern.rs` finds out whom a fact concerns, and what the text says.
//! - `tell.rs` sends one notice, and records what became of it in the notice's own stream.
//!
//! It is a reader of the log like the process manager, and no projection: a rebuild of read models
//! tells nobody. Nothing waits for it. One node at a time does it, under a lease. An existing log
//! begins at its head, and a fact that is older than a day is told to nobody any more.
//!
//! A notice whose stream exists was tried: the stream, not the checkpoint, keeps it from being sent
//! twice. Between a server's taking a message and the record of that lies a moment in which a crash
//! leads to a second message; it has the same key, by which mail servers know it again.

mod concern;
mod follow;
mod table;
mod tell;
mod words;

#[cfg(test)]
mod spec;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jangbu_aggregates::notice::Locale;
use jangbu_kernel::channel::Channel;
use jangbu_kernel::ports::{Checkpoints, TimerQueue, World};

use crate::decider::Commands;
use crate::lease::LeaseHolder;
use crate::process::ProcessOptions;
use crate::worker::Worker;
use crate::workers::WorkerDeps;

pub use table::{NOTICES, Notice};

/// Whom to tell, how, and the limits of that.
#[derive(Clone)]
pub struct NoticeOptions {
    /// The ways by which people are told.
    pub channels: Vec<Arc<dyn Channel>>,
    /// The shop's name in every text.
    pub shop_name: String,
    /// The shop's own address; none: the shop is not told.
    pub shop_email: Option<String>,
    /// The language for those who have not chosen one, and for the shop.
    pub locale: Locale,
    /// Notices that are sent at once.
    pub at_once: usize,
    /// How often it is looked for notices that are to be tried again.
    pub poll: Duration,
    /// Facts that are older are not told.
    pub oldest: TimeDelta,
}

impl NoticeOptions {
    /// The usual limits.
    #[must_use]
    pub fn new(channels: Vec<Arc<dyn Channel>>, shop_name: String) -> Self {
        Self {
            channels,
            shop_name,
            shop_email: None,
            locale: Locale::Ko,
            at_once: 16,
            poll: Duration::from_secs(1),
            oldest: TimeDelta::days(1),
        }
    }
}

/// What telling needs.
struct Deps {
    commands: Commands,
    checkpoints: Arc<dyn Checkpoints>,
    timers: Arc<dyn TimerQueue>,
    lease: LeaseHolder,
    world: World,
    /// How the log is read, and how long is waited after a failure of the store.
    reading: ProcessOptions,
    options: NoticeOptions,
}

/// Starts it; none on a node that processes no orders, or tells nobody.
pub(crate) fn spawn(deps: &WorkerDeps) -> Option<Worker> {
    let deps = Deps {
        commands: deps.commands.clone(),
        checkpoints: Arc::clone(&deps.checkpoints),
        timers: Arc::clone(&deps.timers),
        lease: deps.lease.clone(),
        world: deps.world.clone(),
        reading: deps.processing.clone()?,
        options: deps.notices.clone().filter(|options| !options.channels.is_empty())?,
    };
    Some(Worker::spawn("the notices", |stop| follow::run(Arc::new(deps), stop)))
}
