//! The processes that carry orders from payment to the door, for operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use jangbu_commands::commands::ResolveFulfilment;
use jangbu_commands::{Command as _, OperatorAction, Permission, Reach};
use jangbu_kernel::ports::ParkedProcess;
use jangbu_kernel::{OrderId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{FulfilmentFilter, FulfilmentRow, FulfilmentState, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Line, Text, Whole, read_words, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position};
use crate::http::view::{Listing, Moment, sealed_remark};
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    let read = Reach::Any(Permission::OperationsRead);
    vec![
        Entry::new(read, Kind::Query, &[], routes!(list)),
        Entry::new(read, Kind::One, &[], routes!(one)),
        Entry::command(&[ResolveFulfilment::RULES], routes!(resume)),
        Entry::command(&[ResolveFulfilment::RULES], routes!(skip)),
        Entry::command(&[ResolveFulfilment::RULES], routes!(compensate)),
    ]
}

/// The reason for a parked process whose own stream cannot be read.
const UNREADABLE: &str = "stream_unreadable";
/// The prefix of a cursor within the list of those processes.
const CURSOR_PREFIX: &str = "unreadable-";

read_words!(FulfilmentState, "running, compensating, parked or ended");

request_body! {
    /// Which processes.
    pub(crate) struct SagaListQuery {
        /// Only those in this state.
        state: Option<FulfilmentState>,
        /// Only those that somebody should look at: parked, or without news for this many seconds.
        stuck_seconds: Option<Whole<1, 31_536_000>>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// A command that a process sent and has not heard of since.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenCommand)]
pub(crate) struct OpenCommandView {
    /// What it asks for, as `capture_payment`.
    #[schema(examples("capture_payment"))]
    name: String,
    command_id: Uuid,
    /// Since when it is out.
    since: Moment,
}

/// A timer of a process.
#[derive(Serialize, ToSchema)]
#[schema(as = Timer)]
pub(crate) struct TimerView {
    /// What it is for, as `payment_deadline`.
    #[schema(examples("payment_deadline"))]
    timer: String,
    /// When it rings.
    due_at: Moment,
}

/// What of a process cannot be read.
#[derive(Serialize, ToSchema)]
#[schema(as = UnreadableProcess)]
pub(crate) struct UnreadableView {
    /// The stream: the process's own, or one of its order.
    #[schema(examples("fulfilment-01890a5d-ac96-774b-bcce-b302099a8057"))]
    stream: String,
    /// What is wrong with it.
    reason: String,
    /// When that was noticed.
    since: Moment,
}

impl From<ParkedProcess> for UnreadableView {
    fn from(parked: ParkedProcess) -> Self {
        Self { stream: parked.stream.to_string(), reason: parked.reason, since: parked.parked_at.into() }
    }
}

/// The process of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = Saga)]
pub(crate) struct SagaView {
    order_id: Uuid,
    /// The order's number.
    #[schema(examples("261121-7ZK3M0Q9XB"))]
    number: Option<String>,
    /// How it goes.
    #[schema(value_type = words::SagaState)]
    state: &'static str,
    /// Where it stands on its way from `awaiting_payment` to `ended`.
    #[schema(examples("capturing"))]
    step: String,
    /// Whether it waits for somebody outside.
    at_rest: bool,
    /// Why a person has to decide; null when nobody has to.
    parked_reason: Option<String>,
    /// How it ended: `completed`, `cancelled`, `expired` or `failed`; null before.
    outcome: Option<String>,
    /// What it asked for and has not seen the effect of.
    open_commands: Vec<OpenCommandView>,
    /// The timers that are set.
    timers: Vec<TimerView>,
    /// How many events of other streams it has taken in.
    inputs: u32,
    /// When it began: with its order.
    started_at: Moment,
    updated_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
    /// Why it is left alone without its own doing: the rest is shown as far as it can be
    /// read. It goes on by itself once everything can be read again. Null else.
    unreadable: Option<UnreadableView>,
}

impl Resource for FulfilmentRow {
    const WHAT: &'static str = "saga";
    type View = SagaView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::fulfilment(OrderId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::fulfilment(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.fulfilment(OrderId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        None
    }
    fn order_id(&self) -> Option<OrderId> {
        Some(self.order_id)
    }
    async fn view(self, app: &App) -> Result<SagaView, Problem> {
        let parked = parked_among(app, self.order_id).await?;
        let unreadable = parked.is_some().then(|| UNREADABLE.to_owned());
        Ok(SagaView {
            state: if parked.is_some() { FulfilmentState::Parked.name() } else { self.state_name() },
            number: number_of(app, self.order_id).await,
            unreadable: parked.map(UnreadableView::from),
            order_id: self.order_id.uuid(),
            step: self.step,
            at_rest: self.at_rest,
            parked_reason: self.parked_reason.or(unreadable),
            outcome: self.outcome,
            open_commands: self
                .open_commands
                .into_iter()
                .map(|open| OpenCommandView {
                    name: open.name,
                    command_id: open.command_id.uuid(),
                    since: open.since.into(),
                })
                .collect(),
            timers: self
                .timers
                .into_iter()
                .map(|timer| TimerView { timer: timer.timer, due_at: timer.due_at.into() })
                .collect(),
            inputs: self.inputs,
            started_at: self.started_at.into(),
            updated_at: self.updated_at.into(),
            version: self.version,
        })
    }
}

/// Adds to a process that it is parked because of an unreadable stream, which its own stream cannot
/// say.
async fn parked_among(app: &App, order_id: OrderId) -> Result<Option<ParkedProcess>, Problem> {
    Ok(app.state.parked.parked_among(vec![order_id]).await?.pop())
}

/// The readable part of a process of which something cannot be read.
async fn as_far_as_readable(app: &App, parked: ParkedProcess) -> Result<SagaView, Problem> {
    let events = app.state.commands.history(StreamId::fulfilment(parked.order_id), None).await?;
    fold::readable_fulfilment(parked.order_id, &events, parked.parked_at).view(app).await
}

/// The order's number; none while the read model does not have the order.
async fn number_of(app: &App, order_id: OrderId) -> Option<String> {
    app.state.queries.order(order_id).await.ok().flatten().map(|order| order.number)
}

/// The start of the page that lists unreadable processes first; none in a later part of the list.
fn behind_unreadable(cursor: Option<&str>) -> Option<Option<OrderId>> {
    match cursor {
        None => Some(None),
        Some(cursor) => cursor.strip_prefix(CURSOR_PREFIX)?.parse().ok().map(Some),
    }
}

/// Processes, newest first; before them those of which something cannot be read, where
/// they are asked for.
#[utoipa::path(
    get, path = "/v1/sagas", operation_id = "listSagas", tag = "operations",
    params(SagaListQuery),
    responses((status = 200, description = "a page of processes", body = Listing<SagaView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<SagaListQuery>,
) -> Result<Json<Listing<SagaView>>, Problem> {
    await_min_position(&app, &call).await?;
    let now = app.state.world.clock.now();
    let stuck_for = query.stuck_seconds.map(|seconds| (Duration::from_secs(seconds.0.unsigned_abs()), now));
    let filter = FulfilmentFilter { state: query.state, stuck_for };
    let mut request = page_request(query.cursor, query.limit);
    let sorted = filter.state.is_some() || filter.stuck_for.is_some();
    let parked_too = sorted && filter.state.is_none_or(|state| state == FulfilmentState::Parked);
    let mut first = Vec::new();
    if let Some(after) = behind_unreadable(request.cursor.as_deref()).filter(|_| parked_too) {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let mut last = after;
        for process in app.state.parked.parked(after, limit).await? {
            last = Some(process.order_id);
            first.push(as_far_as_readable(&app, process).await?);
        }
        if first.len() >= limit {
            let next_cursor = last.map(|order_id| format!("{CURSOR_PREFIX}{order_id}"));
            return Ok(Json(Listing { items: first, next_cursor }));
        }
        request.cursor = None;
        request.limit = request.limit.saturating_sub(u32::try_from(first.len()).unwrap_or(u32::MAX));
    }
    let mut page = app.state.queries.fulfilments(&filter, &request).await?;
    if sorted {
        // Those were listed before, or are not in the state that the read model has.
        let orders = page.items.iter().map(|row| row.order_id).collect();
        let parked = app.state.parked.parked_among(orders).await?;
        page.items.retain(|row| parked.iter().all(|process| process.order_id != row.order_id));
    }
    let Json(mut listing) = reply::page(&app, page).await?;
    listing.items.splice(0..0, first);
    Ok(Json(listing))
}

/// The process of one order.
#[utoipa::path(
    get, path = "/v1/sagas/{order_id}", operation_id = "getSaga", tag = "operations",
    params(("order_id" = Uuid, Path, description = "the order")),
    responses((status = 200, description = "its process", body = SagaView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    match parked_among(&app, OrderId::new(id)).await? {
        // What is reported beside its stream is not covered by its version.
        Some(parked) => Ok(Json(as_far_as_readable(&app, parked).await?).into_response()),
        None => reply::read::<FulfilmentRow>(&app, &call, id, None).await,
    }
}

request_body! {
    /// Decides about a process that waits for a person.
    pub(crate) struct ResolveBody {
        /// Why; it is recorded with who decided.
        reason: Text<1, 500>,
    }
}

/// Has a parked process try its step again.
#[utoipa::path(
    post, path = "/v1/sagas/{order_id}/resume", operation_id = "resumeSaga", tag = "operations",
    params(("order_id" = Uuid, Path, description = "the order")),
    request_body = ResolveBody,
    responses((status = 200, description = "its process", body = SagaView)),
)]
async fn resume(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ResolveBody>,
) -> Result<Response, Problem> {
    resolve(&app, id, &call, OperatorAction::Resume, body).await
}

/// Has a parked process take its step as done: a parcel that came back or is lost as
/// delivered, money that cannot be refunded as written off.
#[utoipa::path(
    post, path = "/v1/sagas/{order_id}/skip", operation_id = "skipSaga", tag = "operations",
    params(("order_id" = Uuid, Path, description = "the order")),
    request_body = ResolveBody,
    responses((status = 200, description = "its process", body = SagaView)),
)]
async fn skip(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ResolveBody>,
) -> Result<Response, Problem> {
    resolve(&app, id, &call, OperatorAction::Skip, body).await
}

/// Has a parked process undo everything: the label is called off, the money goes back, the
/// goods are free and the order fails.
#[utoipa::path(
    post, path = "/v1/sagas/{order_id}/compensate", operation_id = "compensateSaga", tag = "operations",
    params(("order_id" = Uuid, Path, description = "the order")),
    request_body = ResolveBody,
    responses((status = 200, description = "its process", body = SagaView)),
)]
async fn compensate(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ResolveBody>,
) -> Result<Response, Problem> {
    resolve(&app, id, &call, OperatorAction::Compensate, body).await
}

async fn resolve(
    app: &App,
    id: Uuid,
    call: &Call,
    action: OperatorAction,
    body: JsonBody<ResolveBody>,
) -> Result<Response, Problem> {
    let order_id = OrderId::new(id);
    let reason = sealed_remark(app, StreamId::fulfilment(order_id), &body.value.reason.0).await?;
    let command = ResolveFulfilment { order_id, action, reason };
    let answer = call.execute(app, command, &body.bytes).await?;
    reply::command::<FulfilmentRow>(app, call, answer, Made::Changed).await
}
