//! An order as clients see it.

use jangbu_commands::sealing::order_remark;
use jangbu_kernel::{OrderId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{OrderLineRow, OrderRow, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::http::resource::Resource;
use crate::http::view::{Address, Amount, Moment, Opener};
use crate::http::words;
use crate::state::App;

/// A line of an order, as it was sold.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub(crate) struct LineView {
    product_id: Uuid,
    name: String,
    unit_price: Amount,
    quantity: u32,
    line_total: Amount,
}

impl From<OrderLineRow> for LineView {
    fn from(row: OrderLineRow) -> Self {
        Self {
            product_id: row.product_id.uuid(),
            name: row.name,
            unit_price: row.unit_price.into(),
            quantity: row.quantity,
            line_total: row.line_total.into(),
        }
    }
}

/// An order.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderView {
    id: Uuid,
    /// The number people use.
    #[schema(examples("261121-7ZK3M0Q9XB"))]
    number: String,
    user_id: Uuid,
    #[schema(value_type = words::OrderStatus)]
    status: &'static str,
    /// Why nothing goes on before somebody has looked; null when it does.
    on_hold: Option<String>,
    lines: Vec<LineView>,
    /// What of it was cancelled; the order costs what is in `lines`.
    cancelled_lines: Vec<LineView>,
    subtotal: Amount,
    discount: Amount,
    shipping_fee: Amount,
    /// `subtotal - discount + shipping_fee`.
    total: Amount,
    /// Null when the buyer's data was erased, and when it cannot be read.
    shipping_address: Option<Address>,
    /// Whether personal data of this order is there and cannot be read: staff have to look.
    unreadable: bool,
    /// The payment that was opened last.
    payment_id: Option<Uuid>,
    shipment_ids: Vec<Uuid>,
    /// Unpaid then, it expires.
    payment_deadline: Moment,
    /// When it was placed.
    placed_at: Moment,
    /// When all of it was paid; null before.
    paid_at: Option<Moment>,
    /// Not handed to the carrier by then, it is late: the end of the third business day after its
    /// payment. Null before it is paid.
    ship_by: Option<Moment>,
    /// When its goods were put into the parcel that it has; null before.
    packed_at: Option<Moment>,
    /// When its parcel was handed to the carrier; null before.
    shipped_at: Option<Moment>,
    /// When its parcel arrived; null before.
    delivered_at: Option<Moment>,
    /// When it ended well: the buyer confirmed, or the time to do so was over. Null before.
    completed_at: Option<Moment>,
    /// When it was called off for good, after any money had gone back; null else.
    cancelled_at: Option<Moment>,
    /// Why it ended before its time.
    close_reason: Option<String>,
    /// Returns of its goods that have not ended; meanwhile it is not completed.
    open_returns: u32,
    /// The order whose goods it replaces after an exchange; null else.
    replaces_order_id: Option<Uuid>,
    /// Goes up with every change; the `ETag`.
    #[schema(value_type = u64)]
    version: Version,
    updated_at: Moment,
}

impl Resource for OrderRow {
    const WHAT: &'static str = "order";
    type View = OrderView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::order(OrderId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::order(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.order(OrderId::new(id)).await
    }
    fn version(&self) -> Version {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
    fn order_id(&self) -> Option<OrderId> {
        Some(self.id)
    }
    /// The view changes without a new version when the key is destroyed, and when it cannot decrypt
    /// the address.
    fn beside(view: &OrderView) -> Option<String> {
        view.shipping_address.is_none().then(|| if view.unreadable { "unreadable" } else { "erased" }.to_owned())
    }
    async fn view(self, app: &App) -> Result<OrderView, Problem> {
        let mut opener = Opener::new(app);
        let address = opener.address(self.id, &self.shipping_address).await?;
        OrderView::of(self, address, opener).await
    }
}

impl OrderView {
    /// The order with its address, where that is there and can be read.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub(super) async fn of(row: OrderRow, address: Option<Address>, mut opener: Opener<'_>) -> Result<Self, Problem> {
        Ok(Self {
            shipping_address: address,
            on_hold: opener.some_remark(order_remark(row.id), row.on_hold).await?,
            close_reason: opener.some_remark(order_remark(row.id), row.close_reason).await?,
            unreadable: opener.met_unreadable(),
            id: row.id.uuid(),
            number: row.number,
            user_id: row.user_id.uuid(),
            status: row.status.name(),
            lines: row.lines.into_iter().map(LineView::from).collect(),
            cancelled_lines: row.cancelled_lines.into_iter().map(LineView::from).collect(),
            subtotal: row.subtotal.into(),
            discount: row.discount.into(),
            shipping_fee: row.shipping_fee.into(),
            total: row.total.into(),
            payment_id: row.payment_id.map(|id| id.uuid()),
            shipment_ids: row.shipment_ids.into_iter().map(|id| id.uuid()).collect(),
            payment_deadline: row.payment_deadline.into(),
            placed_at: row.placed_at.into(),
            paid_at: row.paid_at.map(Moment::from),
            ship_by: row.ship_by.map(Moment::from),
            packed_at: row.packed_at.map(Moment::from),
            shipped_at: row.shipped_at.map(Moment::from),
            delivered_at: row.delivered_at.map(Moment::from),
            completed_at: row.completed_at.map(Moment::from),
            cancelled_at: row.cancelled_at.map(Moment::from),
            open_returns: row.open_returns,
            replaces_order_id: row.replaces_order_id.map(|id| id.uuid()),
            version: row.version,
            updated_at: row.updated_at.into(),
        })
    }
}
