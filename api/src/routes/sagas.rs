//! The processes that carry orders from payment to the door, for operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::authorization::Permission;
use jangbu_kernel::{OrderId, RecordedEvent, StreamId, UserId};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{FulfilmentFilter, FulfilmentRow, FulfilmentState, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::orders::page_request;
use super::{Entry, Kind};
use crate::http::call::Call;
use crate::http::fields::{Line, Whole, read_words, request_body};
use crate::http::gate::Access;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::resource::{Resource, await_min_position};
use crate::http::view::{Listing, Moment};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    let read = Access::Needs(Permission::OperationsRead);
    vec![Entry::new(read, Kind::Query, &[], routes!(list)), Entry::new(read, Kind::One, &[], routes!(one))]
}

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
    name: String,
    command_id: Uuid,
    since: Moment,
}

/// A timer of a process.
#[derive(Serialize, ToSchema)]
#[schema(as = Timer)]
pub(crate) struct TimerView {
    timer: String,
    due_at: Moment,
}

/// The process of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = Saga)]
pub(crate) struct SagaView {
    order_id: Uuid,
    /// running, compensating, parked or ended.
    #[schema(examples("running"))]
    state: &'static str,
    #[schema(examples("capturing"))]
    step: String,
    /// Whether it waits for somebody outside.
    at_rest: bool,
    /// Why a person has to decide.
    parked_reason: Option<String>,
    outcome: Option<String>,
    open_commands: Vec<OpenCommandView>,
    timers: Vec<TimerView>,
    /// How many events of other streams it has taken in.
    inputs: u32,
    started_at: Moment,
    updated_at: Moment,
    version: u64,
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
    fn version(&self) -> u64 {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        None
    }
    fn order_id(&self) -> Option<OrderId> {
        Some(self.order_id)
    }
    async fn view(self, _: &App) -> Result<SagaView, Problem> {
        Ok(SagaView {
            state: self.state_name(),
            order_id: self.order_id.uuid(),
            step: self.step,
            at_rest: self.at_rest,
            parked_reason: self.parked_reason,
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

/// Processes, newest first.
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
    let page = app.state.queries.fulfilments(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// The process of one order.
#[utoipa::path(
    get, path = "/v1/sagas/{order_id}", operation_id = "getSaga", tag = "operations",
    params(("order_id" = Uuid, Path, description = "the order")),
    responses((status = 200, description = "its process", body = SagaView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    reply::read::<FulfilmentRow>(&app, &call, id, None).await
}
