//! Orders, payments, parcels.

use jangbu_aggregates::shipment::number_key;
use jangbu_kernel::{OrderId, PaymentId, ProductId, ShipmentId, Timestamp, UserId};

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::engine::Engine;
use crate::view::Value;
use crate::views::orders::product_terms;
use crate::views::{Desk, OrderNoteRow, OrderRow, OrderStatus, PaymentRow, PaymentStatus, ShipmentRow, ShipmentStatus};

/// How many payments or parcels of one order are shown: far more than an order can have.
const OF_ONE_ORDER: i64 = 1_000;

/// Which orders to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// About which the order desk has this to do.
    pub desk: Option<Desk>,
    /// Late is what is late at this moment; nothing is where it is absent.
    pub now: Option<Timestamp>,
    /// With this number.
    pub number: Option<String>,
    /// With at least one of these products; an empty list has no orders.
    pub products: Option<Vec<ProductId>>,
    /// Of this buyer.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<OrderStatus>,
    /// Placed at or after this time.
    pub from: Option<Timestamp>,
    /// Placed before this time.
    pub to: Option<Timestamp>,
}

/// Which payments to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Of this payer.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<PaymentStatus>,
}

/// Which parcels to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipmentFilter {
    /// To this receiver.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<ShipmentStatus>,
}

const PLACED: Order =
    Order { name: "orders", columns: &[("placed_at", Like::Time), ("id", Like::Uuid)], descending: true };
const BY_ID: Order = Order { name: "orders-by-id", columns: &[("id", Like::Uuid)], descending: false };
/// What the order desk has to do: what has waited longest comes first.
const DESK: Order =
    Order { name: "orders-desk", columns: &[("placed_at", Like::Time), ("id", Like::Uuid)], descending: false };
/// What is late, the latest first.
const LATE: Order =
    Order { name: "orders-late", columns: &[("ship_by", Like::Time), ("id", Like::Uuid)], descending: false };
const NOTES: Order = Order { name: "order_notes", columns: &[("number", Like::Int)], descending: true };
const PAYMENTS: Order =
    Order { name: "payments", columns: &[("created_at", Like::Time), ("id", Like::Uuid)], descending: true };
const SHIPMENTS: Order =
    Order { name: "shipments", columns: &[("created_at", Like::Time), ("id", Like::Uuid)], descending: true };

impl Queries {
    fn table(&self, name: &str) -> Select {
        Select::from(self.models.engine.table(name))
    }

