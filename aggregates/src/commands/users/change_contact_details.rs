//! Replaces a name or a telephone number. Writes `user`.

use jangbu_kernel::{Sealed, StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// Replaces a name or a telephone number. Writes `user`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeContactDetails {
    /// The user.
    pub user_id: UserId,
    /// The new name, sealed.
    pub name: Option<Sealed>,
    /// The new number, sealed.
    pub phone: Option<Sealed>,
    /// Removes the telephone number.
    pub clear_phone: bool,
}

impl Command for ChangeContactDetails {
    const RULES: Rules = Rules::new("change_contact_details", Reach::LoggedIn, Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (name, phone, clear_phone) = (self.name.clone(), self.phone.clone(), self.clear_phone);
        append.only::<User>(self.user_id, &UserCommand::ChangeContactDetails { name, phone, clear_phone })
    }
}
