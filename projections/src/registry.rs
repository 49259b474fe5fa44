//! All views. A new one is a file in `views/` and a line here.

use jangbu_kernel::AggregateKind;

use crate::runtime::{AnyView, ViewRuntime};
use crate::view::{Shows, View, ViewSpec};
use crate::views::{
    CategoriesView, FulfilmentsView, NoticesView, OrderNotesView, OrdersView, PaymentsView, PointsEntriesView,
    PointsView, ProductsView, ReturnsView, ShipmentsView, StockMarksView, StockMovementsView, StockView, TimersView,
    UsersView,
};

/// A view in the registry.
pub(crate) struct Entry {
    pub spec: &'static ViewSpec,
    pub shows: Shows,
    /// Creates the view's runtime over a table.
    pub open: fn(table: String) -> Box<dyn AnyView>,
}

const fn entry<V: View>() -> Entry {
    Entry { spec: &V::SPEC, shows: V::SHOWS, open: |table| Box::new(ViewRuntime::<V>::new(table)) }
}

/// Every view, in the order in which they are listed.
pub(crate) static VIEWS: [Entry; 16] = [
    entry::<OrdersView>(),
    entry::<OrderNotesView>(),
    entry::<PaymentsView>(),
    entry::<ShipmentsView>(),
    entry::<ReturnsView>(),
    entry::<StockView>(),
    entry::<StockMarksView>(),
    entry::<StockMovementsView>(),
    entry::<ProductsView>(),
    entry::<CategoriesView>(),
    entry::<PointsView>(),
    entry::<PointsEntriesView>(),
    entry::<UsersView>(),
    entry::<FulfilmentsView>(),
    entry::<TimersView>(),
    entry::<NoticesView>(),
];

/// The names of all views.
pub fn names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|view| view.spec.name)
}

/// The views that an event type shows in.
#[must_use]
pub fn shown_in(kind: AggregateKind, event_type: &str) -> Vec<&'static str> {
    VIEWS.iter().filter(|view| view.shows.handles(kind, event_type)).map(|view| view.spec.name).collect()
}
