//! Cached states of users and sessions: a request that needs one costs a read of its new events
//! once a second, however long its stream is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_aggregates::{Aggregate, AnyState};
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::{StreamId, Version};

use crate::reader;

/// How long a state may be used without reading its new events: the longest delay until a change of
/// roles, of an account or of a session takes effect.
const FRESH: Duration = Duration::from_millis(900);
/// The most states that are cached, some hundred bytes each.
const IN_MIND: u64 = 50_000;
/// A user without requests for this long is evicted: the life of an access token.
const QUIET: Duration = Duration::from_secs(300);
/// The most events that are folded onto a cached state; for more, loading a snapshot is faster.
const TAIL: usize = 200;

/// A state as it was a moment ago.
#[derive(Clone)]
pub(super) struct Known {
    state: Arc<AnyState>,
    /// The version of the stream up to which it is folded; 0 if there is no such stream.
    pub(super) version: Version,
    asked: Instant,
}

impl Known {
    /// The state, if it is of this aggregate.
    pub(super) fn get<A: Aggregate>(&self) -> Option<&A> {
        A::from_any(&self.state)
    }
}

/// The cached states. Clones share them.
#[derive(Clone)]
pub(super) struct Memory {
    log: Arc<dyn EventLog>,
    states: moka::sync::Cache<StreamId, Known>,
}

impl Memory {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Self {
        let states = moka::sync::Cache::builder().max_capacity(IN_MIND).time_to_idle(QUIET).build();
        Self { log, states }
    }

    /// The state of a stream, at most [`FRESH`] old.
    pub(super) async fn recent(&self, stream: StreamId) -> Result<Known, LogError> {
        match self.states.get(&stream) {
            Some(known) if known.asked.elapsed() < FRESH => Ok(known),
            known => self.look(stream, known).await,
        }
    }

    /// The state of a stream as the log has it now.
    pub(super) async fn now(&self, stream: StreamId) -> Result<Known, LogError> {
        self.look(stream, self.states.get(&stream)).await
    }

    /// The state at exactly this version, which was written just now or earlier.
    pub(super) async fn at(&self, stream: StreamId, version: Version) -> Result<Known, LogError> {
        let known = match self.states.get(&stream) {
            Some(known) if known.version <= version => known,
            Some(_) | None => self.now(stream).await?,
        };
        if known.version == version {
            return Ok(known);
        }
        let (state, from) = match known.version {
            later if later > version => (AnyState::initial(stream.kind), Version::ZERO),
            earlier => (AnyState::clone(&known.state), earlier),
        };
        self.advance(stream, state, from, version).await
    }

    /// Evicts the state of a stream, because the stream was just written.
    pub(super) fn forget(&self, stream: StreamId) {
        self.states.invalidate(&stream);
    }

    async fn look(&self, stream: StreamId, known: Option<Known>) -> Result<Known, LogError> {
        // Taken before the read, because events that are written during it may be missing.
        let asked = Instant::now();
        let fresh = match known {
            Some(known) => self.follow(stream, known, asked).await?,
            None => self.load(stream, asked).await?,
        };
        // Ids that do not exist are not cached: anybody can make them up.
        if fresh.version > Version::ZERO {
            self.states.insert(stream, fresh.clone());
        }
        Ok(fresh)
    }

    async fn follow(&self, stream: StreamId, known: Known, asked: Instant) -> Result<Known, LogError> {
        let events = self.log.read_stream(stream, known.version.next(), Version::MAX, TAIL).await?;
        if events.is_empty() {
            return Ok(Known { asked, ..known });
        }
        if events.len() == TAIL {
            return self.load(stream, asked).await;
        }
        let state = AnyState::clone(&known.state);
        let (state, version) = reader::fold_onto(stream, state, known.version, &events)?;
        Ok(Known { state: Arc::new(state), version, asked })
    }

    async fn load(&self, stream: StreamId, asked: Instant) -> Result<Known, LogError> {
        let wanted = vec![(stream, AnyState::state_version(stream.kind))];
        let loaded = self.log.load(wanted).await?.into_iter().next().unwrap_or_default();
        let (state, version, _) = reader::fold(self.log.as_ref(), stream, loaded).await?;
        Ok(Known { state: Arc::new(state), version, asked })
    }

    async fn advance(
        &self,
        stream: StreamId,
        mut state: AnyState,
        from: Version,
        to: Version,
    ) -> Result<Known, LogError> {
        let (asked, mut version) = (Instant::now(), from);
        while version < to {
            let events = self.log.read_stream(stream, version.next(), to, TAIL).await?;
            if events.is_empty() {
                break;
            }
            (state, version) = reader::fold_onto(stream, state, version, &events)?;
        }
        Ok(Known { state: Arc::new(state), version, asked })
    }
}
