//! Stock: read, what moved it, what changes it ([`keeping`]), and what brings it elsewhere ([`transfers`]).

mod keeping;
mod list;
mod transfers;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{
    AdjustStock, CountStock, LoseTransfer, ReceiveStock, ReceiveTransfer, SendTransfer, SetBackOrder, SetBuyerLimit,
    SetStockThreshold, WriteOffStock,
};
use jangbu_commands::{Command as _, LocationCode, Permission, Reach};
use jangbu_kernel::{OrderId, ProductId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{MovementRow, Page, ProductRow, Queries, QueryError, StockRow, TransferRow};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::{AsOfQuery, page_request};
use crate::http::call::Call;
use crate::http::fields::{Line, Whole, request_body};
use crate::http::long::LongStream;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::{Code, Problem};
use crate::http::reply;
use crate::http::resource::{Resource, await_min_position, load};
use crate::http::view::{Listing, Moment};
use crate::http::words;
use crate::state::App;

#[cfg(test)]
pub(crate) use keeping::{
    AdjustStockBody, BackOrderBody, BuyerLimitBody, CountStockBody, ReceiveStockBody, StockThresholdBody,
    WriteOffStockBody,
};
#[cfg(test)]
pub(crate) use list::StockListQuery;
#[cfg(test)]
pub(crate) use transfers::{LoseTransferBody, ReceiveTransferBody, SendTransferBody};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Reach::Any(Permission::StockReadAny), Kind::Query, &[], routes!(list::list)),
        Entry::new(Reach::Any(Permission::StockRead), Kind::One, &[], routes!(one)),
        Entry::new(Reach::Any(Permission::StockReadAny), Kind::Query, &[], routes!(movements)),
        Entry::command(&[ReceiveStock::RULES], routes!(keeping::receive)),
        Entry::command(&[CountStock::RULES], routes!(keeping::count)),
        Entry::command(&[WriteOffStock::RULES], routes!(keeping::write_off)),
        Entry::command(&[AdjustStock::RULES], routes!(keeping::adjust)),
        Entry::command(&[SendTransfer::RULES], routes!(transfers::send)),
        Entry::command(&[ReceiveTransfer::RULES], routes!(transfers::receive)),
        Entry::command(&[LoseTransfer::RULES], routes!(transfers::write_off)),
        Entry::command(&[SetStockThreshold::RULES], routes!(keeping::set_threshold)),
        Entry::command(&[SetBackOrder::RULES], routes!(keeping::set_back_order)),
        Entry::command(&[SetBuyerLimit::RULES], routes!(keeping::set_buyer_limit)),
    ]
}

