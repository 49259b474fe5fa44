//! The audit trail of one stream, as stored in the log.

use axum::Json;
use axum::extract::State;
use jangbu_commands::{DomainEvent, Permission, Reach};
use jangbu_kernel::{Position, RecordedEvent, StreamId, Version};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_limit;
use crate::http::events;
use crate::http::fields::{Line, Whole, request_body};
use crate::http::params::{PathText, QueryFields};
use crate::http::problem::Problem;
use crate::http::resource::AsOf;
use crate::http::view::{Listing, Moment};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new(Reach::Any(Permission::AuditRead), Kind::Query, &[], routes!(stream))]
}

request_body! {
    /// Which events of a stream.
    pub(crate) struct EventsQuery {
        /// Only those up to this version or time.
        as_of: Option<AsOf>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// An event as it stands in the log: who, when, what, why.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct RecordView {
    /// Place in the log.
    #[schema(value_type = u64)]
    position: Position,
    /// The stream it belongs to: a kind and an id.
    #[schema(examples("order-01890a5d-ac96-774b-bcce-b302099a8057"))]
    stream: String,
    /// Place in the stream.
    #[schema(value_type = u64)]
    version: Version,
    id: Uuid,
    /// What happened: the kind of stream and a fact in the past tense.
    #[serde(rename = "type")]
    #[schema(examples("order.placed"))]
    event_type: String,
    /// The version of the form that `data` is stored in, from 1; each type counts its own.
    schema_version: u16,
    /// The payload as it is stored; personal fields stay sealed. Null when it cannot be read.
    #[schema(value_type = Option<Object>)]
    data: serde_json::Value,
    /// Whether this event cannot be read: it was damaged, or a newer release has written it.
    unreadable: bool,
    /// Who did it: a person by id, or a part of the program by name.
    #[schema(examples("user:01890a5d-ac96-774b-bcce-b302099a8057", "system:process-manager"))]
    actor: String,
    /// Everything that one request set in motion carries one.
    correlation_id: Uuid,
    /// What directly caused it: an event or a command.
    causation_id: Uuid,
    command_id: Uuid,
    /// When it came into the log, by the clock of the server that wrote it.
    recorded_at: Moment,
    /// Merkle leaf hash, hexadecimal.
    hash: String,
}

impl RecordView {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            stream: event.stream.to_string(),
            version: event.version,
            id: event.event_id.uuid(),
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            data: serde_json::from_str(&event.payload).unwrap_or_default(),
            unreadable: DomainEvent::try_from(event).is_err(),
            actor: event.meta.actor.to_string(),
            correlation_id: event.meta.correlation_id.uuid(),
            causation_id: event.meta.causation_id,
            command_id: event.meta.command_id.uuid(),
            recorded_at: event.meta.recorded_at.into(),
            hash: hex::encode(event.hash),
        }
    }
}

/// Events for clients.
pub(crate) fn records(events: &[RecordedEvent]) -> Vec<RecordView> {
    events.iter().map(RecordView::of).collect()
}

/// Everything that happened in one stream, whole or up to a version or time.
#[utoipa::path(
    get, path = "/v1/audit/streams/{stream}", operation_id = "getAuditStream", tag = "audit",
    params(
        ("stream" = String, Path, description = "`<aggregate>-<uuid>`", pattern = "^(user|email|session|product|category|stock|order|payment|shipment|points|fulfilment|buyer|import)-[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"),
        EventsQuery,
    ),
    responses((status = 200, description = "a page of its events, oldest first", body = Listing<RecordView>)),
)]
async fn stream(
    State(app): State<App>,
    PathText(stream): PathText,
    QueryFields(query): QueryFields<EventsQuery>,
) -> Result<Json<Listing<RecordView>>, Problem> {
    let stream: StreamId = stream.parse().map_err(|error: jangbu_kernel::stream::InvalidStreamId| {
        Problem::invalid_at("/path/stream", "invalid_id", error.to_string())
    })?;
    events::page(&app, stream, query.as_of, query.cursor, page_limit(query.limit)).await
}
