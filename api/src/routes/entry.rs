//! A route with its properties.

use jangbu_commands::{Key, Rules};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::http::gate::Access;
use crate::http::problem::Code;
use crate::state::App;

/// The kind of a route, which determines its headers and statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers from memory: documents, probes, keys.
    Page,
    /// Reads a list or something without a version.
    Query,
    /// Reads one resource, which has a version: 304 if the client has that version.
    One,
    /// Changes a resource that has a version.
    Command(Key),
    /// Does something that has no resource to show.
    Action,
    /// Takes a file, whose rows are commands.
    Import,
}

/// A path with its methods and properties.
pub(crate) struct Entry {
    pub(crate) access: Access,
    pub(crate) kind: Kind,
    /// Refusals beyond those that follow from its kind and access.
    pub(crate) refusals: Vec<Code>,
    /// The commands that it executes.
    pub(crate) commands: Vec<Rules>,
    pub(crate) routes: UtoipaMethodRouter<App>,
}

impl Entry {
    /// A route that reads, or whose action is not a command.
    pub(super) fn new(
        access: impl Into<Access>,
        kind: Kind,
        refusals: &[Code],
        routes: UtoipaMethodRouter<App>,
    ) -> Self {
        Self { access: access.into(), kind, refusals: refusals.to_vec(), commands: Vec::new(), routes }
    }

    /// A route that takes a file whose rows are these commands. What they refuse is told row by row.
    pub(super) fn import(commands: &[Rules], routes: UtoipaMethodRouter<App>) -> Self {
        Self { kind: Kind::Import, refusals: Vec::new(), ..Self::command(commands, routes) }
    }

    /// A route that executes one of these commands, whose rules say who may use it, whether it
    /// needs a key, and what it can refuse.
    pub(super) fn command(commands: &[Rules], routes: UtoipaMethodRouter<App>) -> Self {
        let access = commands.iter().find_map(|rules| rules.reach).map_or(Access::Auth, Access::Holder);
        let needs_key = commands.iter().any(|rules| rules.key == Key::Required);
        let kind = Kind::Command(if needs_key { Key::Required } else { Key::Optional });
        let mut refusals: Vec<Code> = Vec::new();
        for code in commands.iter().flat_map(|rules| rules.refusals).map(|code| Code::from(*code)) {
            if !refusals.contains(&code) {
                refusals.push(code);
            }
        }
        Self { access, kind, refusals, commands: commands.to_vec(), routes }
    }
}
