//! What commands would do: decides them without writing anything.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jangbu_aggregates::state::AnyState;
use jangbu_aggregates::{AnyCommand, Facts, Missing, Outcome, Policy, Scope, States};
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::{StreamId, Timestamp};
use lru::LruCache;

use crate::decider::Commands;
use crate::reader::fold;
use crate::request::CommandError;

/// Streams that are kept in mind. A command is judged on what earlier ones would have left of these;
/// of others, on what the log has.
const MOST_STREAMS: usize = 50_000;
/// How many streams a decision may ask for one by one. The deepest tree of categories has fewer levels.
const MOST_ROUNDS: usize = 256;

/// Decides commands one after the other, each seeing what the earlier ones would have recorded.
pub struct Foresight {
    log: Arc<dyn EventLog>,
    facts: Facts,
    states: Foreseen,
}

struct Foreseen(LruCache<StreamId, AnyState>);

impl States for Foreseen {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        self.0.peek(&stream)
    }
}

impl Foresight {
    /// Foresees what commands would do at this moment.
    #[must_use]
    pub fn new(commands: &Commands, policy: Arc<Policy>, now: Timestamp) -> Self {
        let most = NonZeroUsize::new(MOST_STREAMS).unwrap_or(NonZeroUsize::MIN);
        let facts = Facts { now, policy, scope: Scope::Any };
        Self { log: Arc::clone(commands.log()), facts, states: Foreseen(LruCache::new(most)) }
    }

    /// Loads the streams of several commands with one read. Only saves rounds: what cannot be loaded
    /// here is loaded, or fails, where it is needed.
    pub async fn prepare(&mut self, commands: &[AnyCommand]) {
        let mut wanted: Vec<_> = commands.iter().flat_map(|command| command.streams(&self.states)).collect();
        wanted.retain(|stream| self.states.0.get(stream).is_none());
        wanted.sort_unstable();
        wanted.dedup();
        if let Err(error) = self.load(wanted).await {
            tracing::debug!(%error, "some streams are loaded one by one");
        }
    }

    /// What a command would record, or why it would be refused.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn decide(&mut self, command: &AnyCommand) -> Result<Outcome, CommandError> {
        for _ in 0..MOST_ROUNDS {
            match command.decide(&self.states, &self.facts) {
                Ok(Outcome::Record(streams)) => {
                    for (stream, events) in &streams {
                        if let Some(state) = self.states.0.get_mut(stream) {
                            events.iter().for_each(|event| state.evolve(event));
                        }
                    }
                    return Ok(Outcome::Record(streams));
                }
                Ok(other @ (Outcome::AlreadyDone | Outcome::Refused(_))) => return Ok(other),
                Err(Missing(stream)) => {
                    self.load(vec![stream]).await.map_err(|error| CommandError::reading(stream, error))?;
                }
            }
        }
        Err(CommandError::Unavailable("a decision asked for too many streams".to_owned()))
    }

    async fn load(&mut self, streams: Vec<StreamId>) -> Result<(), LogError> {
        if streams.is_empty() {
            return Ok(());
        }
        let wanted = streams.iter().map(|stream| (*stream, AnyState::state_version(stream.kind))).collect();
        for (stream, loaded) in streams.into_iter().zip(self.log.load(wanted).await?) {
            let (state, _, _) = fold(self.log.as_ref(), stream, loaded).await?;
            self.states.0.put(stream, state);
        }
        Ok(())
    }
}