request_body! {
    /// Which movements.
    pub(crate) struct MovementQuery {
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// A movement of a product's stock.
#[derive(Serialize, ToSchema)]
#[schema(as = StockMovement)]
pub(crate) struct MovementView {
    /// Its place among all that happened to the stock: rising, with gaps.
    #[schema(value_type = u64)]
    number: Version,
    /// What moved the goods.
    #[schema(value_type = words::MovementKind)]
    kind: &'static str,
    /// What it adds to what is on hand, negative when it takes; 0 where goods go from one location to another.
    delta: i64,
    /// What it adds to the units at each location that it is about.
    locations: Vec<MovedView>,
    /// The transfer, for what goes from one location to another.
    transfer_id: Option<Uuid>,
    /// Why, where somebody gave a reason.
    reason: Option<String>,
    /// With which order, for what was shipped or came back.
    order_id: Option<Uuid>,
    at: Moment,
}

/// What a movement adds at a location.
#[derive(Serialize, ToSchema)]
#[schema(as = StockMoved)]
pub(crate) struct MovedView {
    /// The code of the location.
    location: String,
    /// What it adds to the units there, negative when it takes.
    delta: i64,
}

/// Units at a location.
#[derive(Serialize, ToSchema)]
#[schema(as = StockAtLocation)]
pub(crate) struct AtLocationView {
    /// The code of the location.
    location: String,
    /// Units there.
    on_hand: i64,
}

/// Units on their way from one location to another.
#[derive(Serialize, ToSchema)]
#[schema(as = StockTransfer)]
pub(crate) struct TransferView {
    id: Uuid,
    /// The code of the location where they were.
    from: String,
    /// The code of the location where they go.
    to: String,
    /// How many have not arrived yet.
    quantity: u32,
    /// When they were sent.
    sent_at: Moment,
}

impl From<MovementRow> for MovementView {
    fn from(row: MovementRow) -> Self {
        Self {
            number: row.number,
            kind: row.kind.name(),
            delta: row.delta,
            locations: row
                .places
                .into_iter()
                .map(|(code, delta)| MovedView { location: code.to_string(), delta })
                .collect(),
            transfer_id: row.transfer_id.map(|id| id.uuid()),
            reason: row.reason,
            order_id: row.order_id.map(|id| id.uuid()),
            at: row.at.into(),
        }
    }
}

/// The stock of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockView {
    product_id: Uuid,
    /// Units that are the shop's: at its locations, and on their way between them. Shown to the shop's staff
    /// only, like the next five.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_hand: Option<i64>,
    /// Units at each location: at `main`, and at every other one that has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<Vec<AtLocationView>>,
    /// Units on their way from one location to another: they cannot be sold before they arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_transit: Option<i64>,
    /// What is on its way, the newest last.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfers: Option<Vec<TransferView>>,
    /// Kept for orders that are not paid yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<i64>,
    /// Kept for paid orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated: Option<i64>,
    /// `on_hand - in_transit - reserved - allocated`: units that are in stock and can be bought. Negative while
    /// orders are promised more than there is; buyers see 0 then.
    available: i64,
    /// Units that can be ordered: those that are available, and those that may be back-ordered.
    orderable: i64,
    /// Units that one buyer may have in open orders; absent if the product has no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_limit: Option<u32>,
    /// By how many units orders may exceed what is available. Shown to the shop's staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    back_order: Option<u32>,
    /// At so many available units or fewer the stock counts as low; 0: never. Shown to the shop's
    /// staff only, like the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<u32>,
    /// Whether there is enough, measured by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::StockLevel>)]
    level: Option<&'static str>,
    /// Since when; absent for a product that never had stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    level_since: Option<Moment>,
    #[schema(value_type = u64)]
    version: Version,
}

impl TransferView {
    fn of(id: Uuid, transfer: &TransferRow) -> Self {
        let TransferRow { from, to, quantity, sent_at } = transfer;
        Self { id, from: from.to_string(), to: to.to_string(), quantity: *quantity, sent_at: (*sent_at).into() }
    }
}

fn at_locations(row: &StockRow) -> Vec<AtLocationView> {
    let main = AtLocationView { location: LocationCode::MAIN.to_owned(), on_hand: row.at_main() };
    let others = row.elsewhere.iter();
    let others = others.map(|(code, units)| AtLocationView { location: code.to_string(), on_hand: *units });
    std::iter::once(main).chain(others).collect()
}

impl StockView {
    fn whole(row: &StockRow) -> Self {
        Self {
            product_id: row.product_id.uuid(),
            on_hand: Some(row.on_hand),
            locations: Some(at_locations(row)),
            in_transit: Some(row.in_transit),
            transfers: Some(row.transfers.iter().map(|(id, transfer)| TransferView::of(id.uuid(), transfer)).collect()),
            reserved: Some(row.reserved),
            allocated: Some(row.allocated),
            available: row.available,
            orderable: row.orderable(),
            buyer_limit: (row.buyer_limit > 0).then_some(row.buyer_limit),
            back_order: Some(row.back_order),
            low: Some(row.low),
            level: Some(row.level.name()),
            level_since: row.level_since.map(Into::into),
            version: row.version,
        }
    }

    /// What buyers see.
    fn outside(row: &StockRow) -> Self {
        Self {
            on_hand: None,
            locations: None,
            in_transit: None,
            transfers: None,
            reserved: None,
            allocated: None,
            available: row.available.max(0),
            back_order: None,
            low: None,
            level: None,
            level_since: None,
            ..Self::whole(row)
        }
    }
}

impl Resource for StockRow {
    const WHAT: &'static str = "stock";
    type View = StockView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::stock(ProductId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::stock(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        // A row at version 0 is a product that never had stock.
        Ok(queries.stock(ProductId::new(id)).await?.filter(|row| row.version > Version::ZERO))
    }
    async fn at_version(app: &App, id: Uuid, version: Version) -> Result<Option<Self>, Problem> {
        let commands = &app.state.commands;
        let Some(mark) = app.state.queries.stock_before(ProductId::new(id), version).await? else {
            return Ok(Self::fold(&commands.history(Self::stream(id), Some(version)).await?)?);
        };
        let events = commands.between(Self::stream(id), mark.version.next(), Some(version)).await?;
        Ok(Some(mark.fold_onto(&events)?))
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
    async fn view(self, _: &App) -> Result<StockView, Problem> {
        Ok(StockView::whole(&self))
    }
}

impl LongStream for StockRow {
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError> {
        fold::stock_onto(self, events)
    }
}

/// The stock of a product. A product that never had any has 0.
///
/// Buyers see what they can buy and order now; the other numbers, and how it was earlier, need
/// `stock:read:any`.
#[utoipa::path(
    get, path = "/v1/stock/{product_id}", operation_id = "getStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product"), AsOfQuery),
    responses((status = 200, description = "its stock", body = StockView)),
)]
async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    let sees_all = call.principal()?.may(Permission::StockReadAny);
    if query.as_of.is_some() && !sees_all {
        let needed = Permission::StockReadAny.name();
        return Err(Problem::new(Code::Forbidden, format!("the stock of an earlier time needs {needed}")));
    }
    let row = match load::<StockRow>(&app, &call, id, query.as_of).await {
        Err(problem) if problem.code() == Code::NotFound && query.as_of.is_none() => {
            // A product without stock has 0; what is not a product has no stock at all.
            let product: ProductRow = super::products::load_row(&app, &call, id).await?;
            StockRow::empty(product.id)
        }
        loaded => loaded?,
    };
    if sees_all {
        return reply::show(&app, &call, row).await;
    }
    Ok(reply::show_view(&call, row.version, &StockView::outside(&row)))
}

/// What moved the stock of a product, the newest first: on hand is the sum of all.
#[utoipa::path(
    get, path = "/v1/stock/{product_id}/movements", operation_id = "listStockMovements", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product"), MovementQuery),
    responses((status = 200, description = "a page of movements", body = Listing<MovementView>)),
)]
async fn movements(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<MovementQuery>,
) -> Result<Json<Listing<MovementView>>, Problem> {
    let product: ProductRow = super::products::load_row(&app, &call, id).await?;
    await_min_position(&app, &call).await?;
    let page = page_request(query.cursor, query.limit);
    let Page { items, next_cursor } = app.state.queries.stock_movements(product.id, &page).await?;
    Ok(Json(Listing { items: items.into_iter().map(MovementView::from).collect(), next_cursor }))
}
