//! What the log says of a user, folded from the user's own stream.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::session::SessionEvent;
use jangbu_aggregates::user::{EmailEvent, UserEvent};
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::{Vault, VaultError};
use jangbu_kernel::{RecordedEvent, Role, Sealed, SessionId, StreamId, Timestamp, UserId};

use super::IdentityError;
use crate::sealing::{USER_EMAIL, USER_NAME, USER_PHONE};

/// Events read at once; a stream longer than this is read in several steps.
const PAGE: usize = 500;

/// A user's own data, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who.
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

/// A user's data, sealed.
pub(super) struct Account {
    pub(super) user_id: UserId,
    pub(super) roles: Vec<Role>,
    pub(super) password_hash: Sealed,
    email: Sealed,
    name: Sealed,
    phone: Option<Sealed>,
    locked_until: Option<Timestamp>,
    registered_at: Timestamp,
    version: u64,
}

impl Account {
    /// Folds the user's stream up to a version; none when there is no such user.
    pub(super) async fn load(
        log: &dyn EventLog,
        user_id: UserId,
        to_version: Option<u64>,
    ) -> Result<Option<Self>, LogError> {
        let mut account = None;
        for event in read_whole(log, StreamId::user(user_id), to_version).await? {
            account = Self::fold(account, user_id, &event)?;
        }
        Ok(account)
    }

    fn fold(before: Option<Self>, user_id: UserId, recorded: &RecordedEvent) -> Result<Option<Self>, LogError> {
        let DomainEvent::User(event) = decode(recorded)? else { return Ok(before) };
        let Some(mut account) = before else {
            return Ok(Self::begin(user_id, recorded, event));
        };
        account.version = recorded.version;
        match event {
            UserEvent::ContactDetailsChanged(changed) => {
                account.name = changed.name.unwrap_or(account.name);
                account.phone = if changed.phone_cleared { None } else { changed.phone.or(account.phone) };
            }
            UserEvent::RoleGranted(granted) => {
                account.roles.push(granted.role);
                account.roles.sort();
                account.roles.dedup();
            }
            UserEvent::RoleRevoked(revoked) => account.roles.retain(|role| *role != revoked.role),
            UserEvent::Locked(locked) => account.locked_until = Some(locked.until),
            UserEvent::LoginSucceeded(_) => account.locked_until = None,
            UserEvent::Registered(_) | UserEvent::LoginFailed(_) => {}
        }
        Ok(Some(account))
    }

    fn begin(user_id: UserId, recorded: &RecordedEvent, event: UserEvent) -> Option<Self> {
        let UserEvent::Registered(registered) = event else { return None };
        Some(Self {
            user_id,
            roles: registered.roles,
            password_hash: registered.password_hash,
            email: registered.email,
            name: registered.name,
            phone: registered.phone,
            locked_until: None,
            registered_at: recorded.meta.recorded_at,
            version: recorded.version,
        })
    }

    /// Whether login is refused now whatever the password.
    pub(super) fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Opens the personal fields.
    pub(super) async fn open(self, vault: &dyn Vault) -> Result<Profile, IdentityError> {
        let mut unreadable = false;
        let phone = match &self.phone {
            Some(phone) => open(vault, USER_PHONE, phone, &mut unreadable).await?,
            None => None,
        };
        let email = open(vault, USER_EMAIL, &self.email, &mut unreadable).await?;
        let name = open(vault, USER_NAME, &self.name, &mut unreadable).await?;
        Ok(Profile {
            user_id: self.user_id,
            email,
            name,
            phone,
            unreadable,
            roles: self.roles,
            registered_at: self.registered_at,
            version: self.version,
        })
    }
}

/// Opens a field; none when it was erased, or when it does not open, which is noted.
async fn open(
    vault: &dyn Vault,
    place: &str,
    sealed: &Sealed,
    unreadable: &mut bool,
) -> Result<Option<String>, IdentityError> {
    match vault.open(place, sealed).await {
        Ok(text) => Ok(Some(text)),
        Err(VaultError::KeyDestroyed) => Ok(None),
        Err(VaultError::NoKey | VaultError::DoesNotOpen) => {
            *unreadable = true;
            Ok(None)
        }
        Err(error @ VaultError::Store(_)) => Err(error.into()),
    }
}

/// The token of a session that counts now, and whose it is.
pub(super) struct LiveToken {
    pub(super) user_id: UserId,
    pub(super) token_hash: String,
}

/// Folds a session's stream; none when there is no such session.
pub(super) async fn live_token(log: &dyn EventLog, session_id: SessionId) -> Result<Option<LiveToken>, LogError> {
    let mut live: Option<LiveToken> = None;
    for recorded in read_whole(log, StreamId::session(session_id), None).await? {
        let DomainEvent::Session(event) = decode(&recorded)? else { continue };
        match (event, &mut live) {
            (SessionEvent::Started(started), _) => {
                live = Some(LiveToken { user_id: started.user_id, token_hash: started.token_hash });
            }
            (SessionEvent::Rotated(rotated), Some(live)) => live.token_hash = rotated.token_hash,
            (SessionEvent::Rotated(_) | SessionEvent::ReuseDetected(_) | SessionEvent::Ended(_), _) => {}
        }
    }
    Ok(live)
}

/// Whose address a claim event says it is.
pub(super) fn claimed_by(recorded: &RecordedEvent) -> Option<UserId> {
    match DomainEvent::try_from(recorded) {
        Ok(DomainEvent::Email(EmailEvent::Claimed(claimed))) => Some(claimed.user_id),
        _ => None,
    }
}

async fn read_whole(
    log: &dyn EventLog,
    stream: StreamId,
    to_version: Option<u64>,
) -> Result<Vec<RecordedEvent>, LogError> {
    let last = to_version.unwrap_or(u64::MAX);
    let mut events = log.read_stream(stream, 1, last, PAGE).await?;
    while let Some(next) = next_page(&events, last) {
        let page = log.read_stream(stream, next, last, PAGE).await?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    Ok(events)
}

fn next_page(events: &[RecordedEvent], last: u64) -> Option<u64> {
    let newest = events.last()?;
    let full = events.len().is_multiple_of(PAGE);
    (full && newest.version < last).then_some(newest.version + 1)
}

fn decode(recorded: &RecordedEvent) -> Result<DomainEvent, LogError> {
    DomainEvent::try_from(recorded)
        .map_err(|error| LogError::Damaged(format!("position {}: {error}", recorded.position)))
}
