//! Payments: request, read, confirm, cancel, ask the gateway.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{CancelPayment, ConfirmPayment, RequestPayment};
use jangbu_commands::{Command as _, Key, Permission, Reach, WantedPayment};
use jangbu_kernel::{Currency, OrderId, PaymentId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{LegRow, PaymentFilter, PaymentRow, PaymentStatus, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::{AsOfQuery, Legs, checked_legs, listed_user, none_wrong, page_request};
use super::refunds::RefundView;
use crate::http::body::{JsonBody, NoBody};
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, Whole, read_words, request_body};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position, is_visible};
use crate::http::view::{Amount, Listing, Moment};
use crate::http::words;
use crate::state::App;

/// Reading payments.
pub(super) const READ: Reach = Reach::OwnOrAny { own: Permission::PaymentsReadOwn, any: Permission::PaymentsReadAny };

pub(super) fn entries() -> Vec<Entry> {
    let sync = Reach::OwnOrAny { own: Permission::PaymentsSyncOwn, any: Permission::PaymentsSyncAny };
    vec![
        Entry::command(&[RequestPayment::RULES], routes!(request)),
        Entry::new(READ, Kind::Query, &[], routes!(list)),
        Entry::new(READ, Kind::One, &[], routes!(one)),
        Entry::command(&[ConfirmPayment::RULES], routes!(confirm)),
        Entry::command(&[CancelPayment::RULES], routes!(cancel_payment)),
        Entry::new(sync, Kind::Command(Key::Optional), &[], routes!(synchronise)),
    ]
}

read_words!(PaymentStatus, "a payment status such as captured");

request_body! {
    /// Pays an order.
    pub(crate) struct RequestPaymentBody {
        /// The order to be paid.
        order_id: OrderId,
        /// 1 to 4 parts whose amounts sum to the order's total.
        legs: Legs,
    }
}

