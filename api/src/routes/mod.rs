//! The routes, one file per resource. Each file lists its routes with who may use
//! them, what kind they are and which refusals they can meet; the gate, the
//! OpenAPI document and the tests all read that list.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod hooks;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod payment_methods;
pub(crate) mod payments;
pub(crate) mod points;
pub(crate) mod probes;
pub(crate) mod products;
pub(crate) mod refunds;
pub(crate) mod sagas;
pub(crate) mod shipments;
pub(crate) mod stock;
pub(crate) mod users;

use utoipa_axum::router::UtoipaMethodRouter;

use crate::http::call::Key;
use crate::http::gate::Access;
use crate::http::problem::Code;
use crate::state::App;

/// What a route does, which settles the headers and statuses it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers from what is in memory: documents, probes, keys.
    Page,
    /// Reads a list or something without a version.
    Query,
    /// Reads one thing, which has a version: 304 when the caller has it.
    One,
    /// Decides something about a thing that has a version.
    Command(Key),
    /// Does something that has no resource of its own to show.
    Action,
}

/// A path with its methods, and all that is said about it.
pub(crate) struct Entry {
    pub(crate) access: Access,
    pub(crate) kind: Kind,
    /// What it can be refused with beside what its kind and access bring along.
    pub(crate) refusals: &'static [Code],
    pub(crate) routes: UtoipaMethodRouter<App>,
}

impl Entry {
    fn new(access: Access, kind: Kind, refusals: &'static [Code], routes: UtoipaMethodRouter<App>) -> Self {
        Self { access, kind, refusals, routes }
    }
}

/// Every route of the program.
pub(crate) fn all() -> Vec<Entry> {
    [
        auth::entries(),
        users::entries(),
        products::entries(),
        stock::entries(),
        orders::entries(),
        payments::entries(),
        payment_methods::entries(),
        refunds::entries(),
        shipments::entries(),
        points::entries(),
        hooks::entries(),
        sagas::entries(),
        operations::entries(),
        audit::entries(),
        probes::entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
