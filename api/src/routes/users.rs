//! Accounts, for staff; roles, for admins.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{RoleChange, SetRoles, UnlockUser};
use jangbu_commands::identity::Profile;
use jangbu_commands::{Command as _, Locale, NoticeTopic, Permission, Reach, sealing};
use jangbu_kernel::{OrderId, RecordedEvent, Role, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Queries, QueryError, UserFilter, UserRow, UserStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::{JsonBody, NoBody};
use crate::http::call::Call;
use crate::http::fields::{Line, List, Whole, read_words, request_body};
use crate::http::long::{Before, LongStream};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::resource::{Resource, await_min_position};
use crate::http::view::{Listing, Moment, Opener};
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    let read = Reach::Any(Permission::UsersReadAny);
    vec![
        Entry::new(read, Kind::Query, &[], routes!(list)),
        Entry::new(read, Kind::One, &[], routes!(one)),
        Entry::new(read, Kind::One, &[], routes!(roles)),
        Entry::command(&[SetRoles::RULES], routes!(set_roles)),
        Entry::command(&[UnlockUser::RULES], routes!(unlock)),
    ]
}

read_words!(UserStatus, "an account status such as active");
read_words!(Role, "a role: customer, staff, auditor or admin");

request_body! {
    /// Which accounts.
    pub(crate) struct UserListQuery {
        /// Only those in this state.
        status: Option<UserStatus>,
        /// Only those with a role beyond customer, or only those without.
        staff: Option<bool>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// What somebody is to be.
    pub(crate) struct RolesBody {
        /// All roles, the present ones are replaced.
        roles: List<Role, 0, 8>,
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    id: Uuid,
    /// Null when the data was erased, and when it cannot be read, as with the other personal fields.
    #[schema(examples("minji@example.com"))]
    email: Option<String>,
    #[schema(examples("김민지"))]
    name: Option<String>,
    phone: Option<String>,
    /// Whether personal data of this account is there and cannot be read: an administrator has to look.
    unreadable: bool,
    /// What they are in the shop, which settles what they may do.
    #[schema(value_type = Vec<words::Role>)]
    roles: Vec<Role>,
    #[schema(value_type = words::UserStatus)]
    status: &'static str,
    /// The language in which they want to be told of things; null: the shop's.
    #[schema(value_type = Option<words::Locale>)]
    locale: Option<&'static str>,
    /// What they do not want to be told of.
    #[schema(value_type = Vec<words::NoticeTopic>)]
    muted_notices: Vec<&'static str>,
    registered_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
}

impl From<Profile> for UserView {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile.user_id.uuid(),
            email: profile.email,
            name: profile.name,
            phone: profile.phone,
            unreadable: profile.unreadable,
            roles: profile.roles,
            // Only a user who is logged in, and therefore active, sees this.
            status: UserStatus::Active.name(),
            locale: profile.locale.map(Locale::name),
            muted_notices: profile.muted.into_iter().map(NoticeTopic::name).collect(),
            registered_at: profile.registered_at.into(),
            version: profile.version,
        }
    }
}

impl Resource for UserRow {
    const WHAT: &'static str = "user";
    type View = UserView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::user(UserId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::user(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.user(UserId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        Some(self.id)
    }
    fn order_id(&self) -> Option<OrderId> {
        None
    }
    /// The view changes without a new version when the key is destroyed, and when it cannot decrypt
    /// what it sealed.
    fn beside(view: &UserView) -> Option<String> {
        let gone = if view.unreadable { "unreadable" } else { "erased" };
        (view.unreadable || view.email.is_none()).then(|| gone.to_owned())
    }
    async fn view(self, app: &App) -> Result<UserView, Problem> {
        let mut opener = Opener::new(app);
        let phone = match &self.phone {
            Some(phone) => opener.text(sealing::user_phone(self.id), phone).await?,
            None => None,
        };
        Ok(UserView {
            id: self.id.uuid(),
            email: opener.text(sealing::user_email(self.id), &self.email).await?,
            name: opener.text(sealing::user_name(self.id), &self.name).await?,
            phone,
            unreadable: opener.met_unreadable(),
            roles: self.roles,
            status: self.status.name(),
            locale: self.locale.map(Locale::name),
            muted_notices: self.muted.into_iter().map(NoticeTopic::name).collect(),
            registered_at: self.registered_at.into(),
            version: self.version,
        })
    }
}

impl LongStream for UserRow {
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError> {
        fold::user_onto(self, events)
    }
}

/// Accounts, newest first.
#[utoipa::path(
    get, path = "/v1/users", operation_id = "listUsers", tag = "users",
    params(UserListQuery),
    responses((status = 200, description = "a page of accounts", body = Listing<UserView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<UserListQuery>,
) -> Result<Json<Listing<UserView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = UserFilter { status: query.status, staff: query.staff };
    let page = app.state.queries.users(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// One account.
#[utoipa::path(
    get, path = "/v1/users/{id}", operation_id = "getUser", tag = "users",
    params(("id" = Uuid, Path, description = "the user")),
    responses((status = 200, description = "the account", body = UserView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    reply::read::<UserRow>(&app, &call, id, None).await
}

/// What somebody is, and so may do.
#[utoipa::path(
    get, path = "/v1/users/{id}/roles", operation_id = "getRoles", tag = "users",
    params(("id" = Uuid, Path, description = "the user")),
    responses((status = 200, description = "the account with its roles", body = UserView)),
)]
async fn roles(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    reply::read::<UserRow>(&app, &call, id, None).await
}

/// Replaces the roles of somebody, all at once. The last administrator stays one.
#[utoipa::path(
    put, path = "/v1/users/{id}/roles", operation_id = "setRoles", tag = "users",
    params(("id" = Uuid, Path, description = "the user")),
    request_body(content = RolesBody, example = json!({"roles": ["customer", "staff"]})),
    responses((status = 200, description = "the account with its roles", body = UserView)),
)]
async fn set_roles(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<RolesBody>,
) -> Result<Response, Problem> {
    let user_id = UserId::new(id);
    app.state.identity.list_administrators().await?;
    let command = SetRoles { user_id, change: RoleChange::Set(body.value.roles.0) };
    let before = Before::<UserRow>::read(&app, id).await;
    let answer = call.execute(&app, command, &body.bytes).await?;
    app.state.identity.forget(user_id);
    before.answer(&app, &call, answer).await
}

/// Takes the delays after wrong passwords away: the owner can log in at once.
#[utoipa::path(
    post, path = "/v1/users/{id}/unlock", operation_id = "unlockUser", tag = "users",
    params(("id" = Uuid, Path, description = "the user")),
    responses((status = 200, description = "the account", body = UserView)),
)]
async fn unlock(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let user_id = UserId::new(id);
    let before = Before::<UserRow>::read(&app, id).await;
    let answer = call.execute(&app, UnlockUser { user_id }, &body.0).await?;
    app.state.identity.forget(user_id);
    before.answer(&app, &call, answer).await
}
