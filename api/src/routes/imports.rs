//! Files that come in and go out: products and stock in, products, stock and orders out.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName};
use jangbu_commands::commands::{CountStock, ImportProduct, ReceiveStock};
use jangbu_commands::{
    Command as _, DomainEvent, ImportCounts, ImportEvent, ImportInterruption, ImportKind, ImportState, Permission,
    Reach,
};
use jangbu_kernel::{ImportId, RecordedEvent, StreamId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use crate::http::body::is_coded;
use crate::http::call::Call;
use crate::http::fields::{read_words, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::{Code, Problem};
use crate::http::resource::await_min_position;
use crate::http::view::Moment;
use crate::http::words;
use crate::imports::{
    Export, ExportKind, Format, ImportLine, ImportRequest, Importer, MAX_FILE, NOTE_EVERY, ProductRow, ROWS, StockMode,
    StockRow, spool, too_large,
};
use crate::shares::Exhausted;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::import(&[ImportProduct::RULES], routes!(import_products)),
        Entry::import(&[ReceiveStock::RULES, CountStock::RULES], routes!(import_stock)),
        Entry::new(Reach::Any(Permission::OperationsRead), Kind::Query, &[], routes!(one)),
        Entry::new(Reach::Any(Permission::OperationsRead), Kind::Query, &[], routes!(export_products)),
        Entry::new(Reach::Any(Permission::StockReadAny), Kind::Query, &[], routes!(export_stock)),
        Entry::new(Reach::Any(Permission::OrdersReadAny), Kind::Query, &[], routes!(export_orders)),
    ]
}

read_words!(Format, "csv or jsonl");

/// A run that has told nothing for so many times as long as it notes its progress is over: its server
/// died.
const SILENT: u32 = 6;

request_body! {
    /// How products are imported.
    pub(crate) struct ImportProductsQuery {
        /// Only tell what would be done, and write nothing.
        dry_run: Option<bool>,
    }
}

request_body! {
    /// How stock is imported.
    pub(crate) struct ImportStockQuery {
        /// Only tell what would be done, and write nothing.
        dry_run: Option<bool>,
        /// What the quantity of a row is that does not say it itself.
        mode: Option<StockMode>,
    }
}

request_body! {
    /// How a file is written.
    pub(crate) struct ExportQuery {
        /// CSV, or a JSON object a line; CSV when it is left out.
        format: Option<Format>,
        /// Begin with a byte order mark, by which spreadsheets know UTF-8.
        bom: Option<bool>,
    }
}

/// An import, and how far it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportView {
    id: Uuid,
    /// What its rows are.
    #[schema(value_type = words::ImportKind)]
    kind: ImportKind,
    /// Where it stands. An `interrupted` one goes on when its file is sent again under its key.
    #[schema(value_type = words::ImportState)]
    state: ImportState,
    /// Why it was interrupted; null also when its server died.
    #[schema(value_type = Option<words::ImportInterruption>)]
    reason: Option<ImportInterruption>,
    /// How often the file was sent. The numbers below are of the last time.
    run: u32,
    /// How many rows the file has.
    rows: u64,
    /// Rows that made something.
    created: u64,
    /// Rows that changed something.
    changed: u64,
    /// Rows whose effect was there already.
    unchanged: u64,
    /// Rows that an earlier run had carried out.
    replayed: u64,
    /// Rows that the shop refused.
    refused: u64,
    /// Rows that could not be understood.
    invalid: u64,
    /// Who sent the file: a person by id, or an operator by name.
    #[schema(examples("user:01890a5d-ac96-774b-bcce-b302099a8057"))]
    started_by: String,
    /// When it was sent.
    started_at: Moment,
    /// When it was last heard of.
    updated_at: Moment,
}

/// Imports products from a file: CSV with a head, or a JSON object a line, at most 256 MiB.
///
/// Each row is carried out by itself, and each has its line in the answer, in the order of the file;
/// the last line is the summary. A row with the `id` of a product changes it; with another `id` it makes
/// that product; without one it makes a new product. Under the same `Idempotency-Key` the file can be
/// sent again: rows that were carried out are `replayed`, and the rest goes on.
#[utoipa::path(
    post, path = "/v1/imports/products", operation_id = "importProducts", tag = "imports",
    params(ImportProductsQuery),
    request_body(
        description = "the file; `ProductRow` says what a row has",
        content(
            (String = "text/csv", example = "id,name,price,currency\n,보이차 100g,12000,KRW\n"),
            (ProductRow = "application/x-ndjson", example = json!({"name": "보이차 100g", "price": "12000"})),
        ),
    ),
    responses((status = 200, description = "a line for each row, then the summary", body = ImportLine, content_type = "application/x-ndjson")),
)]
async fn import_products(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ImportProductsQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let ImportProductsQuery { dry_run } = query;
    import(&app, &call, (ImportKind::Products, None, dry_run.unwrap_or(false)), request).await
}

