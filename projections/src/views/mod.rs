//! The views, one file each: the row, the table, the fold.

mod categories;
mod fulfilments;
mod notices;
mod order_notes;
pub(crate) mod orders;
mod payments;
mod points;
mod points_entries;
pub(crate) mod products;
mod returns;
mod shipments;
mod stock;
mod stock_marks;
mod stock_movements;
mod timers;
mod users;

pub use categories::{CategoriesView, CategoryRow};
pub use fulfilments::{FulfilmentRow, FulfilmentsView, OpenCommand, ProcessState, TimerEntry};
pub use notices::{NoticeRow, NoticesView};
pub use order_notes::{OrderNoteRow, OrderNotesView};
pub use orders::{Desk, OrderLineRow, OrderRow, OrderStatus, OrdersView};
pub use payments::{
    AllocationRow, LegRow, LegStatus, PaymentRow, PaymentStatus, PaymentsView, RefundRow, RefundStatus,
};
pub use points::{PointsRow, PointsView};
pub use points_entries::{EntryKind, PointsEntriesView, PointsEntryRow};
pub use products::{ProductRow, ProductsView, query_words, search_terms, search_text};
pub use returns::{ReturnLineRow, ReturnRow, ReturnsView};
pub use shipments::{ScanRow, ShipmentRow, ShipmentStatus, ShipmentsView};
pub use stock::{StockRow, StockView, TransferRow};
pub use stock_marks::StockMarksView;
pub use stock_movements::{MovementKind, MovementRow, StockMovementsView};
pub use timers::{TimerRow, TimersView};
pub use users::{UserRow, UserStatus, UsersView};
