//! Floor 3, the reading side: events become rows, and queries read the rows.
//!
//! What lives here: the views ([`views`], one file each, one line each in the registry), the
//! engines that store their tables, the [`Projector`] that follows the log, its rebuild, and the
//! [`Queries`]. What never may live here: a rule of the shop (a view shows what was decided, it
//! decides nothing), a write to the log, HTTP.
//!
//! Where to start: [`view::View`] says what a view is; `views/orders.rs` is one; `projector/` is
//! how events reach it; `engine/` is how rows are stored, with the same statements for every view;
//! [`fold`] makes the same rows from a single stream.
//!
//! Invariants: rows and checkpoint are written in one transaction, fenced by the epoch of the
//! projector that writes; a row belongs to exactly one stream; a row is the fold of its stream up
//! to the view's checkpoint, byte for byte, whether it was followed live, caught up, rebuilt or
//! redriven.

pub(crate) mod engine;
pub mod fold;
pub(crate) mod health;
pub mod models;
pub mod projector;
pub mod queries;
pub(crate) mod registry;
pub(crate) mod runtime;
pub mod view;
pub mod views;

pub use engine::Boot;
pub use jangbu_aggregates::stock::StockLevel;
pub use models::{Options, ReadModels};
pub use projector::{
    Compared, ComparedView, Difference, Projector, ProjectorError, ProjectorHandle, RebuildOptions, RebuildProgress,
    RebuildReport, RebuildStage, RebuiltView, Redriven,
};
pub use queries::{
    CategoryPlace, FulfilmentFilter, FulfilmentState, MOST_LOOKED_AT, NamedStock, NoticeFilter, OrderFilter, Page,
    PageRequest, ParkedStream, PaymentFilter, PriceBand, ProductFacets, ProductFilter, ProductSort, ProductWithStock,
    ProjectionState, ProjectionStatus, Queries, QueryError, ReturnFilter, ShipmentFilter, StockFilter, UserFilter,
};
pub use registry::{names, shown_in};
pub use views::*;
