//! A route, and what is said about it.

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
    pub(super) fn new(access: Access, kind: Kind, refusals: &'static [Code], routes: UtoipaMethodRouter<App>) -> Self {
        Self { access, kind, refusals, routes }
    }
}