/// Imports stock from a file: CSV with a head, or a JSON object a line, at most 256 MiB.
///
/// A quantity came in (`receive`) or was counted (`count`), as the row says, or `mode` for all of them.
/// Each row has its line in the answer, in the order of the file; the last line is the summary. Under
/// the same `Idempotency-Key` the file can be sent again: goods that were received are not received again.
#[utoipa::path(
    post, path = "/v1/imports/stock", operation_id = "importStock", tag = "imports",
    params(ImportStockQuery),
    request_body(
        description = "the file; `StockRow` says what a row has",
        content(
            (String = "text/csv", example = "product_id,quantity,mode\n01890a5d-ac96-774b-bcce-b302099a8057,100,receive\n"),
            (StockRow = "application/x-ndjson", example = json!({"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 100, "mode": "receive"})),
        ),
    ),
    responses((status = 200, description = "a line for each row, then the summary", body = ImportLine, content_type = "application/x-ndjson")),
)]
async fn import_stock(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ImportStockQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let ImportStockQuery { dry_run, mode } = query;
    import(&app, &call, (ImportKind::Stock, mode, dry_run.unwrap_or(false)), request).await
}

async fn import(
    app: &App,
    call: &Call,
    (kind, mode, dry_run): (ImportKind, Option<StockMode>, bool),
    request: Request,
) -> Result<Response, Problem> {
    let format = format_of(request.headers())?;
    let principal = call.principal()?;
    let share = app.imports.take(principal.user_id).map_err(too_many)?;
    let file = spool(request.into_body(), &app.state.spool).await?;
    let importer = Importer {
        commands: app.state.commands.clone(),
        clock: app.state.world.clock.clone(),
        ids: app.state.world.ids.clone(),
        policy: app.state.policy.clone(),
    };
    let wanted = ImportRequest {
        kind,
        format,
        mode,
        dry_run,
        key: call.key().map(str::to_owned),
        caller: principal.caller(),
        correlation_id: call.names.correlation_id,
        trace: Some(call.names.traceparent.clone()),
    };
    let import = importer.begin(wanted, file, app.draining.clone(), share).await?;
    let mut response = Response::builder()
        .header(CONTENT_TYPE, Format::Jsonl.media_type())
        .header("x-accel-buffering", "no")
        .header(HeaderName::from_static(ROWS), import.rows);
    if let Some(id) = import.id {
        response = response.header(LOCATION, format!("/v1/imports/{id}"));
    }
    let lines = import.lines().map(Ok::<_, std::convert::Infallible>);
    response.body(Body::from_stream(lines)).map_err(|error| Problem::internal(error.to_string()))
}

/// How the file is written, as its request says. What is too large is refused before it comes.
fn format_of(headers: &HeaderMap) -> Result<Format, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_FILE) {
        return Err(too_large());
    }
    if is_coded(headers) {
        let detail = "send the file as it is, without a Content-Encoding such as gzip";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(Format::of_media_type);
    given.ok_or_else(|| {
        let detail = "send Content-Type: text/csv or application/x-ndjson, in UTF-8";
        Problem::new(Code::UnsupportedMediaType, detail)
    })
}

fn too_many(exhausted: Exhausted) -> Problem {
    const SECONDS: u64 = 10;
    let problem = match exhausted {
        Exhausted::All => Problem::new(Code::UpstreamUnavailable, "too many imports are running, try again"),
        Exhausted::Share => Problem::new(Code::RateLimited, "you have too many imports running, wait for them"),
    };
    problem.retry_after(SECONDS)
}

