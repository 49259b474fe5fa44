//! How returns are shown.

use jangbu_commands::sealing::order_remark;
use jangbu_kernel::{OrderId, RecordedEvent, ReturnId, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Queries, QueryError, ReturnLineRow, ReturnRow};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::http::resource::Resource;
use crate::http::view::{Amount, Moment, Opener};
use crate::http::words;
use crate::state::App;

/// Goods of one product that come back.
#[derive(Serialize, ToSchema)]
#[schema(as = ReturnLine)]
pub(crate) struct ReturnLineView {
    product_id: Uuid,
    /// The name it was sold under.
    name: String,
    /// The price of one, as sold.
    unit_price: Amount,
    /// Units that are to come back.
    quantity: u32,
    /// Units that came back and can be sold again.
    restocked: u32,
    /// Units that came back and cannot be sold.
    written_off: u32,
}

impl From<ReturnLineRow> for ReturnLineView {
    fn from(row: ReturnLineRow) -> Self {
        Self {
            product_id: row.product_id.uuid(),
            name: row.name,
            unit_price: row.unit_price.into(),
            quantity: row.quantity,
            restocked: row.restocked,
            written_off: row.written_off,
        }
    }
}

/// A return of goods.
#[derive(Serialize, ToSchema)]
#[schema(as = Return)]
pub(crate) struct ReturnView {
    id: Uuid,
    /// The order whose goods come back.
    order_id: Uuid,
    user_id: Uuid,
    #[schema(value_type = words::ReturnStatus)]
    status: &'static str,
    /// Why the goods come back.
    #[schema(value_type = words::ReturnReason)]
    reason: &'static str,
    /// What the buyer wants for the goods, or got once it is closed.
    #[schema(value_type = words::Remedy)]
    remedy: &'static str,
    /// Who pays for the way back.
    #[schema(value_type = words::WayBack)]
    way_back: &'static str,
    lines: Vec<ReturnLineView>,
    /// What was written with the request; null if nothing was.
    note: Option<String>,
    /// Why it was rejected or withdrawn; null if it was not, or nobody said.
    ended_because: Option<String>,
    /// What was written at the inspection; null if nothing was.
    inspection_note: Option<String>,
    /// What is taken off the refund for the way back; null before it is approved.
    fee: Option<Amount>,
    /// It lapses if the goods are not on their way by then; null before it is approved.
    send_by: Option<Moment>,
    /// The carrier of the way back; null if nobody named one.
    carrier: Option<String>,
    /// The carrier's number; null if nobody named one.
    tracking_number: Option<String>,
    /// When the goods came back; null before.
    received_at: Option<Moment>,
    /// The refund is late if it is not requested by then: the end of the third business day after
    /// the goods came back. Null before.
    refund_due_at: Option<Moment>,
    /// What was refunded; null before it is closed.
    refunded: Option<Amount>,
    /// The refund; null if there is none.
    refund_id: Option<Uuid>,
    /// The payment that it is refunded from; null if there is none.
    payment_id: Option<Uuid>,
    /// The order that an exchange led to; null if there is none.
    replacement_order_id: Option<Uuid>,
    /// Whether personal data of this return is there and cannot be read: staff have to look.
    unreadable: bool,
    created_at: Moment,
    /// Goes up with every change; the `ETag`.
    #[schema(value_type = u64)]
    version: Version,
    updated_at: Moment,
}

impl Resource for ReturnRow {
    const WHAT: &'static str = "return";
    type View = ReturnView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::of_return(ReturnId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::goods_return(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.goods_return(ReturnId::new(id)).await
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
    async fn view(self, app: &App) -> Result<ReturnView, Problem> {
        let (mut opener, at) = (Opener::new(app), order_remark(self.order_id));
        Ok(ReturnView {
            note: opener.some_remark(at, self.note).await?,
            ended_because: opener.some_remark(at, self.ended_because).await?,
            inspection_note: opener.some_remark(at, self.inspection_note).await?,
            unreadable: opener.met_unreadable(),
            id: self.id.uuid(),
            order_id: self.order_id.uuid(),
            user_id: self.user_id.uuid(),
            status: self.status.name(),
            reason: self.reason.name(),
            remedy: self.remedy.name(),
            way_back: self.way_back.name(),
            lines: self.lines.into_iter().map(ReturnLineView::from).collect(),
            fee: self.fee.map(Amount::from),
            send_by: self.send_by.map(Moment::from),
            carrier: self.carrier,
            tracking_number: self.tracking_number,
            received_at: self.received_at.map(Moment::from),
            refund_due_at: self.refund_due_at.map(Moment::from),
            refunded: self.refunded.map(Amount::from),
            refund_id: self.refund_id.map(|id| id.uuid()),
            payment_id: self.payment_id.map(|id| id.uuid()),
            replacement_order_id: self.replacement_order_id.map(|id| id.uuid()),
            created_at: self.created_at.into(),
            version: self.version,
            updated_at: self.updated_at.into(),
        })
    }
}
