//! Registers a user. Writes `user` and `email` together, so that an address belongs to one user
//! only. Reads the claims on its other spellings. An administrator is added to the list of
//! administrators in the same append.

use jangbu_kernel::{RefusalCode, Role, Sealed, StreamId, UserId};
use uuid::Uuid;

use crate::command::{Append, Command, Key, Owner, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{
    Administrators, AdministratorsCommand, EmailClaim, EmailCommand, User, UserCommand, UserRegistered, email_taken,
};

/// Registers a user and claims the address.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterUser {
    /// The id of the user.
    pub user_id: UserId,
    /// Keyed hash of the normalised address.
    pub email_claim: Uuid,
    /// Keyed hashes of the forms that the address had under earlier rules; a user who signed up
    /// with one of them still has it. None for a plain address.
    pub other_claims: Vec<Uuid>,
    /// The address, sealed.
    pub email: Sealed,
    /// The name, sealed.
    pub name: Sealed,
    /// The telephone number, sealed.
    pub phone: Option<Sealed>,
    /// The argon2id hash in PHC form, sealed.
    pub password_hash: Sealed,
    /// The first roles.
    pub roles: Vec<Role>,
}

impl Command for RegisterUser {
    const RULES: Rules =
        Rules { name: "register_user", reach: None, key: Key::Optional, refusals: &[RefusalCode::EmailTaken] };

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        let claims = self.other_claims.iter().chain([&self.email_claim]);
        streams.extend(claims.map(|claim| StreamId::email(*claim)));
    }

    /// Idempotency keys of different callers who are not logged in must not collide. The claim is a
    /// keyed hash, so the address stays unknown.
    fn anonymous_key_scope(&self) -> Option<Uuid> {
        Some(self.email_claim)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        for claim in &self.other_claims {
            if append.before::<EmailClaim>(*claim)?.user_id().is_some_and(|owner| owner != self.user_id) {
                return Err(email_taken().into());
            }
        }
        append.ask::<EmailClaim>(self.email_claim, &EmailCommand::Claim { user_id: self.user_id })?;
        let registered = UserRegistered {
            email: self.email.clone(),
            name: self.name.clone(),
            phone: self.phone.clone(),
            password_hash: self.password_hash.clone(),
            roles: self.roles.clone(),
        };
        append.ask::<User>(self.user_id, &UserCommand::Register(registered))?;
        if self.roles.contains(&Role::Admin) {
            let add = AdministratorsCommand::Add(self.user_id);
            append.ask::<Administrators>(StreamId::administrators().id, &add)?;
        }
        Ok(())
    }
}
