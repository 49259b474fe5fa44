//! Statuses and headers of successful answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jangbu_commands::Answer;
use jangbu_kernel::{Position, Version};
use jangbu_projections::Page;
use serde::Serialize;
use uuid::Uuid;

use super::call::Call;
use super::conditional::{Tag, etag};
use super::prefer::{POSITION, Stage};
use super::problem::Problem;
use super::resource::{AsOf, Resource, load, of_answer, reach};
use super::view::Listing;
use crate::state::App;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Whether a command created a resource with an address of its own.
pub(crate) enum Made {
    /// 201, with its location.
    Created(String),
    /// 200.
    Changed,
    /// 204: there is nothing to show.
    Removed,
}

/// The outcome of a command, apart from its resource.
pub(crate) struct Outcome {
    pub(crate) version: Version,
    pub(crate) position: Position,
    pub(crate) replayed: bool,
    /// Whether the stage that the client waits for was reached in time.
    pub(crate) reached: bool,
    pub(crate) made: Made,
}

/// Answers a command with the resource it changed.
pub(crate) async fn command<R: Resource>(
    app: &App,
    call: &Call,
    answer: Answer,
    made: Made,
) -> Result<Response, Problem> {
    let (row, outcome) = settle::<R>(app, call, answer, made).await?;
    let view = row.view(app).await?;
    Ok(outcome.respond(call, &view))
}

/// Waits as long as the client asked for and finds the resource as it is then.
///
/// A repeat gives the first answer again, at the version it had, unless the client waits for the
/// settled state: then it is shown as settled, as the first time.
pub(crate) async fn settle<R: Resource>(
    app: &App,
    call: &Call,
    answer: Answer,
    made: Made,
) -> Result<(R, Outcome), Problem> {
    let row: R = of_answer(app, &answer).await?;
    let reached = reach(app, call, answer.position, row.order_id()).await;
    let outcome =
        |version, position| Outcome { version, position, replayed: answer.replayed, reached: reached.is_some(), made };
    if call.wait.stage != Stage::Settled {
        let version = row.version();
        return Ok((row, outcome(version, answer.position)));
    }
    let events = app.state.commands.history(answer.stream, None).await?;
    let position = events.last().map_or(answer.position, |last| last.position.max(answer.position));
    let position = position.max(reached.unwrap_or_default());
    let row = R::fold(&events)?.unwrap_or(row);
    let version = row.version();
    Ok((row, outcome(version, position)))
}

/// Answers a command after which its resource is not there any more.
pub(crate) async fn gone(app: &App, call: &Call, answer: Answer) -> Response {
    let reached = reach(app, call, answer.position, None).await.is_some();
    let Answer { version, position, replayed, .. } = answer;
    let (status, headers) = Outcome { version, position, replayed, reached, made: Made::Removed }.head(call);
    (status, headers).into_response()
}

impl Outcome {
    /// Writes the answer.
    pub(crate) fn respond(self, call: &Call, view: &impl Serialize) -> Response {
        let (status, headers) = self.head(call);
        (status, headers, Json(view)).into_response()
    }

    fn head(self, call: &Call) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, etag(self.version));
        headers.insert(POSITION, self.position.get().into());
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        if let (Some(wait), true) = (call.wait.asked, self.reached)
            && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
        {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
        let mut status = match self.made {
            Made::Created(location) => {
                if let Ok(location) = HeaderValue::from_str(&location) {
                    headers.insert(LOCATION, location);
                }
                StatusCode::CREATED
            }
            Made::Changed => StatusCode::OK,
            Made::Removed => StatusCode::NO_CONTENT,
        };
        if !self.reached {
            status = StatusCode::ACCEPTED;
        }
        (status, headers)
    }
}

/// Answers a read of one resource, also as of an earlier time.
pub(crate) async fn read<R: Resource>(
    app: &App,
    call: &Call,
    id: Uuid,
    as_of: Option<AsOf>,
) -> Result<Response, Problem> {
    let row: R = load(app, call, id, as_of).await?;
    show(app, call, row).await
}

/// Shows one resource, or 304 if the client has its current state.
pub(crate) async fn show<R: Resource>(app: &App, call: &Call, row: R) -> Result<Response, Problem> {
    let version = row.version();
    let view = row.view(app).await?;
    Ok(shown(call, &Tag::new(version, R::beside(&view)), &view))
}

/// The same for an existing view, which shows nothing that its version does not cover.
pub(crate) fn show_view(call: &Call, version: Version, view: &impl Serialize) -> Response {
    shown(call, &Tag::new(version, None), view)
}

fn shown(call: &Call, tag: &Tag, view: &impl Serialize) -> Response {
    let header = [(ETAG, tag.header())];
    if tag.is_known(&call.headers) {
        return (StatusCode::NOT_MODIFIED, header).into_response();
    }
    (header, Json(view)).into_response()
}

/// Shows the result of a write, whatever version the client has.
pub(crate) async fn show_always<R: Resource>(app: &App, row: R) -> Result<Response, Problem> {
    let tag = [(ETAG, etag(row.version()))];
    let view = row.view(app).await?;
    Ok((tag, Json(view)).into_response())
}

/// Answers a read of a page.
pub(crate) async fn page<R: Resource>(app: &App, page: Page<R>) -> Result<Json<Listing<R::View>>, Problem> {
    let items = views(app, page.items).await?;
    Ok(Json(Listing { items, next_cursor: page.next_cursor }))
}

/// Answers a read of a short list that has one page.
pub(crate) async fn whole<R: Resource>(app: &App, rows: Vec<R>) -> Result<Json<Listing<R::View>>, Problem> {
    let items = views(app, rows).await?;
    Ok(Json(Listing { items, next_cursor: None }))
}

async fn views<R: Resource>(app: &App, rows: Vec<R>) -> Result<Vec<R::View>, Problem> {
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        views.push(row.view(app).await?);
    }
    Ok(views)
}
