//! The administrators: a list of its own beside the roles, in one stream. If two of them take the
//! role from each other at the same time, one is refused.
//!
//! A shop of an earlier release has no list. The first change records who has the role (`List`);
//! until then nobody is removed from it.

use std::collections::BTreeSet;

use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{AdministratorAdded, AdministratorRemoved, AdministratorsEvent, AdministratorsListed};
use crate::facts::Facts;

/// The administrators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Administrators {
    listed: bool,
    user_ids: BTreeSet<UserId>,
}

/// A command on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdministratorsCommand {
    /// Starts the list with these users, who have the role.
    List(Vec<UserId>),
    /// A user gets the role.
    Add(UserId),
    /// A user loses the role.
    Remove(UserId),
}

impl Administrators {
    /// Whether the list is complete.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        self.listed
    }

    /// The users on the list, in a fixed order.
    pub fn user_ids(&self) -> impl Iterator<Item = UserId> {
        self.user_ids.iter().copied()
    }

    fn remove(&self, user_id: UserId) -> Decision<AdministratorsEvent> {
        if !self.listed {
            return last("it is not known yet who else is an administrator").into();
        }
        if !self.user_ids.contains(&user_id) {
            return Decision::AlreadyDone;
        }
        if self.user_ids.len() == 1 {
            return last("nobody else is an administrator").into();
        }
        Decision::one(AdministratorRemoved { user_id })
    }
}

fn last(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::LastAdministrator, detail).at("/roles")
}

impl Decider for Administrators {
    const KIND: AggregateKind = AggregateKind::Administrators;
    const STATE_VERSION: u16 = 1;
    type Event = AdministratorsEvent;
    type Command = AdministratorsCommand;
    type Facts = Facts;

    fn decide(&self, command: &AdministratorsCommand, _: &Facts) -> Decision<AdministratorsEvent> {
        match command {
            AdministratorsCommand::List(_) if self.listed => Decision::AlreadyDone,
            AdministratorsCommand::List(user_ids) => Decision::one(AdministratorsListed { user_ids: user_ids.clone() }),
            AdministratorsCommand::Add(user_id) if self.user_ids.contains(user_id) => Decision::AlreadyDone,
            AdministratorsCommand::Add(user_id) => Decision::one(AdministratorAdded { user_id: *user_id }),
            AdministratorsCommand::Remove(user_id) => self.remove(*user_id),
        }
    }

    fn evolve(&mut self, event: &AdministratorsEvent) {
        match event {
            AdministratorsEvent::Listed(listed) => {
                self.listed = true;
                self.user_ids.extend(listed.user_ids.iter().copied());
            }
            AdministratorsEvent::Added(added) => {
                self.user_ids.insert(added.user_id);
            }
            AdministratorsEvent::Removed(removed) => {
                self.user_ids.remove(&removed.user_id);
            }
        }
    }
}
