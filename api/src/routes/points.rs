//! Points: the ledger of a user.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::GrantPoints;
use jangbu_commands::{Command as _, Permission, Reach, Scope, grant_reference, sealing};
use jangbu_kernel::{OrderId, RecordedEvent, StreamId, Timestamp, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Page, PointsEntryRow, PointsRow, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, Whole, request_body};
use crate::http::long::{Before, LongStream};
use crate::http::money;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::resource::{Resource, await_min_position, is_visible};
use crate::http::view::{Amount, Listing, Moment, Opener};
use crate::http::words;
use crate::state::App;

/// Reading points.
const READ: Reach = Reach::OwnOrAny { own: Permission::PointsReadOwn, any: Permission::PointsReadAny };

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(READ, Kind::One, &[], routes!(one)),
        Entry::new(READ, Kind::Query, &[], routes!(entries_of)),
        Entry::command(&[GrantPoints::RULES], routes!(grant_points)),
    ]
}

request_body! {
    /// Gives points.
    pub(crate) struct GrantPointsBody {
        /// How many; a point is a won.
        amount: money::Amount,
        /// What for; the same reference is one entry.
        reference: Line<1, 200>,
        /// When what is left of them lapses.
        expires_at: Option<Timestamp>,
    }
}

request_body! {
    /// Which entries.
    pub(crate) struct PointsEntryQuery {
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// The points of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Points)]
pub(crate) struct PointsView {
    user_id: Uuid,
    /// All of them, but for those that have lapsed.
    balance: Amount,
    /// Kept for payments that are not captured yet.
    held: Amount,
    /// `balance - held`.
    available: Amount,
    #[schema(value_type = u64)]
    version: Version,
}

/// An entry of a ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = PointsEntry)]
pub(crate) struct PointsEntryView {
    /// Its place in the ledger, from 1.
    #[schema(value_type = u64)]
    number: Version,
    /// What it does to the points.
    #[schema(value_type = words::PointsEntryKind)]
    kind: &'static str,
    /// What it adds to the balance; what is kept or freed for `held` and `released`.
    amount: Amount,
    /// What a grant was for; null for other entries, and once what was written of the owner is
    /// erased.
    reference: Option<String>,
    order_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    /// All points of the user after it, held ones among them.
    balance_after: Amount,
    at: Moment,
    expires_at: Option<Moment>,
}

impl PointsEntryView {
    async fn of(app: &App, row: PointsEntryRow) -> Result<Self, Problem> {
        let reference = Opener::new(app).some_remark(sealing::points_reference(row.user_id), row.reference).await?;
        Ok(Self {
            number: row.number,
            kind: row.kind.name(),
            amount: row.amount.into(),
            reference,
            order_id: row.order_id.map(|id| id.uuid()),
            payment_id: row.payment_id.map(|id| id.uuid()),
            balance_after: row.balance_after.into(),
            at: row.at.into(),
            expires_at: row.expires_at.map(Moment::from),
        })
    }
}

impl Resource for PointsRow {
    const WHAT: &'static str = "user";
    type View = PointsView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::points(UserId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::points(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        Ok(Some(queries.points(UserId::new(id)).await?).filter(|row| row.version > Version::ZERO))
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
    fn order_id(&self) -> Option<OrderId> {
        None
    }
    async fn view(self, _: &App) -> Result<PointsView, Problem> {
        Ok(PointsView {
            user_id: self.user_id.uuid(),
            balance: self.balance.into(),
            held: self.held.into(),
            available: self.available.into(),
            version: self.version,
        })
    }
}

impl LongStream for PointsRow {
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError> {
        fold::points_onto(self, events)
    }
}

/// Whether this user exists and is visible to the caller.
async fn check_user(app: &App, call: &Call, user_id: UserId) -> Result<(), Problem> {
    let known = match call.principal()?.scope {
        Scope::Own(_) => is_visible(Some(user_id), call),
        Scope::Any => app.state.identity.account(user_id).await?.is_some(),
    };
    if known { Ok(()) } else { Err(Problem::not_found("user")) }
}

/// The points of a user. Who never had any has 0.
#[utoipa::path(
    get, path = "/v1/users/{id}/points", operation_id = "getPoints", tag = "points",
    params(("id" = Uuid, Path, description = "the user")),
    responses((status = 200, description = "the points", body = PointsView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    let user_id = UserId::new(id);
    check_user(&app, &call, user_id).await?;
    await_min_position(&app, &call).await?;
    let row = match PointsRow::find(&app.state.queries, id).await? {
        Some(row) => Some(row),
        None => PointsRow::fold(&app.state.commands.history(StreamId::points(user_id), None).await?)?,
    };
    let row = row.unwrap_or_else(|| PointsRow::empty(user_id));
    let lapses = row.lapses();
    let row = row.at(app.state.world.clock.now()).map_err(|error| Problem::internal(error.to_string()))?;
    // Points that lapse change what is shown without a new version.
    if lapses { reply::show_always(&app, row).await } else { reply::show(&app, &call, row).await }
}

/// The ledger of a user, newest entry first.
#[utoipa::path(
    get, path = "/v1/users/{id}/points/entries", operation_id = "listPointsEntries", tag = "points",
    params(("id" = Uuid, Path, description = "the user"), PointsEntryQuery),
    responses((status = 200, description = "a page of entries", body = Listing<PointsEntryView>)),
)]
async fn entries_of(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<PointsEntryQuery>,
) -> Result<Json<Listing<PointsEntryView>>, Problem> {
    let user_id = UserId::new(id);
    check_user(&app, &call, user_id).await?;
    await_min_position(&app, &call).await?;
    let page = app.state.queries.points_entries(user_id, &page_request(query.cursor, query.limit)).await?;
    let Page { items: rows, next_cursor } = page;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(PointsEntryView::of(&app, row).await?);
    }
    Ok(Json(Listing { items, next_cursor }))
}

/// Gives points to a user.
#[utoipa::path(
    post, path = "/v1/users/{id}/points/grant", operation_id = "grantPoints", tag = "points",
    params(("id" = Uuid, Path, description = "the user")),
    request_body(content = GrantPointsBody, example = json!({"amount": "5000", "reference": "welcome"})),
    responses((status = 200, description = "the points", body = PointsView)),
)]
async fn grant_points(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<GrantPointsBody>,
) -> Result<Response, Problem> {
    let mut errors = Errors::default();
    let amount = body.value.amount.or_won(&At::Name(&At::Root(""), "amount"), &mut errors);
    let amount = amount.ok_or_else(|| Problem::invalid(errors.into_vec()))?;
    let user_id = UserId::new(id);
    let reference = grant_reference(app.state.world.vault.as_ref(), user_id, body.value.reference.0).await?;
    let command = GrantPoints { user_id, amount, reference, expires_at: body.value.expires_at };
    let before = Before::<PointsRow>::read(&app, id).await;
    let answer = call.execute(&app, command, &body.bytes).await?;
    before.answer(&app, &call, answer).await
}
