//! The routes, one file per resource. Each file lists its routes with who may use
//! them, what kind they are and which refusals they can meet; the gate, the
//! OpenAPI document and the tests all read that list.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod categories;
mod entry;
mod facets;
pub(crate) mod hooks;
pub(crate) mod imports;
pub(crate) mod locations;
pub(crate) mod notices;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod payment_methods;
pub(crate) mod payments;
pub(crate) mod points;
pub(crate) mod probes;
pub(crate) mod products;
pub(crate) mod refunds;
pub(crate) mod returns;
pub(crate) mod sagas;
pub(crate) mod shipments;
pub(crate) mod stock;
pub(crate) mod users;

pub(crate) use self::entry::{Entry, Kind};

/// Every route of the program.
pub(crate) fn all() -> Vec<Entry> {
    [
        auth::entries(),
        users::entries(),
        products::entries(),
        categories::entries(),
        stock::entries(),
        locations::entries(),
        orders::entries(),
        payments::entries(),
        payment_methods::entries(),
        refunds::entries(),
        shipments::entries(),
        returns::entries(),
        points::entries(),
        imports::entries(),
        hooks::entries(),
        sagas::entries(),
        notices::entries(),
        operations::entries(),
        audit::entries(),
        probes::entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