/// An import: how far it is, or how it ended.
#[utoipa::path(
    get, path = "/v1/imports/{id}", operation_id = "getImport", tag = "imports",
    params(("id" = Uuid, Path, description = "the import")),
    responses((status = 200, description = "the import", body = ImportView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Json<ImportView>, Problem> {
    await_min_position(&app, &call).await?;
    let events = app.state.commands.history(StreamId::import(ImportId::new(id)), None).await?;
    let view = view(id, &events, app.state.world.clock.now())?;
    view.map(Json).ok_or_else(|| Problem::not_found("import"))
}

/// The import as its facts tell it; none without any.
fn view(id: Uuid, events: &[RecordedEvent], now: Timestamp) -> Result<Option<ImportView>, Problem> {
    let mut view: Option<ImportView> = None;
    for recorded in events {
        let event = DomainEvent::try_from(recorded).map_err(|error| Problem::internal(error.to_string()))?;
        let DomainEvent::Import(event) = event else { continue };
        let at = recorded.meta.recorded_at;
        let told = match &event {
            ImportEvent::Started(started) => {
                view = Some(ImportView {
                    id,
                    kind: started.kind,
                    state: ImportState::Running,
                    reason: None,
                    run: started.run,
                    rows: started.rows,
                    created: 0,
                    changed: 0,
                    unchanged: 0,
                    replayed: 0,
                    refused: 0,
                    invalid: 0,
                    started_by: recorded.meta.actor.to_string(),
                    started_at: at.into(),
                    updated_at: at.into(),
                });
                continue;
            }
            ImportEvent::Progressed(progressed) => (ImportState::Running, None, progressed.counts),
            ImportEvent::Finished(finished) => (ImportState::Done, None, finished.counts),
            ImportEvent::Interrupted(broken) => (ImportState::Interrupted, Some(broken.reason), broken.counts),
        };
        if let Some(view) = &mut view {
            view.tell(told, at);
        }
    }
    let last = events.last().map(|last| last.meta.recorded_at);
    if let (Some(view), Some(last)) = (&mut view, last) {
        let silent = (now - last).to_std().unwrap_or_default() > NOTE_EVERY * SILENT;
        if view.state == ImportState::Running && silent {
            view.state = ImportState::Interrupted;
        }
    }
    Ok(view)
}

impl ImportView {
    fn tell(
        &mut self,
        (state, reason, counts): (ImportState, Option<ImportInterruption>, ImportCounts),
        at: Timestamp,
    ) {
        (self.state, self.reason, self.updated_at) = (state, reason, at.into());
        let ImportCounts { created, changed, unchanged, replayed, refused, invalid } = counts;
        (self.created, self.changed, self.unchanged) = (created, changed, unchanged);
        (self.replayed, self.refused, self.invalid) = (replayed, refused, invalid);
    }
}

/// The catalogue as a file that can be imported: products on sale and off sale, variants behind the
/// product that they are variants of.
#[utoipa::path(
    get, path = "/v1/exports/products", operation_id = "exportProducts", tag = "imports",
    params(ExportQuery),
    responses((status = 200, description = "the file", content((String = "text/csv"), (ProductRow = "application/x-ndjson")))),
)]
async fn export_products(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ExportQuery>,
) -> Result<Response, Problem> {
    export(&app, &call, ExportKind::Products, query).await
}

/// The stock of the catalogue as a file that can be imported as a count. `quantity` is what is on hand;
/// the columns behind it are there to be read.
#[utoipa::path(
    get, path = "/v1/exports/stock", operation_id = "exportStock", tag = "imports",
    params(ExportQuery),
    responses((status = 200, description = "the file", content((String = "text/csv"), (StockRow = "application/x-ndjson")))),
)]
async fn export_stock(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ExportQuery>,
) -> Result<Response, Problem> {
    export(&app, &call, ExportKind::Stock, query).await
}

/// All orders as a file, the oldest first, without names, telephone numbers and addresses.
#[utoipa::path(
    get, path = "/v1/exports/orders", operation_id = "exportOrders", tag = "imports",
    params(ExportQuery),
    responses((status = 200, description = "the file", content((String = "text/csv"), (String = "application/x-ndjson")))),
)]
async fn export_orders(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ExportQuery>,
) -> Result<Response, Problem> {
    export(&app, &call, ExportKind::Orders, query).await
}

async fn export(app: &App, call: &Call, kind: ExportKind, query: ExportQuery) -> Result<Response, Problem> {
    await_min_position(app, call).await?;
    let format = query.format.unwrap_or(Format::Csv);
    let export = Export { queries: app.state.queries.clone(), kind, format, bom: query.bom.unwrap_or(false) };
    // The connection is broken off where a page cannot be read, so that half a file does not pass for one.
    let pieces = export.pieces().map_ok(|(bytes, _)| bytes).inspect_err(|error| {
        tracing::warn!(%error, "an export breaks off");
    });
    let name = format!("attachment; filename=\"{}.{}\"", kind.name(), format.name());
    let headers = [(CONTENT_TYPE, format!("{}; charset=utf-8", format.media_type())), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
