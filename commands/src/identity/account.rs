//! What the log has about a user, for that user.

use std::collections::BTreeSet;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::{Locale, NoticeTopic};
use jangbu_aggregates::user::{EmailEvent, RoleGranted, RoleRevoked, User, UserEvent, UserRegistered};
use jangbu_kernel::log::{EventLog, LogError, ReadFilter};
use jangbu_kernel::ports::{Vault, VaultError};
use jangbu_kernel::{Position, RecordedEvent, Role, Sealed, SealedAt, StreamId, Timestamp, UserId, Version};

use super::IdentityError;
use super::memory::Known;
use crate::sealing::{user_email, user_name, user_phone};

/// A user's own data, in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// The user's id.
    pub user_id: UserId,
    /// The address; none if it cannot be opened, as with the other personal fields.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// Whether one of them exists but cannot be opened.
    pub unreadable: bool,
    /// The user's roles.
    pub roles: Vec<Role>,
    /// The language in which the user wants to be told of things, if one was chosen.
    pub locale: Option<Locale>,
    /// The topics that the user does not want to be told of, sorted.
    pub muted: Vec<NoticeTopic>,
    /// When the user registered.
    pub registered_at: Timestamp,
    /// Version of the stream.
    pub version: Version,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Opens the data of a user; none if there is no such user.
pub(super) async fn open(
    log: &dyn EventLog,
    vault: &dyn Vault,
    user_id: UserId,
    known: &Known,
) -> Result<Option<Profile>, IdentityError> {
    let Some(user) = known.get::<User>() else { return Ok(None) };
    let Some(contact) = user.contact_details() else { return Ok(None) };
    let Some(first) =
        log.read_stream(StreamId::user(user_id), Version::FIRST, Version::FIRST, 1).await?.into_iter().next()
    else {
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
        locale: user.locale(),
        muted: user.muted().collect(),
        registered_at: first.meta.recorded_at,
        version: known.version,
    }))
}

/// Opens a field; none if it was erased, or if it cannot be opened, which is noted.
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

/// Events that are read at once when searching for administrators.
const PAGE: usize = 1_000;

/// All users who have the role of an administrator, from the whole log. This is read once in the
/// life of a shop.
pub(super) async fn administrators(log: &dyn EventLog) -> Result<Vec<UserId>, LogError> {
    let event_types = [UserRegistered::TYPE, RoleGranted::TYPE, RoleRevoked::TYPE].map(str::to_owned).to_vec();
    let filter = ReadFilter { event_types, correlation_id: None };
    let (mut administrators, mut after) = (BTreeSet::new(), Position::ZERO);
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
                | UserEvent::Unlocked(_)
                | UserEvent::NoticesChosen(_) => {}
            }
        }
        if read_to == after {
            return Ok(administrators.into_iter().collect());
        }
        after = read_to;
    }
}

/// The user who holds the address, according to a claim event.
pub(super) fn claimed_by(recorded: &RecordedEvent) -> Result<Option<UserId>, LogError> {
    if let DomainEvent::Email(EmailEvent::Claimed(claimed)) = crate::reader::decode(recorded)? {
        return Ok(Some(claimed.user_id));
    }
    Ok(None)
}
