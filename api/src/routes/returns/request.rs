//! Requesting a return, and the returns of an order.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::RequestReturn;
use jangbu_commands::{CancelledBy, Command as _, Remedy, Replacement, ReturnReason, Scope, order_number, sealing};
use jangbu_kernel::ports::VaultError;
use jangbu_kernel::{OrderId, ProductId, ReturnId, Sealed, StreamId};
use jangbu_projections::{OrderRow, ReturnFilter, ReturnRow};

use super::{PageQuery, ReturnView};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Errors, List, Text, Whole, read_words, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::load;
use crate::http::view::{Listing, sealed_remark};
use crate::routes::orders::{AddressBody, checked_address, none_wrong, page_request};
use crate::state::App;

read_words!(ReturnReason, "changed_mind, defect or returned_to_sender");
read_words!(Remedy, "refund or exchange");

request_body! {
    /// Goods of one product that are to come back.
    pub(crate) struct ReturnLineBody {
        /// A product of the order.
        product_id: ProductId,
        /// Number of units; all that were bought if it is left out.
        quantity: Option<Whole<1, 1_000_000>>,
    }
}

request_body! {
    /// Wants to return goods.
    pub(crate) struct ReturnBody {
        /// Why they come back: `changed_mind`; `defect`, if they are broken or not what was ordered or
        /// described; `returned_to_sender`, by staff only, if a carrier brought them back.
        reason: ReturnReason,
        /// What the buyer gets for them, `refund` if it is left out.
        remedy: Option<Remedy>,
        /// The goods, each product once.
        lines: List<ReturnLineBody, 1, 1_000>,
        /// What is to be said about it.
        note: Option<Text<1, 500>>,
        /// For an exchange, where the goods go; the order's address if it is left out.
        shipping_address: Option<AddressBody>,
    }
}

/// Wants to return goods of an order that arrived.
///
/// Buyers may within 7 days of the delivery if they changed their mind, and within 90 days if the goods
/// are broken or not as described; staff at any time. Until the return has ended the order is not
/// completed. The buyer pays the way back after a change of mind, the shop otherwise.
#[utoipa::path(
    post, path = "/v1/orders/{id}/returns", operation_id = "requestReturn", tag = "returns",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body(content = ReturnBody, example = json!({
        "reason": "defect", "remedy": "exchange",
        "lines": [{"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 1}],
        "note": "one of them is bruised"
    })),
    responses((status = 201, description = "the return", body = ReturnView)),
)]
pub(super) async fn request(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ReturnBody>,
) -> Result<Response, Problem> {
    call.check_key(RequestReturn::RULES.key)?;
    let ReturnBody { reason, remedy, lines, note, shipping_address } = body.value;
    let (order_id, return_id) = (OrderId::new(id), ReturnId::new(app.state.world.ids.new_id()));
    let remedy = remedy.unwrap_or(Remedy::Refund);
    let replacement = match remedy {
        Remedy::Refund => None,
        Remedy::Exchange => Some(replacement(&app, &call, order_id, shipping_address).await?),
    };
    let note = match note {
        Some(words) => Some(sealed_remark(&app, StreamId::order(order_id), &words.0).await?),
        None => None,
    };
    let by = match call.principal()?.scope {
        Scope::Any => CancelledBy::Staff,
        Scope::Own(_) => CancelledBy::Owner,
    };
    let lines = lines.0.iter().map(|line| {
        // Bounded by its type.
        let quantity = line.quantity.as_ref().map(|quantity| u32::try_from(quantity.0).unwrap_or(u32::MAX));
        (line.product_id, quantity)
    });
    let command = RequestReturn { return_id, order_id, by, reason, remedy, lines: lines.collect(), note, replacement };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let location = format!("/v1/returns/{}", answer.stream.id);
    reply::command::<ReturnRow>(&app, &call, answer, Made::Created(location)).await
}

/// The further order of an exchange. Its address is sealed for that order.
async fn replacement(
    app: &App,
    call: &Call,
    of: OrderId,
    address: Option<AddressBody>,
) -> Result<Replacement, Problem> {
    let order: OrderRow = load(app, call, of.uuid(), None).await?;
    let world = &app.state.world;
    let order_id = OrderId::new(world.ids.new_id());
    let text = match address {
        Some(address) => {
            let mut errors = Errors::default();
            let address = checked_address(app, address, &mut errors);
            none_wrong(errors)?;
            serde_json::to_string(&address).map_err(|error| Problem::internal(error.to_string()))?
        }
        None => opened(app, order.id, &order.shipping_address).await?,
    };
    let shipping_address = world.vault.seal(order.user_id, sealing::shipping_address(order_id), &text).await?;
    Ok(Replacement { order_id, number: order_number(world.clock.now(), order_id), shipping_address })
}

async fn opened(app: &App, order_id: OrderId, address: &Sealed) -> Result<String, Problem> {
    match app.state.world.vault.open(sealing::shipping_address(order_id), address).await {
        // Without their key nothing can be sent to a buyer, and nothing can be sealed for them.
        Err(VaultError::KeyDestroyed) => Err(Problem::not_found("order")),
        opened => Ok(opened?),
    }
}

/// The returns of an order, the newest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/returns", operation_id = "listOrderReturns", tag = "returns",
    params(("id" = uuid::Uuid, Path, description = "the order"), PageQuery),
    responses((status = 200, description = "a page of returns", body = Listing<ReturnView>)),
)]
pub(super) async fn of_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<PageQuery>,
) -> Result<Json<Listing<ReturnView>>, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let filter = ReturnFilter { order_id: Some(order.id), ..ReturnFilter::default() };
    let page = app.state.queries.returns(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}
