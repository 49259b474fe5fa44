//! Records who the administrators are, once, in a log that has no list of them. Writes
//! `administrators`.

use jangbu_kernel::{StreamId, UserId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{Administrators, AdministratorsCommand};

/// Records who the administrators are, once.
#[derive(Clone, Debug, PartialEq)]
pub struct ListAdministrators {
    /// Every administrator of the shop.
    pub user_ids: Vec<UserId>,
}

impl Command for ListAdministrators {
    const RULES: Rules = Rules::internal("list_administrators");

    fn subject(&self) -> StreamId {
        StreamId::administrators()
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let list = AdministratorsCommand::List(self.user_ids.clone());
        append.only::<Administrators>(StreamId::administrators().id, &list)
    }
}
