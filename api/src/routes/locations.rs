//! The locations of the shop: where goods are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{ChangeLocation, OpenLocation};
use jangbu_commands::{Command as _, DomainEvent, Location, LocationCode, Locations, Permission, Reach};
use jangbu_kernel::{Decider as _, OrderId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::FoldError;
use jangbu_projections::{Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Line, ReadText, request_body};
use crate::http::params::PathText;
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, load};
use crate::http::view::Listing;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Reach::Any(Permission::StockReadAny), Kind::Query, &[], routes!(list)),
        Entry::command(&[OpenLocation::RULES], routes!(open)),
        Entry::new(Reach::Any(Permission::StockReadAny), Kind::One, &[], routes!(one)),
        Entry::command(&[ChangeLocation::RULES], routes!(change)),
    ]
}

impl ReadText for LocationCode {
    const WANTED: &'static str =
        "1 to 40 characters: words of lower-case letters, digits and Hangul with a hyphen between them";
    const CODE: &'static str = "invalid_code";
    fn parse_text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
    fn text_schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .pattern(Some(jangbu_kernel::text::SLUG_PATTERN))
            .min_length(Some(1))
            .max_length(Some(Self::LONGEST))
            .examples(["pangyo"])
    }
}

request_body! {
    /// Opens a location.
    pub(crate) struct OpenLocationBody {
        /// Its code, by which stock names it; it never changes.
        code: LocationCode,
        /// What it is called.
        name: Line<1, 100>,
    }
}

request_body! {
    /// Changes a location. What is left out stays.
    pub(crate) struct ChangeLocationBody {
        /// What it is called.
        name: Option<Line<1, 100>>,
        /// Whether goods can come in. `main` is always active.
        active: Option<bool>,
    }
}

/// A location of the shop.
#[derive(Serialize, ToSchema)]
#[schema(as = Location)]
pub(crate) struct LocationView {
    /// Its code, by which stock names it.
    code: String,
    name: String,
    /// Whether goods can come in. What is at a location that is not active can leave.
    active: bool,
    /// Goes up with every change of the locations; the `ETag` begins with it.
    #[schema(value_type = u64)]
    version: Version,
}

/// All locations: one stream for the whole shop.
struct LocationList {
    locations: Locations,
    version: Version,
}

impl LocationList {
    async fn read(app: &App, call: &Call) -> Result<Self, Problem> {
        load(app, call, StreamId::locations().id, None).await
    }

    fn views(&self) -> Vec<LocationView> {
        let view = |(code, location): (&LocationCode, &Location)| LocationView {
            code: code.to_string(),
            name: location.name.clone(),
            active: location.active,
            version: self.version,
        };
        self.locations.all().map(view).collect()
    }

    fn view_of(&self, code: &str) -> Result<LocationView, Problem> {
        self.views().into_iter().find(|view| view.code == code).ok_or_else(|| Problem::not_found(Self::WHAT))
    }
}

impl Resource for LocationList {
    const WHAT: &'static str = "location";
    type View = Vec<LocationView>;

    fn stream(_: Uuid) -> StreamId {
        StreamId::locations()
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        // Before anybody has opened one there is `main`.
        let (mut locations, mut version) = (Locations::default(), Version::ZERO);
        for event in events {
            let decoded = DomainEvent::try_from(event).map_err(|error| FoldError::Undecodable(error.to_string()))?;
            if let DomainEvent::Locations(event) = decoded {
                locations.evolve(&event);
            }
            version = event.version;
        }
        Ok(Some(Self { locations, version }))
    }
    /// There is no read model of them: the stream has a change for every name that somebody gave.
    async fn find(_: &Queries, _: Uuid) -> Result<Option<Self>, QueryError> {
        Ok(None)
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
    async fn view(self, _: &App) -> Result<Vec<LocationView>, Problem> {
        Ok(self.views())
    }
}

/// The locations of the shop, by their codes: `main`, and those that were opened. 100 at most.
#[utoipa::path(
    get, path = "/v1/locations", operation_id = "listLocations", tag = "stock",
    responses((status = 200, description = "all of them", body = Listing<LocationView>)),
)]
async fn list(State(app): State<App>, call: Call) -> Result<Json<Listing<LocationView>>, Problem> {
    let items = LocationList::read(&app, &call).await?.views();
    Ok(Json(Listing { items, next_cursor: None }))
}

/// Opens a location, where goods can be kept from now on.
#[utoipa::path(
    post, path = "/v1/locations", operation_id = "openLocation", tag = "stock",
    request_body(content = OpenLocationBody, example = json!({"code": "seongsu", "name": "성수 매장"})),
    responses((status = 201, description = "the location", body = LocationView)),
)]
async fn open(State(app): State<App>, call: Call, body: JsonBody<OpenLocationBody>) -> Result<Response, Problem> {
    let OpenLocationBody { code, name } = body.value;
    let answer = call.execute(&app, OpenLocation { code: code.clone(), name: name.0 }, &body.bytes).await?;
    let made = Made::Created(format!("/v1/locations/{}", in_a_path(code.as_str())));
    let (row, outcome) = reply::settle::<LocationList>(&app, &call, answer, made).await?;
    Ok(outcome.respond(&call, &row.view_of(code.as_str())?))
}

/// A text as a part of an address (RFC 3986).
fn in_a_path(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// One location.
#[utoipa::path(
    get, path = "/v1/locations/{code}", operation_id = "getLocation", tag = "stock",
    params(("code" = String, Path, description = "the location's code")),
    responses((status = 200, description = "the location", body = LocationView)),
)]
async fn one(State(app): State<App>, PathText(code): PathText, call: Call) -> Result<Response, Problem> {
    let list = LocationList::read(&app, &call).await?;
    Ok(reply::show_view(&call, list.version, &list.view_of(&code)?))
}

/// Renames a location, closes it or opens it again.
#[utoipa::path(
    put, path = "/v1/locations/{code}", operation_id = "changeLocation", tag = "stock",
    params(("code" = String, Path, description = "the location's code")),
    request_body(content = ChangeLocationBody, example = json!({"name": "판교 매장"})),
    responses((status = 200, description = "the location", body = LocationView)),
)]
async fn change(
    State(app): State<App>,
    PathText(code): PathText,
    call: Call,
    body: JsonBody<ChangeLocationBody>,
) -> Result<Response, Problem> {
    let code = LocationCode::parse(&code).ok_or_else(|| Problem::not_found(LocationList::WHAT))?;
    let ChangeLocationBody { name, active } = body.value;
    let command = ChangeLocation { code: code.clone(), name: name.map(|name| name.0), active };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let (row, outcome) = reply::settle::<LocationList>(&app, &call, answer, Made::Changed).await?;
    Ok(outcome.respond(&call, &row.view_of(code.as_str())?))
}
