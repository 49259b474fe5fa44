//! Taking the processes along: what they learn from a decision and what follows from it goes
//! into the append of the decision.

use std::collections::BTreeMap;

use jangbu_aggregates::processes::walk::{Ground, Step, Unloaded, Versioned, Walked, Writes, walk};
use jangbu_aggregates::{AnyState, States};
use jangbu_kernel::log::StreamWrite;
use jangbu_kernel::{EventId, EventMeta, StreamId};

use super::batch::Job;
use super::cache::{Cached, View};
use super::decide::MAX_MISSES;
use super::task::Decider;
use crate::request::{Caller, CommandError};

/// What goes into an append behind a decision.
pub(super) struct Along {
    pub walked: Walked,
    /// Streams that cannot be read, with their versions: a process says that it is set aside.
    unreadable: BTreeMap<StreamId, u64>,
}

/// The cache as a walk sees it.
struct Known<'a> {
    view: View<'a>,
    unreadable: &'a BTreeMap<StreamId, u64>,
}

impl States for Known<'_> {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        self.view.any(stream)
    }
}

impl Versioned for Known<'_> {
    fn version(&self, stream: StreamId) -> u64 {
        self.view.version(stream).or_else(|| self.unreadable.get(&stream).copied()).unwrap_or(0)
    }
}

impl Along {
    /// Every stream that is written, or held to by the append.
    pub fn streams(&self, exclusive: bool) -> impl Iterator<Item = StreamId> + '_ {
        let writes = self.walked.steps.iter().flat_map(|step| &step.writes);
        writes.filter(move |(_, events)| !(exclusive && events.is_empty())).map(|(stream, _)| *stream)
    }
}

impl Decider {
    /// Walks on from what a job has decided; loads what that asks for.
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
                        let version = self.log.versions(vec![stream]).await?.into_iter().next().unwrap_or(0);
                        unreadable.insert(stream, version);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let (command, stream) = (job.request.command.name(), job.request.command.subject());
        Err(CommandError::Unreadable { stream, detail: format!("what follows {command} looks at no end of streams") })
    }

    /// Wraps a decision and what follows from it for the log, and folds both into the states.
    pub(super) fn writes(&mut self, first: Writes, along: Along, meta: &EventMeta) -> Vec<StreamWrite> {
        for stream in along.walked.begun {
            if !self.cache.contains(stream) {
                self.cache.put(stream, Cached::unwritten(stream));
            }
        }
        let mut writes = Vec::new();
        // The events so far, in their order: a step names its cause by the place.
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
        unreadable: &BTreeMap<StreamId, u64>,
        writes: &mut Vec<StreamWrite>,
        events: &mut Vec<EventId>,
    ) {
        // Where others write too, that an aggregate had nothing to add is checked by the append,
        // as a write of no events: on a state of a moment ago it may be wrong.
        let exclusive = self.exclusive;
        for (stream, decided) in written.into_iter().filter(|(_, decided)| !(exclusive && decided.is_empty())) {
            let version = unreadable.get(&stream).copied().unwrap_or(0);
            let write = self.write(stream, &decided, version);
            events.extend(write.events.iter().map(|event| event.event_id));
            writes.push(StreamWrite { meta: meta.cloned(), ..write });
        }
    }
}