request_body! {
    /// Which payments.
    pub(crate) struct PaymentListQuery {
        /// Only those in this state.
        status: Option<PaymentStatus>,
        /// Only this buyer's; staff only, all others see their own.
        user_id: Option<UserId>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// A part of a payment by one method.
#[derive(Serialize, ToSchema)]
#[schema(as = Leg)]
pub(crate) struct LegView {
    #[schema(examples("card", "points"))]
    method: String,
    amount: Amount,
    #[schema(value_type = words::LegStatus)]
    status: &'static str,
    /// The gateway's id of the charge.
    gateway_reference: Option<String>,
    refunded: Amount,
}

impl From<LegRow> for LegView {
    fn from(row: LegRow) -> Self {
        Self {
            method: row.method,
            amount: row.amount.into(),
            status: row.status.name(),
            gateway_reference: row.gateway_reference,
            refunded: row.refunded.into(),
        }
    }
}

/// A payment.
#[derive(Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentView {
    id: Uuid,
    order_id: Uuid,
    user_id: Uuid,
    #[schema(value_type = words::PaymentStatus)]
    status: &'static str,
    total: Amount,
    legs: Vec<LegView>,
    captured: Amount,
    /// What went back for certain.
    refunded: Amount,
    refunds: Vec<RefundView>,
    /// The page that the buyer is to open, while that is what the payment waits for.
    redirect_url: Option<String>,
    /// Why it failed or was called off.
    failure_reason: Option<String>,
    created_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
    updated_at: Moment,
}

impl Resource for PaymentRow {
    const WHAT: &'static str = "payment";
    type View = PaymentView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::payment(PaymentId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::payment(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.payment(PaymentId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
    fn order_id(&self) -> Option<OrderId> {
        Some(self.order_id)
    }
    /// The view changes without a new version when the key for the words about a refund is
    /// destroyed.
    fn beside(view: &PaymentView) -> Option<String> {
        view.refunds.iter().any(RefundView::is_erased).then(|| "erased".to_owned())
    }
    async fn view(self, app: &App) -> Result<PaymentView, Problem> {
        Ok(PaymentView {
            id: self.id.uuid(),
            order_id: self.order_id.uuid(),
            user_id: self.user_id.uuid(),
            status: self.status.name(),
            total: self.total.into(),
            legs: self.legs.into_iter().map(LegView::from).collect(),
            captured: self.captured.into(),
            refunded: self.refunded.into(),
            refunds: RefundView::all(app, self.id, self.order_id, self.refunds).await?,
            redirect_url: self.redirect_url,
            failure_reason: self.failure_reason,
            created_at: self.created_at.into(),
            version: self.version,
            updated_at: self.updated_at.into(),
        })
    }
}

/// Pays an order that has no open payment.
///
/// The money is asked for after the answer; wait with `Jangbu-Wait-For: settled` to
/// see what became of it.
#[utoipa::path(
    post, path = "/v1/payments", operation_id = "requestPayment", tag = "payments",
    request_body(content = RequestPaymentBody, example = json!({
        "order_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "legs": [{"method": "points", "amount": "3000"}, {"method": "card", "amount": "50000", "card_token": "tok_ok"}]
    })),
    responses((status = 201, description = "the payment", body = PaymentView)),
)]
async fn request(State(app): State<App>, call: Call, body: JsonBody<RequestPaymentBody>) -> Result<Response, Problem> {
    call.check_key(RequestPayment::RULES.key)?;
    let RequestPaymentBody { order_id, legs: bodies } = body.value;
    let currency = if bodies.0.iter().any(super::orders::LegBody::is_open) {
        currency_of(&app, order_id).await?
    } else {
        Currency::KRW
    };
    let mut errors = Errors::default();
    let legs = checked_legs(&app, bodies, currency, &At::Root("/legs"), &mut errors);
    none_wrong(errors)?;
    let payment_id = PaymentId::new(app.state.world.ids.new_id());
    let legs = legs.sealed(&app, call.principal()?.user_id, payment_id).await?;
    let payment = WantedPayment { payment_id, legs };
    let command = RequestPayment { order_id, payment };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let location = format!("/v1/payments/{}", answer.stream.id);
    reply::command::<PaymentRow>(&app, &call, answer, Made::Created(location)).await
}

/// The currency of an order, won if there is no such order: the command refuses that later.
async fn currency_of(app: &App, order_id: OrderId) -> Result<Currency, Problem> {
    let row = match app.state.queries.order(order_id).await? {
        Some(row) => Some(row),
        None => fold::order(&app.state.commands.history(StreamId::order(order_id), None).await?)?,
    };
    Ok(row.map_or(Currency::KRW, |row| row.total.currency()))
}

/// Payments, newest first.
#[utoipa::path(
    get, path = "/v1/payments", operation_id = "listPayments", tag = "payments",
    params(PaymentListQuery),
    responses((status = 200, description = "a page of payments", body = Listing<PaymentView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<PaymentListQuery>,
) -> Result<Json<Listing<PaymentView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = PaymentFilter { user_id: listed_user(&call, query.user_id)?, status: query.status };
    let page = app.state.queries.payments(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// One payment.
#[utoipa::path(
    get, path = "/v1/payments/{id}", operation_id = "getPayment", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment"), AsOfQuery),
    responses((status = 200, description = "the payment", body = PaymentView)),
)]
async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    reply::read::<PaymentRow>(&app, &call, id, query.as_of).await
}

/// The buyer has met the gateway's challenge: the charge goes on.
#[utoipa::path(
    post, path = "/v1/payments/{id}/confirm", operation_id = "confirmPayment", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment")),
    responses((status = 200, description = "the payment", body = PaymentView)),
)]
async fn confirm(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let command = ConfirmPayment { payment_id: PaymentId::new(id) };
    let answer = call.execute(&app, command, &body.0).await?;
    reply::command::<PaymentRow>(&app, &call, answer, Made::Changed).await
}

/// Calls a payment off before its money was taken.
#[utoipa::path(
    post, path = "/v1/payments/{id}/cancel", operation_id = "cancelPayment", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment")),
    responses((status = 200, description = "the payment", body = PaymentView)),
)]
async fn cancel_payment(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: NoBody,
) -> Result<Response, Problem> {
    let command = CancelPayment { payment_id: PaymentId::new(id) };
    let answer = call.execute(&app, command, &body.0).await?;
    reply::command::<PaymentRow>(&app, &call, answer, Made::Changed).await
}

/// Asks the gateway now what became of the charge, and records what it says.
#[utoipa::path(
    post, path = "/v1/payments/{id}/sync", operation_id = "syncPayment", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment")),
    responses((status = 200, description = "the payment", body = PaymentView)),
)]
async fn synchronise(State(app): State<App>, PathId(id): PathId, call: Call, _: NoBody) -> Result<Response, Problem> {
    let caller = call.principal()?.caller();
    let payment_id = PaymentId::new(id);
    // From the log, because a condition is checked against the current version.
    let payment = PaymentRow::fold(&app.state.commands.history(StreamId::payment(payment_id), None).await?)?;
    let payment = payment.filter(|payment| is_visible(payment.owner(), &call));
    call.check_version(payment.ok_or_else(|| Problem::not_found(PaymentRow::WHAT))?.version())?;
    let processes = app.state.processes.as_ref();
    let processes = processes.ok_or_else(|| Problem::unavailable("this node runs no process manager"))?;
    let answer = processes.sync_payment(payment_id, caller, call.names.correlation_id).await?;
    reply::command::<PaymentRow>(&app, &call, answer, Made::Changed).await
}
