//! Returns: requested, decided, sent back, received, inspected, closed.

mod request;
mod view;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{
    ApproveReturn, CloseReturn, InspectReturn, ReceiveReturn, RejectReturn, RequestReturn, SendReturn, WithdrawReturn,
};
use jangbu_commands::{
    AnyCommand, Command as _, InspectedLine, Permission, Reach, Remedy, ReturnStatus, Scope, WithdrawnBy,
};
use jangbu_kernel::{Currency, ProductId, RefundId, ReturnId, StreamId, UserId};
use jangbu_projections::{ReturnFilter, ReturnRow};
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::{AsOfQuery, listed_user, page_request};
use crate::http::body::{JsonBody, MaybeJson, NoBody};
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, List, Text, Whole, read_words, request_body};
use crate::http::money;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{await_min_position, load};
use crate::http::view::{Listing, sealed_remark};
use crate::state::App;

#[cfg(test)]
pub(crate) use request::ReturnBody;
pub(crate) use view::ReturnView;

/// Reading returns.
const READ: Reach = Reach::OwnOrAny { own: Permission::ReturnsReadOwn, any: Permission::ReturnsReadAny };

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::command(&[RequestReturn::RULES], routes!(request::request)),
        Entry::new(READ, Kind::Query, &[], routes!(request::of_order)),
        Entry::new(READ, Kind::Query, &[], routes!(list)),
        Entry::new(READ, Kind::One, &[], routes!(one)),
        Entry::command(&[ApproveReturn::RULES], routes!(approve)),
        Entry::command(&[RejectReturn::RULES], routes!(reject)),
        Entry::command(&[WithdrawReturn::RULES], routes!(withdraw)),
        Entry::command(&[SendReturn::RULES], routes!(send)),
        Entry::command(&[ReceiveReturn::RULES], routes!(receive)),
        Entry::command(&[InspectReturn::RULES], routes!(inspect)),
        Entry::command(&[CloseReturn::RULES], routes!(close)),
    ]
}

read_words!(ReturnStatus, "a status of returns such as approved");

request_body! {
    /// Which page.
    pub(crate) struct PageQuery {
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// Which returns.
    pub(crate) struct ReturnListQuery {
        /// Only those in this state.
        status: Option<ReturnStatus>,
        /// Only this buyer's; staff only, all others see their own.
        user_id: Option<UserId>,
        /// Only those whose goods came back and whose refund is late, the latest first.
        late: Option<bool>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// Lets goods be sent back.
    pub(crate) struct ApproveReturnBody {
        /// What is taken off the refund, where the buyer pays the way back; nothing if it is left out.
        fee: Option<money::Amount>,
    }
}

request_body! {
    /// Does not take goods back.
    pub(crate) struct RejectReturnBody {
        /// Why, for the buyer.
        reason: Text<1, 500>,
    }
}

request_body! {
    /// Gives a return up.
    pub(crate) struct WithdrawReturnBody {
        /// Why. Staff must say.
        reason: Option<Text<1, 500>>,
    }
}

request_body! {
    /// Goods are on their way back.
    pub(crate) struct SendReturnBody {
        /// The carrier.
        carrier: Line<1, 50>,
        /// The carrier's number of the parcel.
        tracking_number: Line<1, 50>,
    }
}

request_body! {
    /// What was found of a line.
    pub(crate) struct InspectedLineBody {
        /// A product of the return.
        product_id: ProductId,
        /// Units that can be sold again; none if it is left out.
        restocked: Option<Whole<0, 1_000_000>>,
        /// Units that came back and cannot be sold; none if it is left out.
        written_off: Option<Whole<0, 1_000_000>>,
    }
}

request_body! {
    /// What came back.
    pub(crate) struct InspectReturnBody {
        /// What was found, each product once. What is not named did not come back.
        lines: List<InspectedLineBody, 0, 1_000>,
        /// What is to be said about it.
        note: Option<Text<1, 500>>,
    }
}

request_body! {
    /// Closes a return.
    pub(crate) struct CloseReturnBody {
        /// What the buyer gets; what was asked for if it is left out.
        remedy: Option<Remedy>,
    }
}

/// Returns, the newest first.
#[utoipa::path(
    get, path = "/v1/returns", operation_id = "listReturns", tag = "returns",
    params(ReturnListQuery),
    responses((status = 200, description = "a page of returns", body = Listing<ReturnView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ReturnListQuery>,
) -> Result<Json<Listing<ReturnView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = ReturnFilter {
        order_id: None,
        user_id: listed_user(&call, query.user_id)?,
        status: query.status,
        late_at: (query.late == Some(true)).then(|| app.state.world.clock.now()),
    };
    let page = app.state.queries.returns(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// One return.
#[utoipa::path(
    get, path = "/v1/returns/{id}", operation_id = "getReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return"), AsOfQuery),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    reply::read::<ReturnRow>(&app, &call, id, query.as_of).await
}

/// Lets the goods be sent back, for staff.
///
/// They have to be on their way within 14 days, otherwise the return ends.
#[utoipa::path(
    post, path = "/v1/returns/{id}/approve", operation_id = "approveReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body(content = Option<ApproveReturnBody>, example = json!({"fee": {"amount": "3000", "currency": "KRW"}})),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn approve(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: MaybeJson<ApproveReturnBody>,
) -> Result<Response, Problem> {
    let fee = match body.value.and_then(|body| body.fee) {
        Some(fee) => {
            let currency = match &fee {
                money::Amount::Named(money) => money.currency(),
                money::Amount::Open(_) => currency_of(&app, &call, id).await?,
            };
            let mut errors = Errors::default();
            let fee = fee.or_in(currency, &At::Name(&At::Root(""), "fee"), &mut errors);
            Some(fee.ok_or_else(|| Problem::invalid(errors.into_vec()))?)
        }
        None => None,
    };
    carry_out(&app, &call, ApproveReturn { return_id: ReturnId::new(id), fee }, &body.bytes).await
}

