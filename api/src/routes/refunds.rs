//! Refunds: money that is returned, each a part of the payment it came from.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::Command as _;
use jangbu_commands::commands::RefundPayment;
use jangbu_commands::sealing::order_remark;
use jangbu_kernel::{Currency, OrderId, PaymentId, RefundId, StreamId};
use jangbu_projections::{PaymentRow, RefundRow};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::payments::READ;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Text, request_body};
use crate::http::money;
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{load, of_answer};
use crate::http::view::{Amount, Listing, Moment, Opener, sealed_remark};
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::command(&[RefundPayment::RULES], routes!(create)), Entry::new(READ, Kind::Query, &[], routes!(list))]
}

request_body! {
    /// Gives money back.
    pub(crate) struct RefundBody {
        /// How much: from the gateway's leg first, then points.
        amount: money::Amount,
        /// The reason; it is recorded.
        reason: Text<1, 500>,
    }
}

/// What a refund takes from one leg.
#[derive(Serialize, ToSchema)]
#[schema(as = RefundAllocation)]
pub(crate) struct AllocationView {
    /// The leg's number, from 0.
    leg: u8,
    amount: Amount,
}

/// A refund.
#[derive(Serialize, ToSchema)]
#[schema(as = Refund)]
pub(crate) struct RefundView {
    id: Uuid,
    payment_id: Uuid,
    order_id: Uuid,
    amount: Amount,
    /// Why; null once what was written of the buyer is erased.
    #[schema(required)]
    reason: Option<String>,
    #[schema(value_type = words::RefundStatus)]
    status: &'static str,
    allocation: Vec<AllocationView>,
    requested_at: Moment,
    /// When the money had gone back for certain; null before.
    settled_at: Option<Moment>,
}

impl RefundView {
    /// The refunds of a payment.
    pub(super) async fn all(
        app: &App,
        payment_id: PaymentId,
        order_id: OrderId,
        rows: Vec<RefundRow>,
    ) -> Result<Vec<Self>, Problem> {
        let mut refunds = Vec::with_capacity(rows.len());
        for row in rows {
            refunds.push(Self::of(app, payment_id, order_id, row).await?);
        }
        Ok(refunds)
    }

    /// Whether the reason was erased with the buyer's data.
    pub(super) const fn is_erased(&self) -> bool {
        self.reason.is_none()
    }

    async fn of(app: &App, payment_id: PaymentId, order_id: OrderId, row: RefundRow) -> Result<Self, Problem> {
        let allocation = row.allocation.into_iter();
        Ok(Self {
            id: row.id.uuid(),
            payment_id: payment_id.uuid(),
            order_id: order_id.uuid(),
            amount: row.amount.into(),
            reason: Opener::new(app).remark(order_remark(order_id), row.reason).await?,
            status: row.status.name(),
            allocation: allocation.map(|part| AllocationView { leg: part.leg, amount: part.amount.into() }).collect(),
            requested_at: row.requested_at.into(),
            settled_at: row.settled_at.map(Moment::from),
        })
    }
}

/// Gives money of a captured payment back, all or a part, as often as something is left.
///
/// The `ETag` is the payment's version.
#[utoipa::path(
    post, path = "/v1/payments/{id}/refunds", operation_id = "createRefund", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment")),
    request_body(content = RefundBody, example = json!({"amount": "10000", "reason": "one of two arrived broken"})),
    responses((status = 201, description = "the refund", body = RefundView)),
)]
async fn create(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<RefundBody>,
) -> Result<Response, Problem> {
    call.check_key(RefundPayment::RULES.key)?;
    let mut errors = Errors::default();
    let currency = match &body.value.amount {
        money::Amount::Named(money) => money.currency(),
        money::Amount::Open(_) => currency_of(&app, &call, id).await?,
    };
    let amount = body.value.amount.or_in(currency, &At::Name(&At::Root(""), "amount"), &mut errors);
    let amount = amount.ok_or_else(|| Problem::invalid(errors.into_vec()))?;
    let refund_id = RefundId::new(app.state.world.ids.new_id());
    let payment_id = PaymentId::new(id);
    let reason = sealed_remark(&app, StreamId::payment(payment_id), &body.value.reason.0).await?;
    let command = RefundPayment { payment_id, refund_id, amount, reason };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let made = Made::Created(format!("/v1/payments/{payment_id}/refunds"));
    // A repeat got a new id that was never used: the refund of the first answer is the newest one
    // at its version.
    let asked_at = of_answer::<PaymentRow>(&app, &answer).await?;
    let asked = asked_at.refunds.last().map(|refund| refund.id);
    let (row, outcome) = reply::settle::<PaymentRow>(&app, &call, answer, made).await?;
    let refund = row.refunds.into_iter().find(|refund| Some(refund.id) == asked);
    let refund = refund.ok_or_else(|| Problem::internal("a refund that was recorded is not there"))?;
    Ok(outcome.respond(&call, &RefundView::of(&app, row.id, row.order_id, refund).await?))
}

async fn currency_of(app: &App, call: &Call, id: Uuid) -> Result<Currency, Problem> {
    Ok(load::<PaymentRow>(app, call, id, None).await?.total.currency())
}

/// The refunds of a payment, oldest first.
#[utoipa::path(
    get, path = "/v1/payments/{id}/refunds", operation_id = "listRefunds", tag = "payments",
    params(("id" = Uuid, Path, description = "the payment")),
    responses((status = 200, description = "its refunds", body = Listing<RefundView>)),
)]
async fn list(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Json<Listing<RefundView>>, Problem> {
    let row: PaymentRow = load(&app, &call, id, None).await?;
    Ok(Json(Listing { items: RefundView::all(&app, row.id, row.order_id, row.refunds).await?, next_cursor: None }))
}
