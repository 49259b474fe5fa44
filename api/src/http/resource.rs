//! What the routes show: rows of the read side, each the fold of one stream, so that the same code
//! makes the answer to a command and to a query.

use std::future::Future;

use jangbu_commands::{Answer, Scope};
use jangbu_kernel::{OrderId, Position, RecordedEvent, StreamId, Timestamp, UserId, Version};
use jangbu_projections::fold::FoldError;
use jangbu_projections::{Queries, QueryError};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::openapi::schema::ObjectBuilder;
use uuid::Uuid;

use super::call::Call;
use super::fields::ReadText;
use super::prefer::Stage;
use super::problem::{Code, Problem};
use crate::state::App;

/// A row of the read side that is the fold of one stream.
pub(crate) trait Resource: Sized + Send {
    /// Its name, for a person.
    const WHAT: &'static str;
    /// What clients see.
    type View: Serialize + Send;

    /// Its stream.
    fn stream(id: Uuid) -> StreamId;
    /// The same fold as the read model's.
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError>;
    /// The row as the read model has it.
    fn find(queries: &Queries, id: Uuid) -> impl Future<Output = Result<Option<Self>, QueryError>> + Send;
    /// The row at a version that its stream has reached. A resource with a long stream does not
    /// fold it from its beginning.
    fn at_version(app: &App, id: Uuid, version: Version) -> impl Future<Output = Result<Option<Self>, Problem>> + Send {
        async move { Ok(Self::fold(&app.state.commands.history(Self::stream(id), Some(version)).await?)?) }
    }
    /// The version of the stream up to which it is folded.
    fn version(&self) -> Version;
    /// Its owner; none for the shop's own, which everyone with access to the route may see.
    fn owner(&self) -> Option<UserId>;
    /// The order whose process has to settle if a client waits for that.
    fn order_id(&self) -> Option<OrderId>;
    /// A short text for what the view shows and the version does not cover. It is part of the
    /// entity tag, so that a changed answer never has an old tag. None if the version covers
    /// everything.
    fn beside(_: &Self::View) -> Option<String> {
        None
    }
    /// The view for clients, with personal fields decrypted.
    fn view(self, app: &App) -> impl Future<Output = Result<Self::View, Problem>> + Send;
}

/// `?as_of=`: a version or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsOf {
    Version(Version),
    Time(Timestamp),
}

impl ReadText for AsOf {
    const WANTED: &'static str = "a version such as 3, or a time such as 2026-11-21T01:07:00.000Z";
    const CODE: &'static str = "invalid_as_of";
    fn parse_text(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|version| *version > Version::ZERO).map(Self::Version);
        }
        Timestamp::parse_text(text).map(Self::Time)
    }
    fn text_schema() -> ObjectBuilder {
        ObjectBuilder::new().pattern(Some("^0*[1-9][0-9]{0,17}$")).examples(["3"])
    }
    fn one_of() -> Vec<ObjectBuilder> {
        vec![Self::text_schema(), Timestamp::text_schema().examples(["2026-11-21T01:07:00.000Z"])]
    }
}

/// The version that a stream had: the one asked for if the stream has reached it, or the last one
/// that was recorded at that time. None if there was none yet, or there is no such version.
///
/// It is found by binary search, which reads one event per step, because the events are in the
/// order of their times.
pub(crate) async fn version_as_of(app: &App, stream: StreamId, as_of: AsOf) -> Result<Option<Version>, Problem> {
    let log = app.state.commands.log();
    let reached = log.versions(vec![stream]).await?.first().copied().unwrap_or_default();
    let time = match as_of {
        AsOf::Version(version) => return Ok((version <= reached).then_some(version)),
        AsOf::Time(time) => time,
    };
    let was_recorded = async |version: Version| -> Result<bool, Problem> {
        let found = log.read_stream(stream, version, version, 1).await?;
        let event = found.first().ok_or_else(|| Problem::internal(format!("{stream} has no version {version}")))?;
        Ok(event.meta.recorded_at <= time)
    };
    if reached == Version::ZERO || !was_recorded(Version::FIRST).await? {
        return Ok(None);
    }
    if was_recorded(reached).await? {
        return Ok(Some(reached));
    }
    // The version `before` was recorded by then, the version `behind` was not.
    let (mut before, mut behind) = (Version::FIRST, reached);
    while before.behind(behind) > 1 {
        let middle = before.plus(before.behind(behind) / 2);
        if was_recorded(middle).await? {
            before = middle;
        } else {
            behind = middle;
        }
    }
    Ok(Some(before))
}

