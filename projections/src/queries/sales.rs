//! Orders, payments, parcels.

use jangbu_aggregates::shipment::number_key;
use jangbu_kernel::{OrderId, PaymentId, ShipmentId, Timestamp, UserId};

use super::cursor::Like;
use super::select::{Order, Select};
use super::{Page, PageRequest, Queries, QueryError};
use crate::view::Value;
use crate::views::{OrderRow, OrderStatus, PaymentRow, PaymentStatus, ShipmentRow, ShipmentStatus};

/// How many payments or parcels of one order are shown: far more than an order can have.
const OF_ONE_ORDER: i64 = 1_000;

/// Which orders. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of this buyer.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<OrderStatus>,
    /// Placed at or after.
    pub from: Option<Timestamp>,
    /// Placed before.
    pub to: Option<Timestamp>,
}

/// Which payments. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Of this payer.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<PaymentStatus>,
}

/// Which parcels. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipmentFilter {
    /// To this receiver.
    pub user_id: Option<UserId>,
    /// In this state.
    pub status: Option<ShipmentStatus>,
}

const PLACED: Order =
    Order { name: "orders", columns: &[("placed_at", Like::Time), ("id", Like::Uuid)], descending: true };
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

    /// Orders, the newest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn orders(&self, filter: &OrderFilter, page: &PageRequest) -> Result<Page<OrderRow>, QueryError> {
        let select = self
            .table("orders")
            .with_some("user_id", "=", filter.user_id.map(Value::id))
            .with_some("status", "=", filter.status.map(|status| Value::text(status.name())))
            .with_some("placed_at", ">=", filter.from.map(Value::time))
            .with_some("placed_at", "<", PLACED.bound(page, filter.to)?.map(Value::time));
        self.page(select, &PLACED, page, |row: &OrderRow| vec![Value::time(row.placed_at), Value::id(row.id)]).await
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

    /// A parcel by the number that follows it, however it is written; of one buyer, or of
    /// anybody. The newest, since carriers use their numbers again.
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
