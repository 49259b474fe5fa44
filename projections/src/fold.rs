//! The views' folds applied to a single stream: for the result of a command, and for the state at
//! an earlier time.
//!
//! The events are those of one stream, in order, from its first or from a given row on. Rows are
//! equal to the projected ones at the same version.

use jangbu_kernel::{OrderId, RecordedEvent, Timestamp, Version};

use crate::runtime::fold_stream;
use crate::view::{Fact, View};
use crate::views::{
    CategoriesView, CategoryRow, FulfilmentRow, FulfilmentsView, NoticeRow, NoticesView, OrderNoteRow, OrderNotesView,
    OrderRow, OrdersView, PaymentRow, PaymentsView, PointsEntriesView, PointsEntryRow, PointsRow, PointsView,
    ProductRow, ProductsView, ReturnRow, ReturnsView, ShipmentRow, ShipmentsView, StockRow, StockView, UserRow,
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
    /// The newest note of those about an order that are among the events.
    order_note: OrderNotesView -> OrderNoteRow;
    /// A payment.
    payment: PaymentsView -> PaymentRow;
    /// A parcel.
    shipment: ShipmentsView -> ShipmentRow;
    /// A return.
    goods_return: ReturnsView -> ReturnRow;
    /// A category.
    category: CategoriesView -> CategoryRow;
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
    /// A notice.
    notice: NoticesView -> NoticeRow;
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
        /// The events are those after the row's version.
        ///
        /// # Errors
        /// When an event cannot be read or does not follow the one before.
        pub fn $name(row: $row, events: &[RecordedEvent]) -> Result<$row, FoldError> {
            onto::<$view>(row, events)
        }
    )+};
}

folds_onto! {
    /// The stock of a product, folded on from a row.
    stock_onto: StockView -> StockRow;
    /// A person with an account, folded on from a row.
    user_onto: UsersView -> UserRow;
    /// A user's points, folded on from a row.
    points_onto: PointsView -> PointsRow;
}

/// The entries of a user's ledger, the oldest first, including held and released points.
///
/// # Errors
/// When an event cannot be read or does not follow the one before.
pub fn points_entries(events: &[RecordedEvent]) -> Result<Vec<PointsEntryRow>, FoldError> {
    fold_stream::<PointsEntriesView>(facts(events)?)
}

/// The fulfilment of an order, folded from its events up to the first that cannot be read. If none
/// can be read, `at` is used for its times.
#[must_use]
pub fn readable_fulfilment(order_id: OrderId, events: &[RecordedEvent], at: Timestamp) -> FulfilmentRow {
    let in_order = Version::FIRST.onwards().zip(events).take_while(|(version, event)| event.version == *version);
    let facts = in_order.map_while(|(_, event)| Fact::try_from(event).ok());
    let rows = fold_stream::<FulfilmentsView>(facts).unwrap_or_default();
    rows.into_iter().next().unwrap_or_else(|| FulfilmentRow::nothing_known(order_id, at))
}
