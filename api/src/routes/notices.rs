//! The notices: who was told of what, and what was not delivered.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::SendNotice;
use jangbu_commands::{Command as _, NoticeState, Permission, Reach};
use jangbu_kernel::{NoticeId, OrderId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{NoticeFilter, NoticeRow, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::NoBody;
use crate::http::call::Call;
use crate::http::fields::{Line, Whole, read_words, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position};
use crate::http::view::{Listing, Moment};
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Reach::Any(Permission::OperationsRead), Kind::Query, &[], routes!(list)),
        Entry::command(&[SendNotice::RULES], routes!(send)),
    ]
}

read_words!(NoticeState, "waiting, sent or given_up");

request_body! {
    /// Which notices.
    pub(crate) struct NoticeListQuery {
        /// Only those in this state.
        state: Option<NoticeState>,
        /// Only those about this order.
        order_id: Option<OrderId>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// A notice. Its address and its text are not kept: they are made when it is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub(crate) struct NoticeView {
    id: Uuid,
    /// What is told.
    #[schema(examples("order_placed"))]
    notice: String,
    /// Who is told.
    #[schema(value_type = words::Recipient)]
    to: &'static str,
    /// By which way.
    #[schema(examples("mail"))]
    channel: String,
    /// How far it has come.
    #[schema(value_type = words::NoticeState)]
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// Why the last attempt failed, a code such as `timed_out`; null when it did not.
    #[schema(examples("smtp_451"))]
    reason: Option<String>,
    /// When it is tried again; null when it is not.
    retry_at: Option<Moment>,
    /// The user that it concerns; null when it concerns none.
    user_id: Option<Uuid>,
    /// The order that it concerns; null when it concerns none.
    order_id: Option<Uuid>,
    /// The stream of the fact that is told.
    #[schema(examples("order-01890a5d-ac96-774b-bcce-b302099a8057"))]
    stream: String,
    /// The place of the fact in its stream.
    fact_version: u64,
    /// When it was first tried.
    created_at: Moment,
    updated_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
}

impl Resource for NoticeRow {
    const WHAT: &'static str = "notice";
    type View = NoticeView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::notice(NoticeId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::notice(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.notice(NoticeId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        None
    }
    fn order_id(&self) -> Option<OrderId> {
        None
    }
    async fn view(self, _: &App) -> Result<NoticeView, Problem> {
        Ok(NoticeView {
            id: self.id.uuid(),
            notice: self.about.name,
            to: self.about.to.name(),
            channel: self.about.channel,
            state: self.state.name(),
            attempts: self.attempts,
            reason: self.reason,
            retry_at: self.retry_at.map(Moment::from),
            user_id: self.about.user_id.map(UserId::uuid),
            order_id: self.about.order_id.map(OrderId::uuid),
            stream: self.about.stream.to_string(),
            fact_version: self.about.version.get(),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            version: self.version,
        })
    }
}

/// Notices that were tried, newest first.
#[utoipa::path(
    get, path = "/v1/notices", operation_id = "listNotices", tag = "operations",
    params(NoticeListQuery),
    responses((status = 200, description = "a page of notices", body = Listing<NoticeView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<NoticeListQuery>,
) -> Result<Json<Listing<NoticeView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = NoticeFilter { state: query.state, order_id: query.order_id };
    let page = app.state.queries.notices(filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// Has a notice tried again that was not delivered, at once.
#[utoipa::path(
    post, path = "/v1/notices/{id}/send", operation_id = "sendNotice", tag = "operations",
    params(("id" = Uuid, Path, description = "the notice")),
    responses((status = 200, description = "the notice, which waits for its next attempt", body = NoticeView)),
)]
async fn send(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let answer = call.execute(&app, SendNotice { notice_id: NoticeId::new(id) }, &body.0).await?;
    reply::command::<NoticeRow>(&app, &call, answer, Made::Changed).await
}
