//! Sign-up, login, the refresh of a login, one's own profile.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use jangbu_commands::commands::{ChangeContactDetails, ChooseNotices, RegisterUser};
use jangbu_commands::identity::{
    Change, FieldError, LoggedIn, Profile, Registration, check_email, check_password, check_phone,
};
use jangbu_commands::{Answer, Command as _, Locale, NoticeTopic, Reach};
use jangbu_kernel::UserId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use super::users::UserView;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::conditional::Tag;
use crate::http::fields::{At, Errors, Line, List, Read, Secret, read_words, request_body};
use crate::http::gate::Access;
use crate::http::node::Node;
use crate::http::prefer::POSITION;
use crate::http::problem::{Code, Problem};
use crate::http::reply::{Made, Outcome};
use crate::http::resource::reach;
use crate::state::App;
use crate::tokens::{JsonWebKeySet, LIFE_SECONDS};

pub(super) fn entries() -> Vec<Entry> {
    let login_refusals = &[Code::Unauthenticated, Code::AccountLocked];
    vec![
        Entry::command(&[RegisterUser::RULES], routes!(register)),
        Entry::new(Access::Auth, Kind::Action, login_refusals, routes!(login)),
        Entry::new(Access::Auth, Kind::Action, &[Code::Unauthenticated], routes!(refresh)),
        Entry::new(Access::Auth, Kind::Action, &[], routes!(logout)),
        Entry::new(Reach::LoggedIn, Kind::One, &[], routes!(profile)),
        Entry::command(&[ChangeContactDetails::RULES], routes!(change_profile)),
        Entry::command(&[ChooseNotices::RULES], routes!(choose_notices)),
        Entry::new(Access::Open, Kind::Page, &[], routes!(key_set)),
    ]
}

/// An e-mail address. It is checked when it is read, as the next two are, so that all errors of a
/// form are reported at once.
pub(crate) struct EmailAddress(String);

impl Read for EmailAddress {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let text = Line::<1, 320>::read(node, at, errors)?.0;
        noted(check_email(&text), at, errors).map(|_| Self(text))
    }
    fn schema() -> RefOr<Schema> {
        Line::<1, 320>::schema()
    }
}

/// A telephone number.
pub(crate) struct Phone(String);

impl Read for Phone {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let text = Line::<1, 32>::read(node, at, errors)?.0;
        noted(check_phone(&text), at, errors).map(Self)
    }
    fn is_absent(node: &Node) -> bool {
        Line::<1, 32>::is_absent(node)
    }
    fn schema() -> RefOr<Schema> {
        Line::<1, 32>::schema()
    }
    fn optional_schema() -> RefOr<Schema> {
        Line::<1, 32>::optional_schema()
    }
}

/// A password that a user sets.
pub(crate) struct NewPassword(String);

impl Read for NewPassword {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let text = Secret::<1024>::read(node, at, errors)?.0;
        noted(check_password(&text), at, errors).map(|()| Self(text))
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .pattern(Some(r"^[^\x00]*$"))
            .min_length(Some(8))
            .max_length(Some(128))
            .into()
    }
}

fn noted<T>(checked: Result<T, FieldError>, at: &At<'_>, errors: &mut Errors) -> Option<T> {
    checked.map_err(|error| errors.push(at, error.code, error.detail)).ok()
}

request_body! {
    /// Signs somebody up.
    pub(crate) struct RegisterBody {
        /// The address.
        email: EmailAddress,
        /// 8 to 128 characters.
        password: NewPassword,
        /// The name.
        name: Line<1, 100>,
        /// A telephone number.
        phone: Option<Phone>,
    }
}

request_body! {
    /// Logs somebody in.
    pub(crate) struct LoginBody {
        /// The address.
        email: Line<1, 320>,
        /// The password.
        password: Secret<1024>,
    }
}

request_body! {
    /// A login's refresh token.
    pub(crate) struct RefreshBody {
        /// As the last login or refresh gave it.
        refresh_token: Secret<512>,
    }
}

request_body! {
    /// Replaces what is there; what is left out stays.
    pub(crate) struct ProfileBody {
        /// The name.
        name: Option<Line<1, 100>>,
        /// A telephone number; null takes it out.
        phone: Change<Phone>,
    }
}

read_words!(Locale, "a language: ko or en");
read_words!(NoticeTopic, "a topic: payment or delivery");

request_body! {
    /// Replaces what is there; what is left out stays.
    pub(crate) struct NoticesBody {
        /// The language in which to be told of things.
        locale: Option<Locale>,
        /// Everything that one does not want to be told of. What the law asks for and what guards
        /// the account is always told.
        muted: Option<List<NoticeTopic, 0, 8>>,
    }
}

/// A login.
#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginView {
    /// Goes into `Authorization: Bearer`.
    access_token: String,
    /// Gets the next access token, once.
    refresh_token: String,
    /// How the access token is sent (RFC 6750): always `Bearer`.
    #[schema(examples("Bearer"))]
    token_type: &'static str,
    /// Life of the access token in seconds.
    #[schema(examples(300))]
    expires_in: i64,
}

/// Signs a customer up.
#[utoipa::path(
    post, path = "/v1/auth/register", operation_id = "register", tag = "auth",
    request_body(content = RegisterBody, example = json!({"email": "minji@example.com", "password": "a long passphrase", "name": "김민지"})),
    responses((status = 201, description = "the user", body = UserView)),
)]
async fn register(State(app): State<App>, call: Call, body: JsonBody<RegisterBody>) -> Result<Response, Problem> {
    let context = call.context(&body.bytes)?;
    let RegisterBody { email, password, name, phone } = body.value;
    let registration =
        Registration { email: email.0, password: password.0, name: name.0, phone: phone.map(|phone| phone.0) };
    let answer = app.state.identity.register(registration, context).await?;
    let made = Made::Created("/v1/auth/profile".to_owned());
    answer_with_profile(&app, &call, answer, made).await
}