    /// An order.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, QueryError> {
        self.first(self.table("orders").with("id", "=", Value::id(id)), "").await
    }

    /// An order by the number that people use.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn order_by_number(&self, number: &str) -> Result<Option<OrderRow>, QueryError> {
        if number.contains('\0') {
            return Ok(None);
        }
        self.first(self.table("orders").with("number", "=", Value::text(number)), "").await
    }

    /// Orders, the newest first; what the order desk has to do, the oldest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn orders(&self, filter: &OrderFilter, page: &PageRequest) -> Result<Page<OrderRow>, QueryError> {
        if filter.number.as_ref().is_some_and(|number| number.contains('\0'))
            || filter.products.as_ref().is_some_and(Vec::is_empty)
        {
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let mut select = self
            .table("orders")
            .with_some("user_id", "=", filter.user_id.map(Value::id))
            .with_some("status", "=", filter.status.map(|status| Value::text(status.name())))
            .with_some("number", "=", filter.number.as_deref().map(Value::text));
        if let Some(products) = &filter.products {
            select = self.with_products(select, products).await?;
        }
        let placed = |row: &OrderRow| vec![Value::time(row.placed_at), Value::id(row.id)];
        match filter.desk {
            None => {
                let select = select.with_some("placed_at", ">=", filter.from.map(Value::time)).with_some(
                    "placed_at",
                    "<",
                    PLACED.bound(page, filter.to)?.map(Value::time),
                );
                self.page(select, &PLACED, page, placed).await
            }
            Some(desk @ (Desk::ToPack | Desk::ToSend | Desk::OnHold)) => {
                let select = select
                    .with("desk", "=", Value::text(desk.name()))
                    .with_some("placed_at", ">=", DESK.lower_bound(page, filter.from)?.map(Value::time))
                    .with_some("placed_at", "<", filter.to.map(Value::time));
                self.page(select, &DESK, page, placed).await
            }
            Some(Desk::Late) => {
                let select = select
                    .with("ship_by", "<=", Value::Time(filter.now))
                    .with_some("placed_at", ">=", filter.from.map(Value::time))
                    .with_some("placed_at", "<", filter.to.map(Value::time));
                // Only rows that have the moment are listed.
                let keys = |row: &OrderRow| vec![Value::Time(row.ship_by), Value::id(row.id)];
                self.page(select, &LATE, page, keys).await
            }
        }
    }

    /// All orders, the oldest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn orders_by_id(&self, page: &PageRequest) -> Result<Page<OrderRow>, QueryError> {
        self.page(self.table("orders"), &BY_ID, page, |row: &OrderRow| vec![Value::id(row.id)]).await
    }

    /// Orders with one of the products.
    async fn with_products(&self, mut select: Select, products: &[ProductId]) -> Result<Select, QueryError> {
        let condition = match &self.models.engine {
            Engine::Postgres(_) => {
                let terms = select.param(Value::Terms(product_terms(products.iter().copied())));
                format!("products && string_to_array({terms}, ' ')")
            }
            Engine::Sqlite(_) => {
                let terms: Vec<String> = products.iter().map(|id| product_terms(std::iter::once(*id))).collect();
                let are_few = self.are_few("orders", &terms).await?;
                let params: Vec<String> = terms.into_iter().map(|term| select.param(Value::text(term))).collect();
                let terms = params.join(", ");
                if are_few {
                    format!("id in (select id from orders_terms where term in ({terms}))")
                } else {
                    format!("exists (select 1 from orders_terms t where t.term in ({terms}) and t.id = orders.id)")
                }
            }
        };
        Ok(select.when(condition))
    }

    /// What staff wrote about an order, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn order_notes(&self, id: OrderId, page: &PageRequest) -> Result<Page<OrderNoteRow>, QueryError> {
        let select = self.table("order_notes").with("order_id", "=", Value::id(id));
        self.page(select, &NOTES, page, |row: &OrderNoteRow| vec![Value::count(row.number)]).await
    }

    /// A payment.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, QueryError> {
        self.first(self.table("payments").with("id", "=", Value::id(id)), "").await
    }

    /// The payments of an order, the oldest first.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn payments_of_order(&self, order_id: OrderId) -> Result<Vec<PaymentRow>, QueryError> {
        self.all(self.table("payments").with("order_id", "=", Value::id(order_id)), "created_at, id", OF_ONE_ORDER)
            .await
    }

    /// Payments, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn payments(&self, filter: &PaymentFilter, page: &PageRequest) -> Result<Page<PaymentRow>, QueryError> {
        let select = self.table("payments").with_some("user_id", "=", filter.user_id.map(Value::id)).with_some(
            "status",
            "=",
            filter.status.map(|status| Value::text(status.name())),
        );
        self.page(select, &PAYMENTS, page, |row: &PaymentRow| vec![Value::time(row.created_at), Value::id(row.id)])
            .await
    }

    /// A parcel.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn shipment(&self, id: ShipmentId) -> Result<Option<ShipmentRow>, QueryError> {
        self.first(self.table("shipments").with("id", "=", Value::id(id)), "").await
    }

    /// A parcel by its tracking number, however that is written; of one buyer, or of any. The
    /// newest, because carriers reuse their numbers.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn shipment_by_tracking(
        &self,
        tracking_number: &str,
        of: Option<UserId>,
    ) -> Result<Option<ShipmentRow>, QueryError> {
        let key = number_key(tracking_number);
        if key.contains('\0') {
            return Ok(None);
        }
        let select = self.table("shipments").with("tracking_key", "=", Value::text(key));
        let select = select.with_some("user_id", "=", of.map(Value::id));
        self.first(select, " order by created_at desc, id desc").await
    }

    /// The parcels of an order, the oldest first.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn shipments_of_order(&self, order_id: OrderId) -> Result<Vec<ShipmentRow>, QueryError> {
        self.all(self.table("shipments").with("order_id", "=", Value::id(order_id)), "created_at, id", OF_ONE_ORDER)
            .await
    }

    /// Parcels, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn shipments(
        &self,
        filter: &ShipmentFilter,
        page: &PageRequest,
    ) -> Result<Page<ShipmentRow>, QueryError> {
        let select = self.table("shipments").with_some("user_id", "=", filter.user_id.map(Value::id)).with_some(
            "status",
            "=",
            filter.status.map(|status| Value::text(status.name())),
        );
        self.page(select, &SHIPMENTS, page, |row: &ShipmentRow| vec![Value::time(row.created_at), Value::id(row.id)])
            .await
    }
}
