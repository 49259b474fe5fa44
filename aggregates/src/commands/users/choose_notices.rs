//! Chooses in which language somebody is told of things, and of which not. Writes `user`.

use std::collections::BTreeSet;

use jangbu_kernel::{StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Reach, Rules, Stop};
use crate::notice::{Locale, NoticeTopic};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// Chooses in which language somebody is told of things, and of which not. Writes `user`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChooseNotices {
    /// The user.
    pub user_id: UserId,
    /// The language; none: it stays.
    pub locale: Option<Locale>,
    /// All topics that the user is not to be told of; none: they stay.
    pub muted: Option<BTreeSet<NoticeTopic>>,
}

impl Command for ChooseNotices {
    const RULES: Rules = Rules::new("choose_notices", Reach::LoggedIn, Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (locale, muted) = (self.locale, self.muted.clone());
        append.only::<User>(self.user_id, &UserCommand::ChooseNotices { locale, muted })
    }
}
