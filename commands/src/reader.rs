//! Reading streams without the decider: whole histories, and folded states.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jangbu_aggregates::{Aggregate, AnyState, DomainEvent};
use jangbu_kernel::log::{EventLog, LoadedStream, LogError};
use jangbu_kernel::{RecordedEvent, StreamId, Version};
use uuid::Uuid;

/// Events of one read of a history.
const HISTORY_PAGE: usize = 500;

/// The events of a stream up to a version; all of them if none is given.
///
/// # Errors
/// When the store cannot be read.
pub async fn history(
    log: &dyn EventLog,
    stream: StreamId,
    to_version: Option<Version>,
) -> Result<Vec<RecordedEvent>, LogError> {
    between(log, stream, Version::FIRST, to_version).await
}

/// The same, starting at a version.
pub(crate) async fn between(
    log: &dyn EventLog,
    stream: StreamId,
    from_version: Version,
    to_version: Option<Version>,
) -> Result<Vec<RecordedEvent>, LogError> {
    let to_version = to_version.unwrap_or(Version::MAX);
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let from = events.last().map_or(from_version, |event| event.version.next());
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

/// The present state of one aggregate in the log, and its version (0 if it does not exist). It does
/// not include what the decider is about to commit.
///
/// # Errors
/// When the store cannot be read, or has an event that this program cannot read.
pub async fn load_state<A: Aggregate>(
    log: &dyn EventLog,
    id: impl Into<Uuid> + Send,
) -> Result<(A, Version), LogError> {
    let stream = StreamId::new(A::KIND, id.into());
    let loaded = log.load(vec![(stream, A::STATE_VERSION)]).await?.into_iter().next().unwrap_or_default();
    let (state, version, _) = fold(log, stream, loaded).await?;
    Ok((A::from_any(&state).cloned().unwrap_or_default(), version))
}

/// Folds a loaded stream: its state, its version and the version of the snapshot that was used. If
/// the snapshot cannot be read, the whole stream is folded.
pub(crate) async fn fold(
    log: &dyn EventLog,
    stream: StreamId,
    loaded: LoadedStream,
) -> Result<(AnyState, Version, Version), LogError> {
    let Some(snapshot) = loaded.snapshot else {
        return fold_events(stream, AnyState::initial(stream.kind), Version::ZERO, &loaded.events);
    };
    match AnyState::from_snapshot(stream, &snapshot.state) {
        Ok(state) => fold_events(stream, state, snapshot.version, &loaded.events),
        Err(error) => {
            tracing::warn!(%stream, version = snapshot.version.get(), %error, "a snapshot cannot be read, the stream is folded whole");
            let events = history(log, stream, None).await?;
            fold_events(stream, AnyState::initial(stream.kind), Version::ZERO, &events)
        }
    }
}

/// Folds further events onto a state at a version; returns the new state and its version.
pub(crate) fn fold_onto(
    stream: StreamId,
    state: AnyState,
    version: Version,
    events: &[RecordedEvent],
) -> Result<(AnyState, Version), LogError> {
    fold_events(stream, state, version, events).map(|(state, version, _)| (state, version))
}

fn fold_events(
    stream: StreamId,
    mut state: AnyState,
    from: Version,
    events: &[RecordedEvent],
) -> Result<(AnyState, Version, Version), LogError> {
    let mut version = from;
    // A fold should never panic. If one does, only this stream counts as unreadable.
    let folded = catch_unwind(AssertUnwindSafe(|| -> Result<(), LogError> {
        for recorded in events {
            if recorded.version != version.next() {
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