async fn answer_with_profile(app: &App, call: &Call, answer: Answer, made: Made) -> Result<Response, Problem> {
    let profile = app.state.identity.profile_at(UserId::new(answer.stream.id), answer.version).await?;
    let reached = reach(app, call, answer.position, None).await.is_some();
    let outcome =
        Outcome { version: profile.version, position: answer.position, replayed: answer.replayed, reached, made };
    Ok(outcome.respond(call, &UserView::from(profile)))
}

/// Logs somebody in.
#[utoipa::path(
    post, path = "/v1/auth/login", operation_id = "login", tag = "auth",
    request_body(content = LoginBody, example = json!({"email": "minji@example.com", "password": "a long passphrase"})),
    responses((status = 200, description = "the tokens", body = LoginView)),
)]
async fn login(State(app): State<App>, call: Call, body: JsonBody<LoginBody>) -> Result<Response, Problem> {
    let LoginBody { email, password } = body.value;
    let logged_in = app.state.identity.login(&email.0, &password.0, call.context_without_key()).await?;
    tokens(&app, logged_in)
}

/// Exchanges a refresh token for the next tokens. For ten seconds, and while the next one
/// is unused, the same token gets the same answer: two tabs, or an answer that was lost.
/// After that a token that was exchanged ends the whole login: somebody else has it.
#[utoipa::path(
    post, path = "/v1/auth/refresh", operation_id = "refresh", tag = "auth",
    request_body = RefreshBody,
    responses((status = 200, description = "the next tokens", body = LoginView)),
)]
async fn refresh(State(app): State<App>, call: Call, body: JsonBody<RefreshBody>) -> Result<Response, Problem> {
    let logged_in = app.state.identity.refresh(&body.value.refresh_token.0, call.context_without_key()).await?;
    tokens(&app, logged_in)
}

fn tokens(app: &App, logged_in: LoggedIn) -> Result<Response, Problem> {
    let LoggedIn { user_id, roles, session_id, refresh_token, position } = logged_in;
    let access_token =
        app.tokens.issue(user_id, session_id, &roles).map_err(|error| Problem::internal(error.to_string()))?;
    let view = LoginView { access_token, refresh_token, token_type: "Bearer", expires_in: LIFE_SECONDS };
    // RFC 6749, section 5.1: tokens must not be cached.
    let headers = [(CACHE_CONTROL.as_str(), "no-store".to_owned()), (POSITION, position.to_string())];
    Ok((headers, Json(view)).into_response())
}

/// Ends a login, with any refresh token that it ever had. A token that does not count is no
/// error: the caller is logged out either way.
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "logout", tag = "auth",
    request_body = RefreshBody,
    responses((status = 204, description = "logged out")),
)]
async fn logout(State(app): State<App>, call: Call, body: JsonBody<RefreshBody>) -> Result<StatusCode, Problem> {
    app.state.identity.logout(&body.value.refresh_token.0, call.context_without_key()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One's own profile.
#[utoipa::path(
    get, path = "/v1/auth/profile", operation_id = "getProfile", tag = "auth",
    responses((status = 200, description = "the user", body = UserView)),
)]
async fn profile(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let profile: Profile = app.state.identity.profile(call.principal()?.user_id).await?;
    let tag = Tag::new(profile.version, None);
    let header = [(http::header::ETAG, tag.header())];
    if tag.is_known(&call.headers) {
        return Ok((StatusCode::NOT_MODIFIED, header).into_response());
    }
    Ok((header, Json(UserView::from(profile))).into_response())
}

/// Replaces one's own name or telephone number.
#[utoipa::path(
    put, path = "/v1/auth/profile", operation_id = "changeProfile", tag = "auth",
    request_body(content = ProfileBody, example = json!({"phone": "010-0000-0000"})),
    responses((status = 200, description = "the user", body = UserView)),
)]
async fn change_profile(State(app): State<App>, call: Call, body: JsonBody<ProfileBody>) -> Result<Response, Problem> {
    let user_id = call.principal()?.user_id;
    let context = call.context(&body.bytes)?;
    let if_match = call.expected_versions();
    let name = body.value.name.map(|name| name.0);
    let phone = match body.value.phone {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(phone) => Change::Set(phone.0),
    };
    let answer = app.state.identity.change_profile(user_id, name, phone, if_match, context).await?;
    answer_with_profile(&app, &call, answer, Made::Changed).await
}

/// Chooses in which language one is told of one's orders, and of what not.
#[utoipa::path(
    put, path = "/v1/auth/notices", operation_id = "chooseNotices", tag = "auth",
    request_body(content = NoticesBody, example = json!({"locale": "en", "muted": ["delivery"]})),
    responses((status = 200, description = "the user", body = UserView)),
)]
async fn choose_notices(State(app): State<App>, call: Call, body: JsonBody<NoticesBody>) -> Result<Response, Problem> {
    let user_id = call.principal()?.user_id;
    let context = call.context(&body.bytes)?;
    let if_match = call.expected_versions();
    let muted = body.value.muted.map(|muted| muted.0.into_iter().collect());
    let answer = app.state.identity.choose_notices(user_id, body.value.locale, muted, if_match, context).await?;
    answer_with_profile(&app, &call, answer, Made::Changed).await
}

/// The public keys of the access tokens (RFC 7517).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "getKeySet", tag = "auth",
    responses((status = 200, description = "the keys", body = JsonWebKeySet)),
)]
async fn key_set(State(app): State<App>) -> Json<JsonWebKeySet> {
    Json(app.tokens.key_set())
}
