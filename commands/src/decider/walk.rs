//! The reactions of the processes to a decision, and their consequences. They go into the append of
//! the decision.

use std::collections::BTreeMap;

use jangbu_aggregates::processes::walk::{Ground, Step, Unloaded, Versioned, Walked, Writes, walk};
use jangbu_aggregates::{AnyState, States};
use jangbu_kernel::log::StreamWrite;
use jangbu_kernel::{EventId, EventMeta, StreamId, Version};

use super::batch::Job;
use super::cache::{Cached, View};
use super::decide::MAX_MISSES;
use super::task::Decider;
use crate::request::{Caller, CommandError};

/// The consequences of a decision that go into its append.
pub(super) struct Along {
    pub walked: Walked,
    /// Streams that cannot be read, with their versions; a process records in them that it is set
    /// aside.
    unreadable: BTreeMap<StreamId, Version>,
}

/// The cache as the walk sees it.
struct Known<'a> {
    view: View<'a>,
    unreadable: &'a BTreeMap<StreamId, Version>,
}

impl States for Known<'_> {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        self.view.any(stream)
    }
}

impl Versioned for Known<'_> {
    fn version(&self, stream: StreamId) -> Version {
        self.view.version(stream).or_else(|| self.unreadable.get(&stream).copied()).unwrap_or(Version::ZERO)
    }
}

impl Along {
    /// Every stream that is written, or whose version the append checks.
    pub fn streams(&self, exclusive: bool) -> impl Iterator<Item = StreamId> + '_ {
        let writes = self.walked.steps.iter().flat_map(|step| &step.writes);
        writes.filter(move |(_, events)| !(exclusive && events.is_empty())).map(|(stream, _)| *stream)
    }
}

impl Decider {
    /// Computes the consequences of a job's decision, and loads the streams that this requires.
    pub(super) async fn walk(&mut self, job: &Job, first: &Writes) -> Result<Along, CommandError> {
        let mut unreadable = BTreeMap::new();
        let outer = self.reads.len();
        for _ in 0..MAX_MISSES {
            self.reads.truncate(outer);
            let known = Known { view: View::new(&self.cache, &mut self.reads), unreadable: &unreadable };
            let ground = Ground { unreadable: &unreadable, begins: job.rounds == 0 };
            let streams = match walk(&known, &self.facts, first, ground) {
                Ok(walked) => return Ok(Along { walked, unreadable }),
                Err(Unloaded(streams)) => streams,
            };
            if streams.len() > 1 {
                self.load(streams.iter().copied().collect()).await?;
            }
            for stream in streams {
                if self.cache.contains(stream) {
                    continue;
                }
                match self.load_one(stream).await {
                    Ok(()) => {}
                    Err(CommandError::Unreadable { .. }) => {
                        let version =
                            self.log.versions(vec![stream]).await?.into_iter().next().unwrap_or(Version::ZERO);
                        unreadable.insert(stream, version);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let (command, stream) = (job.request.command.name(), job.request.command.subject());
        Err(CommandError::Unreadable { stream, detail: format!("what follows {command} looks at no end of streams") })
    }

    /// Wraps a decision and its consequences for the log, and folds both into the states.
    pub(super) fn writes(&mut self, first: Writes, along: Along, meta: &EventMeta) -> Vec<StreamWrite> {
        for stream in along.walked.begun {
            if !self.cache.contains(stream) {
                self.cache.put(stream, Cached::unwritten(stream));
            }
        }
        let mut writes = Vec::new();
        // The events so far, in their order: a step names its cause by the index.
        let mut events: Vec<EventId> = Vec::new();
        self.wrap(first, None, &along.unreadable, &mut writes, &mut events);
        for Step { command_id, cause, writes: written } in along.walked.steps {
            let own = EventMeta {
                command_id,
                causation_id: events.get(cause).map_or(meta.causation_id, |event| event.uuid()),
                actor: Caller::process_manager().actor,
                ..meta.clone()
            };
            self.wrap(written, Some(&own), &along.unreadable, &mut writes, &mut events);
        }
        for carried in along.walked.carried {
            let outcome = if carried.refused { "refused" } else { "done" };
            self.figures.walked.count(carried.name, outcome);
        }
        if let Some(reason) = along.walked.set_aside {
            metrics::counter!("jangbu_process_set_aside_total").increment(1);
            tracing::error!(reason, command_id = %meta.command_id, "a process could not be taken along with a command: {reason}");
        }
        writes
    }

    fn wrap(
        &mut self,
        written: Writes,
        meta: Option<&EventMeta>,
        unreadable: &BTreeMap<StreamId, Version>,
        writes: &mut Vec<StreamWrite>,
        events: &mut Vec<EventId>,
    ) {
        // If the log has other writers, the append checks the version of an aggregate that had
        // nothing to add, as a write of no events: that decision may be wrong on an outdated state.
        let exclusive = self.exclusive;
        for (stream, decided) in written.into_iter().filter(|(_, decided)| !(exclusive && decided.is_empty())) {
            let version = unreadable.get(&stream).copied().unwrap_or(Version::ZERO);
            let write = self.write(stream, &decided, version);
            events.extend(write.events.iter().map(|event| event.event_id));
            writes.push(StreamWrite { meta: meta.cloned(), ..write });
        }
    }
}
