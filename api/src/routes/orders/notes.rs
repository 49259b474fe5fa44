//! Notes about an order, for staff.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::NoteOrder;
use jangbu_commands::sealing::order_remark;
use jangbu_kernel::{OrderId, StreamId, Version};
use jangbu_projections::{OrderNoteRow, OrderRow, Page, fold};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Line, Text, Whole, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{Made, Outcome};
use crate::http::resource::{load, reach};
use crate::http::view::{Listing, Moment, Opener, sealed_remark};
use crate::routes::orders::page_request;
use crate::state::App;

request_body! {
    /// Writes a note about an order.
    pub(crate) struct NoteBody {
        /// What is to be kept in mind.
        text: Text<1, 2000>,
    }
}

request_body! {
    /// Which notes.
    pub(crate) struct NoteQuery {
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// A note about an order.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderNote)]
pub(crate) struct NoteView {
    order_id: Uuid,
    /// The version of the order that it is: rising, with gaps.
    #[schema(value_type = u64)]
    number: Version,
    /// What was written; null once the buyer's data was erased, and when it cannot be read.
    #[schema(required)]
    text: Option<String>,
    /// Who wrote it, a user.
    by: Uuid,
    at: Moment,
}

impl NoteView {
    async fn of(app: &App, row: OrderNoteRow) -> Result<Self, Problem> {
        Ok(Self {
            order_id: row.order_id.uuid(),
            number: row.number,
            text: Opener::new(app).remark(order_remark(row.order_id), row.note).await?,
            by: row.by.uuid(),
            at: row.at.into(),
        })
    }
}

/// Writes a note about an order, in whatever state it is.
///
/// Notes are for those who work in the shop. An order keeps at most 100 of them; the `ETag` is the
/// order's version.
#[utoipa::path(
    post, path = "/v1/orders/{id}/notes", operation_id = "noteOrder", tag = "orders",
    params(("id" = Uuid, Path, description = "the order")),
    request_body(content = NoteBody, example = json!({"text": "called back: the bell does not work"})),
    responses((status = 201, description = "the note", body = NoteView)),
)]
pub(super) async fn note_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<NoteBody>,
) -> Result<Response, Problem> {
    let order_id = OrderId::new(id);
    let note = sealed_remark(&app, StreamId::order(order_id), &body.value.text.0).await?;
    let command = NoteOrder { order_id, note, by: call.principal()?.user_id };
    let answer = call.execute(&app, command, &body.bytes).await?;
    // The note is the order's event at this version, also where this is a repeat.
    let events = app.state.commands.between(answer.stream, answer.version, Some(answer.version)).await?;
    let row = fold::order_note(&events)?.ok_or_else(|| Problem::internal("a note that was recorded is not there"))?;
    let reached = reach(&app, &call, answer.position, Some(order_id)).await;
    let outcome = Outcome {
        version: answer.version,
        position: reached.map_or(answer.position, |reached| reached.max(answer.position)),
        replayed: answer.replayed,
        reached: reached.is_some(),
        made: Made::Created(format!("/v1/orders/{order_id}/notes")),
    };
    Ok(outcome.respond(&call, &NoteView::of(&app, row).await?))
}

/// What staff wrote about an order, the newest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/notes", operation_id = "listOrderNotes", tag = "orders",
    params(("id" = Uuid, Path, description = "the order"), NoteQuery),
    responses((status = 200, description = "a page of notes", body = Listing<NoteView>)),
)]
pub(super) async fn notes(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<NoteQuery>,
) -> Result<Json<Listing<NoteView>>, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let page = page_request(query.cursor, query.limit);
    let Page { items, next_cursor } = app.state.queries.order_notes(order.id, &page).await?;
    let mut views = Vec::with_capacity(items.len());
    for row in items {
        views.push(NoteView::of(&app, row).await?);
    }
    Ok(Json(Listing { items: views, next_cursor }))
}
