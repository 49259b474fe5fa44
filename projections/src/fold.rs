//! The same pure folds over a stream alone: what a command answers with, and what
//! was at an earlier time.
//!
//! The events are those of one stream from its first, in order. Rows are equal to
//! the projected ones at the same version.

use jangbu_kernel::{OrderId, RecordedEvent, Timestamp};

use crate::runtime::fold_stream;
use crate::view::{Fact, View};
use crate::views::{
    FulfilmentRow, FulfilmentsView, OrderRow, OrdersView, PaymentRow, PaymentsView, PointsEntriesView, PointsEntryRow,
    PointsRow, PointsView, ProductRow, ProductsView, ShipmentRow, ShipmentsView, StockRow, StockView, UserRow,
    UsersView,
};

pub use crate::view::FoldError;

fn facts(events: &[RecordedEvent]) -> Result<Vec<Fact>, FoldError> {
    events
        .iter()
        .map(|event| Fact::try_from(event).map_err(|error| FoldError::Undecodable(error.to_string())))
        .collect()
}

fn only<V: View>(events: &[RecordedEvent]) -> Result<Option<V::Row>, FoldError> {
    Ok(fold_stream::<V>(facts(events)?)?.pop())
}

macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident: $view:ident -> $row:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When an event cannot be read or does not follow the one before.
        pub fn $name(events: &[RecordedEvent]) -> Result<Option<$row>, FoldError> {
            only::<$view>(events)
        }
    )+};
}

folds! {
    /// An order.
    order: OrdersView -> OrderRow;
    /// A payment.
    payment: PaymentsView -> PaymentRow;
    /// A parcel.
    shipment: ShipmentsView -> ShipmentRow;
    /// A product.
    product: ProductsView -> ProductRow;
    /// The stock of a product.
    stock: StockView -> StockRow;
    /// A person with an account.
    user: UsersView -> UserRow;
    /// A user's points.
    points: PointsView -> PointsRow;
    /// The fulfilment of an order.
    fulfilment: FulfilmentsView -> FulfilmentRow;
}

fn onto<V: View>(row: V::Row, events: &[RecordedEvent]) -> Result<V::Row, FoldError> {
    let mut row = Some(row);
    for fact in facts(events)? {
        V::fold(&mut row, &fact)?;
    }
    row.ok_or(FoldError::Unfit("an event of this stream takes its row away"))
}

macro_rules! folds_onto {
    ($($(#[$doc:meta])* $name:ident: $view:ident -> $row:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// The events are those behind the row's version.
        ///
        /// # Errors
        /// When an event cannot be read or does not follow the one before.
        pub fn $name(row: $row, events: &[RecordedEvent]) -> Result<$row, FoldError> {
            onto::<$view>(row, events)
        }
    )+};
}

folds_onto! {
    /// The stock of a product, from a row on.
    stock_onto: StockView -> StockRow;
    /// A person with an account, from a row on.
    user_onto: UsersView -> UserRow;
    /// A user's points, from a row on.
    points_onto: PointsView -> PointsRow;
}

/// A user's ledger, entry by entry, the oldest first; held and released points among them.
///
/// # Errors
/// When an event cannot be read or does not follow the one before.
pub fn points_entries(events: &[RecordedEvent]) -> Result<Vec<PointsEntryRow>, FoldError> {
    fold_stream::<PointsEntriesView>(facts(events)?)
}

/// The fulfilment of an order as far as its events can be read, up to the first that cannot;
/// `at` stands for its times where none can.
#[must_use]
pub fn readable_fulfilment(order_id: OrderId, events: &[RecordedEvent], at: Timestamp) -> FulfilmentRow {
    let in_order = (1..).zip(events).take_while(|(version, event)| event.version == *version);
    let facts = in_order.map_while(|(_, event)| Fact::try_from(event).ok());
    let rows = fold_stream::<FulfilmentsView>(facts).unwrap_or_default();
    rows.into_iter().next().unwrap_or_else(|| FulfilmentRow::nothing_known(order_id, at))
}
