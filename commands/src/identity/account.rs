//! What the log says of a user, for the user.

use std::collections::BTreeSet;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::user::{EmailEvent, RoleGranted, RoleRevoked, User, UserEvent, UserRegistered};
use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use jangbu_kernel::ports::{Vault, VaultError};
use jangbu_kernel::{RecordedEvent, Role, Sealed, SealedAt, StreamId, Timestamp, UserId};

use super::IdentityError;
use super::memory::Known;
use crate::sealing::{user_email, user_name, user_phone};

/// A user's own data, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// The user's id.
    pub user_id: UserId,
    /// The address; none when it cannot be opened, as with the other personal fields.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// Whether one of them is there and does not open.
    pub unreadable: bool,
    /// What they are.
    pub roles: Vec<Role>,
    /// Since when.
    pub registered_at: Timestamp,
    /// Version of the stream.
    pub version: u64,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Opens what is known of a user; none when there is no such user.
pub(super) async fn open(
    log: &dyn EventLog,
    vault: &dyn Vault,
    user_id: UserId,
    known: &Known,
) -> Result<Option<Profile>, IdentityError> {
    let Some(user) = known.get::<User>() else { return Ok(None) };
    let Some(contact) = user.contact_details() else { return Ok(None) };
    let Some(first) = log.read_stream(StreamId::user(user_id), 1, 1, 1).await?.into_iter().next() else {
        return Ok(None);
    };
    let mut unreadable = false;
    let phone = match &contact.phone {
        Some(phone) => open_field(vault, user_phone(user_id), phone, &mut unreadable).await?,
        None => None,
    };
    let email = open_field(vault, user_email(user_id), &contact.email, &mut unreadable).await?;
    let name = open_field(vault, user_name(user_id), &contact.name, &mut unreadable).await?;
    Ok(Some(Profile {
        user_id,
        email,
        name,
        phone,
        unreadable,
        roles: user.roles().collect(),
        registered_at: first.meta.recorded_at,
        version: known.version,
    }))
}

/// Opens a field; none when it was erased, or when it does not open, which is noted.
async fn open_field(
    vault: &dyn Vault,
    at: SealedAt<'_>,
    sealed: &Sealed,
    unreadable: &mut bool,
) -> Result<Option<String>, IdentityError> {
    match vault.open(at, sealed).await {
        Ok(text) => Ok(Some(text)),
        Err(VaultError::KeyDestroyed) => Ok(None),
        Err(VaultError::NoKey | VaultError::DoesNotOpen) => {
            *unreadable = true;
            Ok(None)
        }
        Err(error @ VaultError::Store(_)) => Err(error.into()),
    }
}

/// Events looked at at once for administrators.
const PAGE: usize = 1_000;

/// Everybody who has the role of an administrator, from the whole log: asked once in the
/// life of a shop.
pub(super) async fn administrators(log: &dyn EventLog) -> Result<Vec<UserId>, LogError> {
    let event_types = [UserRegistered::TYPE, RoleGranted::TYPE, RoleRevoked::TYPE].map(str::to_owned).to_vec();
    let filter = ReadFilter { event_types, correlation_id: None };
    let (mut administrators, mut after) = (BTreeSet::new(), 0);
    loop {
        let (page, read_to) = log.read_all(after, PAGE, &filter).await?;
        for event in &page {
            let DomainEvent::User(happened) = crate::reader::decode(event)? else { continue };
            let user_id = UserId::new(event.stream.id);
            match happened {
                UserEvent::Registered(user) if user.roles.contains(&Role::Admin) => {
                    administrators.insert(user_id);
                }
                UserEvent::RoleGranted(granted) if granted.role == Role::Admin => {
                    administrators.insert(user_id);
                }
                UserEvent::RoleRevoked(revoked) if revoked.role == Role::Admin => {
                    administrators.remove(&user_id);
                }
                UserEvent::Registered(_)
                | UserEvent::RoleGranted(_)
                | UserEvent::RoleRevoked(_)
                | UserEvent::ContactDetailsChanged(_)
                | UserEvent::LoginFailed(_)
                | UserEvent::LoginSucceeded(_)
                | UserEvent::Locked(_)
                | UserEvent::Unlocked(_) => {}
            }
        }
        if read_to == after {
            return Ok(administrators.into_iter().collect());
        }
        after = read_to;
    }
}

/// Whose address a claim event says it is.
pub(super) fn claimed_by(recorded: &RecordedEvent) -> Result<Option<UserId>, LogError> {
    if let DomainEvent::Email(EmailEvent::Claimed(claimed)) = crate::reader::decode(recorded)? {
        return Ok(Some(claimed.user_id));
    }
    Ok(None)
}
