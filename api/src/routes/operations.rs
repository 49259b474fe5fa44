//! The read models, for operators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jangbu_commands::{Permission, Reach};
use jangbu_kernel::Position;
use jangbu_projections::{ProjectionStatus, names};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use crate::http::body::NoBody;
use crate::http::call::Call;
use crate::http::params::PathText;
use crate::http::problem::{Code, Problem};
use crate::http::resource::await_min_position;
use crate::http::view::Listing;
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Reach::Any(Permission::OperationsRead), Kind::Query, &[], routes!(list)),
        Entry::new(Reach::Any(Permission::OperationsWrite), Kind::Action, &[Code::NotFound], routes!(rebuild)),
    ]
}

/// How a read model stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Projection)]
pub(crate) struct ProjectionView {
    #[schema(examples("orders"))]
    name: String,
    version: u32,
    /// It shows the log up to here.
    #[schema(value_type = u64)]
    position: Position,
    /// How many positions it is behind.
    lag: u64,
    /// Whether it follows the log.
    #[schema(value_type = words::ProjectionState)]
    state: &'static str,
    /// Streams it does not follow, because an event of theirs does not fit.
    parked_streams: u64,
}

impl From<ProjectionStatus> for ProjectionView {
    fn from(status: ProjectionStatus) -> Self {
        let ProjectionStatus { name, version, position, lag, state, parked_streams } = status;
        Self { name, version, position, lag, state: state.name(), parked_streams }
    }
}

/// The answer to a rebuild that has begun.
#[derive(Serialize, ToSchema)]
#[schema(as = RebuildStarted)]
pub(crate) struct RebuildView {
    /// What is being rebuilt. Look at `GET /v1/projections` for its progress.
    names: Vec<String>,
}

/// How the read models stand.
#[utoipa::path(
    get, path = "/v1/projections", operation_id = "listProjections", tag = "operations",
    responses((status = 200, description = "the read models", body = Listing<ProjectionView>)),
)]
async fn list(State(app): State<App>, call: Call) -> Result<Json<Listing<ProjectionView>>, Problem> {
    await_min_position(&app, &call).await?;
    let statuses = app.state.queries.statuses().await?;
    Ok(Json(Listing { items: statuses.into_iter().map(ProjectionView::from).collect(), next_cursor: None }))
}

/// The name that stands for all read models.
const ALL: &str = "all";

/// Begins to rebuild a read model from the log, or `all`, while it goes on serving.
#[utoipa::path(
    post, path = "/v1/projections/{name}/rebuild", operation_id = "rebuildProjection", tag = "operations",
    params(("name" = String, Path, description = "the read model, or `all`")),
    responses((status = 202, description = "it has begun", body = RebuildView)),
)]
async fn rebuild(
    State(app): State<App>,
    PathText(name): PathText,
    _: NoBody,
) -> Result<(StatusCode, Json<RebuildView>), Problem> {
    let known: Vec<String> = names().map(str::to_owned).collect();
    let wanted: Vec<String> = known.into_iter().filter(|known| name == ALL || *known == name).collect();
    if wanted.is_empty() {
        return Err(Problem::not_found("projection"));
    }
    (app.state.rebuild)(wanted.clone()).await.map_err(Problem::unavailable)?;
    Ok((StatusCode::ACCEPTED, Json(RebuildView { names: wanted })))
}