/// The currency of the goods, which applies to an amount without one.
async fn currency_of(app: &App, call: &Call, id: Uuid) -> Result<Currency, Problem> {
    let row: ReturnRow = load(app, call, id, None).await?;
    Ok(row.lines.first().map_or(Currency::KRW, |line| line.unit_price.currency()))
}

/// Does not take the goods back, for staff.
#[utoipa::path(
    post, path = "/v1/returns/{id}/reject", operation_id = "rejectReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body(content = RejectReturnBody, example = json!({"reason": "the seal is broken"})),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn reject(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<RejectReturnBody>,
) -> Result<Response, Problem> {
    let return_id = ReturnId::new(id);
    let reason = sealed_remark(&app, StreamId::of_return(return_id), &body.value.reason.0).await?;
    carry_out(&app, &call, RejectReturn { return_id, reason }, &body.bytes).await
}

/// Gives a return up before the goods are on their way back.
#[utoipa::path(
    post, path = "/v1/returns/{id}/withdraw", operation_id = "withdrawReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body = Option<WithdrawReturnBody>,
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn withdraw(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: MaybeJson<WithdrawReturnBody>,
) -> Result<Response, Problem> {
    let by = match call.principal()?.scope {
        Scope::Any => WithdrawnBy::Staff,
        Scope::Own(_) => WithdrawnBy::Buyer,
    };
    let return_id = ReturnId::new(id);
    let reason = match body.value.and_then(|body| body.reason) {
        Some(words) => Some(sealed_remark(&app, StreamId::of_return(return_id), &words.0).await?),
        None => None,
    };
    carry_out(&app, &call, WithdrawReturn { return_id, by, reason }, &body.bytes).await
}

/// The goods are on their way back. What was named before is corrected.
#[utoipa::path(
    post, path = "/v1/returns/{id}/send", operation_id = "sendReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body(content = SendReturnBody, example = json!({"carrier": "우체국", "tracking_number": "6012345678901"})),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn send(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<SendReturnBody>,
) -> Result<Response, Problem> {
    let SendReturnBody { carrier, tracking_number } = body.value;
    let (carrier, tracking_number) = (carrier.0, tracking_number.0);
    let command = SendReturn { return_id: ReturnId::new(id), carrier, tracking_number };
    carry_out(&app, &call, command, &body.bytes).await
}

/// The goods are at the shop, for staff.
#[utoipa::path(
    post, path = "/v1/returns/{id}/receive", operation_id = "receiveReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn receive(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    carry_out(&app, &call, ReceiveReturn { return_id: ReturnId::new(id) }, &body.0).await
}

/// Says what came back, for staff. What can be sold again is in stock from then on.
#[utoipa::path(
    post, path = "/v1/returns/{id}/inspect", operation_id = "inspectReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body(content = InspectReturnBody, example = json!({
        "lines": [{"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "restocked": 1, "written_off": 1}]
    })),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn inspect(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<InspectReturnBody>,
) -> Result<Response, Problem> {
    let return_id = ReturnId::new(id);
    // Bounded by its type.
    let units = |units: &Option<Whole<0, 1_000_000>>| {
        units.as_ref().map_or(0, |units| u32::try_from(units.0).unwrap_or(u32::MAX))
    };
    let lines = body.value.lines.0.iter().map(|line| InspectedLine {
        product_id: line.product_id,
        restocked: units(&line.restocked),
        written_off: units(&line.written_off),
    });
    let lines = lines.collect();
    let note = match &body.value.note {
        Some(words) => Some(sealed_remark(&app, StreamId::of_return(return_id), &words.0).await?),
        None => None,
    };
    carry_out(&app, &call, InspectReturn { return_id, lines, note }, &body.bytes).await
}

/// Closes a return whose goods were inspected, for staff: refunds what came back, or sends the same
/// again.
///
/// The refund is the price of the goods that came back, with the shipping fee if all of the order came
/// back and the shop is at fault, less the fee for the way back, and never more than is left of the
/// payment. An exchange places a further order of the same goods, which costs nothing; if that is called off or
/// fails, their money goes back. If they are not in stock, close it with `"remedy": "refund"`, or later.
#[utoipa::path(
    post, path = "/v1/returns/{id}/close", operation_id = "closeReturn", tag = "returns",
    params(("id" = Uuid, Path, description = "the return")),
    request_body(content = Option<CloseReturnBody>, example = json!({"remedy": "refund"})),
    responses((status = 200, description = "the return", body = ReturnView)),
)]
async fn close(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: MaybeJson<CloseReturnBody>,
) -> Result<Response, Problem> {
    let remedy = body.value.and_then(|body| body.remedy);
    let refund_id = RefundId::new(app.state.world.ids.new_id());
    carry_out(&app, &call, CloseReturn { return_id: ReturnId::new(id), refund_id, remedy }, &body.bytes).await
}

/// Executes a command on a return and answers with the return.
async fn carry_out(app: &App, call: &Call, command: impl Into<AnyCommand>, body: &[u8]) -> Result<Response, Problem> {
    let answer = call.execute(app, command, body).await?;
    reply::command::<ReturnRow>(app, call, answer, Made::Changed).await
}
