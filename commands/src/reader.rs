//! Reading streams beside the decider: whole histories, and folded states.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jangbu_aggregates::{Aggregate, AnyState, DomainEvent};
use jangbu_kernel::log::{EventLog, LoadedStream, LogError};
use jangbu_kernel::{RecordedEvent, StreamId};
use uuid::Uuid;

/// Events that one read of a history asks for.
const HISTORY_PAGE: usize = 500;

/// The events of a stream up to a version, all of them when none is given.
///
/// # Errors
/// When the store cannot be read.
pub async fn history(
    log: &dyn EventLog,
    stream: StreamId,
    to_version: Option<u64>,
) -> Result<Vec<RecordedEvent>, LogError> {
    between(log, stream, 1, to_version).await
}

/// The same from a version on.
pub(crate) async fn between(
    log: &dyn EventLog,
    stream: StreamId,
    from_version: u64,
    to_version: Option<u64>,
) -> Result<Vec<RecordedEvent>, LogError> {
    let to_version = to_version.unwrap_or(u64::MAX);
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let from = events.last().map_or(from_version, |event| event.version + 1);
        if from > to_version {
            return Ok(events);
        }
        let page = log.read_stream(stream, from, to_version, HISTORY_PAGE).await?;
        let whole = page.len() == HISTORY_PAGE;
        events.extend(page);
        if !whole {
            return Ok(events);
        }
    }
}

/// The state of one aggregate as the log has it now, and its version (0: it does
/// not exist). It does not see what the decider is about to commit.
///
/// # Errors
/// When the store cannot be read, or holds an event that this program cannot.
pub async fn load_state<A: Aggregate>(log: &dyn EventLog, id: impl Into<Uuid> + Send) -> Result<(A, u64), LogError> {
    let stream = StreamId::new(A::KIND, id.into());
    let loaded = log.load(vec![(stream, A::STATE_VERSION)]).await?.into_iter().next().unwrap_or_default();
    let (state, version, _) = fold(log, stream, loaded).await?;
    Ok((A::from_any(&state).cloned().unwrap_or_default(), version))
}

/// Folds a loaded stream: its state, its version and the version of the snapshot
/// it started from. A snapshot that cannot be read costs a fold of the whole stream.
pub(crate) async fn fold(
    log: &dyn EventLog,
    stream: StreamId,
    loaded: LoadedStream,
) -> Result<(AnyState, u64, u64), LogError> {
    let Some(snapshot) = loaded.snapshot else {
        return fold_events(stream, AnyState::initial(stream.kind), 0, &loaded.events);
    };
    match AnyState::from_snapshot(stream, &snapshot.state) {
        Ok(state) => fold_events(stream, state, snapshot.version, &loaded.events),
        Err(error) => {
            tracing::warn!(%stream, version = snapshot.version, %error, "a snapshot cannot be read, the stream is folded whole");
            let events = history(log, stream, None).await?;
            fold_events(stream, AnyState::initial(stream.kind), 0, &events)
        }
    }
}

/// Folds further events onto a state at a version: the state, and its version then.
pub(crate) fn fold_onto(
    stream: StreamId,
    state: AnyState,
    version: u64,
    events: &[RecordedEvent],
) -> Result<(AnyState, u64), LogError> {
    fold_events(stream, state, version, events).map(|(state, version, _)| (state, version))
}

fn fold_events(
    stream: StreamId,
    mut state: AnyState,
    from: u64,
    events: &[RecordedEvent],
) -> Result<(AnyState, u64, u64), LogError> {
    let mut version = from;
    // Folds are total; if one is not after all, it is this stream that cannot be read.
    let folded = catch_unwind(AssertUnwindSafe(|| -> Result<(), LogError> {
        for recorded in events {
            if recorded.version != version + 1 {
                return Err(LogError::Damaged(format!("{stream} has version {} behind {version}", recorded.version)));
            }
            state.evolve(&decode(recorded)?);
            version = recorded.version;
        }
        Ok(())
    }));
    folded.map_err(|_| LogError::Damaged(format!("folding {stream} broke off behind version {version}")))??;
    Ok((state, version, from))
}

/// Reads a stored event.
pub(crate) fn decode(recorded: &RecordedEvent) -> Result<DomainEvent, LogError> {
    DomainEvent::try_from(recorded)
        .map_err(|error| LogError::Damaged(format!("position {} of {}: {error}", recorded.position, recorded.stream)))
}
