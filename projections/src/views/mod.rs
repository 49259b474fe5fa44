//! The views, one file each: the row, the table, the fold.

/// Declares a status: its names in JSON, in the database and in queries are one.
macro_rules! statuses {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The name in JSON and in queries.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
            /// The one with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

mod fulfilments;
mod orders;
mod payments;
mod points;
mod points_entries;
pub(crate) mod products;
mod shipments;
mod stock;
mod stock_marks;
mod timers;
mod users;

pub use fulfilments::{
    FulfilmentRow, FulfilmentsView, OpenCommand, ProcessState, TimerEntry, command_name, outcome_name, step_name,
};
pub use orders::{OrderLineRow, OrderRow, OrderStatus, OrdersView};
pub use payments::{
    AllocationRow, LegRow, LegStatus, PaymentRow, PaymentStatus, PaymentsView, RefundRow, RefundStatus,
};
pub use points::{PointsRow, PointsView};
pub use points_entries::{EntryKind, PointsEntriesView, PointsEntryRow};
pub use products::{ProductRow, ProductsView, query_words, search_terms, search_text};
pub use shipments::{ScanRow, ShipmentRow, ShipmentStatus, ShipmentsView};
pub use stock::{StockRow, StockView};
pub use stock_marks::StockMarksView;
pub use timers::{TimerRow, TimersView, timer_name};
pub use users::{UserRow, UserStatus, UsersView};