/// Waits for `Jangbu-Min-Position`. A position that the log has not assigned is rejected at once,
/// because waiting cannot bring the client's fact into this log.
pub(crate) async fn await_min_position(app: &App, call: &Call) -> Result<(), Problem> {
    let Some(position) = call.wait.min_position else { return Ok(()) };
    if app.state.queries.wait_for(position, Instant::now()).await {
        return Ok(());
    }
    // Another node may have assigned a newer position than this node knows: then the store is
    // asked.
    let log = app.state.commands.log();
    if position > log.watch_head().current() {
        let head = log.head().await?;
        if position > head {
            let detail = format!("the log ends at position {head}: what you have seen is not in it, read without one");
            return Err(Problem::new(Code::PositionUnknown, detail));
        }
    }
    if app.state.queries.wait_for(position, Instant::now() + call.wait.limit()).await {
        return Ok(());
    }
    Err(Problem::new(Code::ReadModelBehind, format!("the read model has not reached position {position} yet"))
        .retry_after(1))
}

/// A row that the caller may see.
///
/// If the read model does not have it yet, it is folded from the log, so that a client finds what
/// it has just created without asking for a position.
pub(crate) async fn load<R: Resource>(app: &App, call: &Call, id: Uuid, as_of: Option<AsOf>) -> Result<R, Problem> {
    let stream = R::stream(id);
    let row = if let Some(as_of) = as_of {
        match version_as_of(app, stream, as_of).await? {
            Some(version) => R::at_version(app, id, version).await?,
            None => None,
        }
    } else {
        await_min_position(app, call).await?;
        match R::find(&app.state.queries, id).await? {
            Some(row) => Some(row),
            None => R::fold(&app.state.commands.history(stream, None).await?)?,
        }
    };
    row.filter(|row| is_visible(row.owner(), call)).ok_or_else(|| Problem::not_found(R::WHAT))
}

/// Whether a resource of this owner is visible to the caller.
pub(crate) fn is_visible(owner: Option<UserId>, call: &Call) -> bool {
    match (owner, call.visitor().map(|principal| principal.scope)) {
        (None, _) | (Some(_), Some(Scope::Any)) => true,
        (Some(owner), Some(Scope::Own(caller))) => owner == caller,
        (Some(_), None) => false,
    }
}

/// The row that a command's answer refers to, at exactly the answer's version.
pub(crate) async fn of_answer<R: Resource>(app: &App, answer: &Answer) -> Result<R, Problem> {
    let own: Vec<RecordedEvent> = answer
        .events
        .iter()
        .filter(|event| event.stream == answer.stream)
        .map(|event| RecordedEvent::clone(event))
        .collect();
    let row = if own.first().is_some_and(|first| first.version == Version::FIRST) {
        R::fold(&own)?
    } else {
        R::at_version(app, answer.stream.id, answer.version).await?
    };
    row.ok_or_else(|| Problem::internal(format!("{} has no events after a command", answer.stream)))
}

/// Waits for the stage that the client asked for. Returns the position up to which it was reached,
/// or none on a timeout. What has settled is shown by every read model.
pub(crate) async fn reach(app: &App, call: &Call, position: Position, order_id: Option<OrderId>) -> Option<Position> {
    let deadline = Instant::now() + call.wait.limit();
    let (order_id, processes) = match (call.wait.stage, order_id, &app.state.processes) {
        (Stage::Committed, _, _) => return Some(position),
        (Stage::Projected, _, _) | (Stage::Settled, None, _) => return projected(app, position, deadline).await,
        (Stage::Settled, Some(_), None) => return None,
        (Stage::Settled, Some(order_id), Some(processes)) => (order_id, processes),
    };
    if !processes.wait_settled(order_id, deadline).await {
        return None;
    }
    let head = app.state.commands.log().head().await.unwrap_or(position).max(position);
    projected(app, head, deadline).await
}

async fn projected(app: &App, position: Position, deadline: Instant) -> Option<Position> {
    app.state.queries.wait_for(position, deadline).await.then_some(position)
}
