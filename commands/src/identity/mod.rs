//! Identity: registration, login, refreshing a login, the profile.
//!
//! Decisions go through the same commands as the rest of the shop. This module does what a decision
//! cannot do: hashing passwords, sealing personal fields, making secrets. Access tokens belong to
//! the HTTP floor.

mod account;
mod attempts;
mod block;
mod email;
mod fair;
mod login;
mod memory;
mod password;
mod refresh_token;
mod validation;

use jangbu_aggregates::commands::{ChangeContactDetails, ChooseNotices, ListAdministrators, RegisterUser};
use jangbu_aggregates::notice::{Locale, NoticeTopic};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jangbu_aggregates::user::{Administrators, User};
use jangbu_aggregates::{AnyCommand, Policy, Scope};
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::{VaultError, World};
use jangbu_kernel::{
    Actor, CommandId, CorrelationId, Position, Refusal, RefusalCode, Role, SessionId, StreamId, UserId, Version,
};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use self::account::Profile;
use self::attempts::Attempts;
pub use self::block::AddressBlock;
pub use self::email::Email;
use self::memory::{Known, Memory};
use self::password::PasswordPool;
pub use self::password::PasswordSettings;
use self::validation::Checked;
pub use self::validation::{FieldError, check_email, check_password, check_phone};
use crate::request::scope_of_anonymous;
use crate::sealing::{user_email, user_name, user_password_hash, user_phone};
use crate::{Answer, Caller, CommandError, Commands, Idempotency, Request};

/// The context of the keyed hash that claims an address.
const CLAIM_CONTEXT: &str = "email.claim";
/// The same for a text that is not an address.
const NO_ADDRESS_CONTEXT: &str = "login.no_address";
/// The most wrong passwords that are recorded at once.
const NOTES_AT_ONCE: usize = 64;

/// The change of a value that may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    Keep,
    /// It is removed.
    Clear,
    /// It is replaced.
    Set(T),
}

/// The context of a request, without its content.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The id that everything caused by the request shares.
    pub correlation_id: CorrelationId,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// The caller's idempotency key, if there is one.
    pub idempotency: Option<Idempotency>,
    /// The block of addresses that it comes from.
    pub from: AddressBlock,
}

/// The data of a person who wants an account.
#[derive(Clone)]
pub struct Registration {
    /// The address as typed.
    pub email: String,
    /// The password, 8-128 characters as a reader counts them.
    pub password: String,
    /// The name, 1-100 characters.
    pub name: String,
    /// A telephone number.
    pub phone: Option<String>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration(..)")
    }
}

/// A person who is about to be registered.
struct Newcomer {
    user_id: UserId,
    checked: Checked,
    email_claim: Uuid,
    other_claims: Vec<Uuid>,
    hash: String,
    roles: Vec<Role>,
}

/// A login that succeeded.
#[derive(Clone)]
pub struct LoggedIn {
    /// The user who has logged in.
    pub user_id: UserId,
    /// The user's roles.
    pub roles: Vec<Role>,
    /// The session.
    pub session_id: SessionId,
    /// The opaque token that can be exchanged for the next access token, once.
    pub refresh_token: String,
    /// Position of the event that records the login.
    pub position: Position,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedIn").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What an authenticator has to know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// The present roles, whatever a token says.
    pub roles: Vec<Role>,
    /// Whether the user may act.
    pub active: bool,
}

/// Why a user could not be registered, logged in or shown.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Values break the rules of their fields.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// The shop refused the command, or it failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Wrong address or password, or an invalid token.
    #[error("the credentials do not count")]
    BadCredentials,
    /// Too many wrong passwords were given for this address, so no attempt is checked now. This
    /// does not reveal whether the account exists.
    #[error("too many wrong passwords, try again in {retry_after:?}")]
    Delayed {
        /// An attempt is checked again after this time.
        retry_after: Duration,
    },
    /// Too many passwords are being hashed at the moment.
    #[error("too many logins at once")]
    Busy {
        /// Try again after this time.
        retry_after: Duration,
    },
    /// The store or the key store did not answer.
    #[error("identities are unavailable: {0}")]
    Unavailable(String),
}

impl IdentityError {
    const BUSY: Self = Self::Busy { retry_after: Duration::from_secs(1) };
}

impl From<LogError> for IdentityError {
    fn from(error: LogError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<VaultError> for IdentityError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The service. Clones share it.
#[derive(Clone)]
pub struct Identity {
    commands: Commands,
    log: Arc<dyn EventLog>,
    world: World,
    passwords: PasswordPool,
    attempts: Attempts,
    memory: Memory,
    notes: Arc<Semaphore>,
}

impl Identity {
    /// Assembles the service.
    #[must_use]
    pub fn new(
        commands: Commands,
        log: Arc<dyn EventLog>,
        world: World,
        policy: Arc<Policy>,
        settings: PasswordSettings,
    ) -> Self {
        let (memory, attempts) = (Memory::new(Arc::clone(&log)), Attempts::new(policy));
        let (passwords, notes) = (PasswordPool::new(settings), Arc::new(Semaphore::new(NOTES_AT_ONCE)));
        Self { commands, log, world, passwords, attempts, memory, notes }
    }

    /// Registers a customer.
    ///
    /// # Errors
    /// Invalid fields, a taken address, or a failure.
    pub async fn register(&self, registration: Registration, context: RequestContext) -> Result<Answer, IdentityError> {
        self.create_user(registration, vec![Role::Customer], Actor::Anonymous, context).await
    }

    /// Registers a user with roles of the caller's choice; for operators and the first start.
    ///
    /// # Errors
    /// As [`Identity::register`].
    pub async fn create_user(
        &self,
        registration: Registration,
        roles: Vec<Role>,
        actor: Actor,
        context: RequestContext,
    ) -> Result<Answer, IdentityError> {
        let checked = validation::check_registration(&registration).map_err(IdentityError::Invalid)?;
        let email_claim = self.claim(checked.email.key());
        let mut other_claims = self.claims_of(&registration.email);
        other_claims.retain(|claim| *claim != email_claim);
        // The receipt comes first, otherwise a repeated request would be told that its own address
        // is taken.
        if let Some(first) = self.first_answer(email_claim, &actor, &context).await? {
            return Ok(first);
        }
        if self.user_by_email(&registration.email).await?.is_some() {
            let taken = Refusal::new(RefusalCode::EmailTaken, "the address has an account").at("/email");
            return Err(CommandError::Refused(taken).into());
        }
        let user_id = UserId::new(self.world.ids.new_id());
        let hash = self.passwords.hash(context.from, registration.password).await?;
        let newcomer = Newcomer { user_id, checked, email_claim, other_claims, hash, roles };
        // A separate task: a caller that drops its future must not leave a key behind.
        let identity = self.clone();
        let entered = tokio::spawn(async move { identity.enter(newcomer, actor, context).await }).await;
        entered.unwrap_or_else(|error| Err(IdentityError::Unavailable(error.to_string())))
    }

    /// The answer to this registration, if it was already carried out with the same key.
    async fn first_answer(
        &self,
        email_claim: Uuid,
        actor: &Actor,
        context: &RequestContext,
    ) -> Result<Option<Answer>, IdentityError> {
        let Some(given) = &context.idempotency else { return Ok(None) };
        let key = given.receipt_key(scope_of_anonymous(actor, email_claim));
        let found = self.log.receipts(vec![key]).await?.into_iter().next().flatten();
        Ok(found.map(|receipt| Answer::again(&receipt, given)).transpose()?)
    }

    /// Makes the key of a person and registers them. If the registration fails, the key is removed.
    async fn enter(&self, newcomer: Newcomer, actor: Actor, context: RequestContext) -> Result<Answer, IdentityError> {
        let user_id = newcomer.user_id;
        self.world.vault.create_key(user_id).await?;
        let entered = match self.sealed(newcomer).await {
            Ok(command) => self.execute(command, actor, Scope::Any, None, context).await.map_err(IdentityError::from),
            Err(error) => Err(error),
        };
        let may_exist = match &entered {
            Ok(answer) => answer.stream == StreamId::user(user_id),
            Err(IdentityError::Command(CommandError::OutcomeUnknown(_))) => true,
            Err(_) => false,
        };
        if !may_exist && let Err(error) = self.world.vault.discard_key(user_id).await {
            tracing::warn!(%user_id, %error, "the key of somebody who did not sign up stays");
        }
        entered
    }

    async fn sealed(&self, newcomer: Newcomer) -> Result<RegisterUser, IdentityError> {
        let Newcomer { user_id, checked, email_claim, other_claims, hash, roles } = newcomer;
        let Checked { email, name, phone } = checked;
        let vault = &self.world.vault;
        let phone = match &phone {
            Some(phone) => Some(vault.seal(user_id, user_phone(user_id), phone).await?),
            None => None,
        };
        Ok(RegisterUser {
            user_id,
            email_claim,
            other_claims,
            email: vault.seal(user_id, user_email(user_id), email.as_str()).await?,
            name: vault.seal(user_id, user_name(user_id), &name).await?,
            phone,
            password_hash: vault.seal(user_id, user_password_hash(user_id), &hash).await?,
            roles,
        })
    }

    /// Records the list of administrators, if no change of it has been decided yet: before a
    /// decision that may revoke this role.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub async fn list_administrators(&self) -> Result<(), IdentityError> {
        let stream = StreamId::administrators();
        let known = self.memory.recent(stream).await?;
        if known.get::<Administrators>().is_some_and(Administrators::is_listed) {
            return Ok(());
        }
        let user_ids = account::administrators(&*self.log).await?;
        let correlation_id = CorrelationId::new(self.world.ids.new_id());
        let context = RequestContext { correlation_id, trace: None, idempotency: None, from: AddressBlock::own() };
        let list = ListAdministrators { user_ids };
        self.execute(list, Actor::System("system"), Scope::Any, None, context).await?;
        self.memory.forget(stream);
        Ok(())
    }

    /// A user's own data, in the clear.
    ///
    /// # Errors
    /// `not_found`, or a failure.
    pub async fn profile(&self, user_id: UserId) -> Result<Profile, IdentityError> {
        let known = self.memory.now(StreamId::user(user_id)).await?;
        self.opened(user_id, &known).await
    }

    /// A user's own data as they were at a version of the stream: for answers to commands and to
    /// their repeats.
    ///
    /// # Errors
    /// `not_found`, or a failure.
    pub async fn profile_at(&self, user_id: UserId, version: Version) -> Result<Profile, IdentityError> {
        let known = self.memory.at(StreamId::user(user_id), version).await?;
        self.opened(user_id, &known).await
    }

    async fn opened(&self, user_id: UserId, known: &Known) -> Result<Profile, IdentityError> {
        let profile = account::open(&*self.log, &*self.world.vault, user_id, known).await?;
        profile.ok_or_else(not_found)
    }

    /// Replaces the name or the telephone number; an absent value stays.
    ///
    /// # Errors
    /// Invalid fields, a version that has changed, or a failure.
    pub async fn change_profile(
        &self,
        user_id: UserId,
        name: Option<String>,
        phone: Change<String>,
        if_match: Option<Vec<Version>>,
        context: RequestContext,
    ) -> Result<Answer, IdentityError> {
        let (name, phone) = validation::check_contact(name.as_deref(), phone).map_err(IdentityError::Invalid)?;
        let vault = &self.world.vault;
        let name = match name {
            Some(name) => Some(vault.seal(user_id, user_name(user_id), &name).await?),
            None => None,
        };
        let clear_phone = phone == Change::Clear;
        let phone = match phone {
            Change::Set(phone) => Some(vault.seal(user_id, user_phone(user_id), &phone).await?),
            Change::Keep | Change::Clear => None,
        };
        let command = ChangeContactDetails { user_id, name, phone, clear_phone };
        let scope = Scope::Own(user_id);
        Ok(self.execute(command, Actor::User(user_id), scope, if_match, context).await?)
    }

    /// Chooses in which language a user is told of things, and of which not; what is absent stays.
    ///
    /// # Errors
    /// As [`Identity::change_profile`].
    pub async fn choose_notices(
        &self,
        user_id: UserId,
        locale: Option<Locale>,
        muted: Option<BTreeSet<NoticeTopic>>,
        if_match: Option<Vec<Version>>,
        context: RequestContext,
    ) -> Result<Answer, IdentityError> {
        let command = ChooseNotices { user_id, locale, muted };
        Ok(self.execute(command, Actor::User(user_id), Scope::Own(user_id), if_match, context).await?)
    }

    /// What an authenticator has to know, at most a second old.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn account(&self, user_id: UserId) -> Result<Option<AccountStatus>, IdentityError> {
        let known = self.memory.recent(StreamId::user(user_id)).await?;
        let user = known.get::<User>().filter(|user| user.status().is_some());
        Ok(user.map(|user| AccountStatus { roles: user.roles().collect(), active: user.may_act().is_ok() }))
    }

    /// Evicts the cached state of a user, because a decision about them was just made.
    pub fn forget(&self, user_id: UserId) {
        self.memory.forget(StreamId::user(user_id));
    }

    /// The user who holds an address.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserId>, IdentityError> {
        for claim in self.claims_of(email) {
            if let Some(owner) = self.owner_of(claim).await? {
                return Ok(Some(owner));
            }
        }
        Ok(None)
    }

    fn claim(&self, form: &str) -> Uuid {
        self.world.vault.keyed_hash(CLAIM_CONTEXT, form)
    }

    /// The claims under which the owner of an address may be found: that of today's form, and those
    /// of the forms that earlier versions used. A plain address has only one.
    fn claims_of(&self, email: &str) -> Vec<Uuid> {
        Email::known_forms(email).iter().map(|form| self.claim(form)).collect()
    }

    /// The claim for any typed text, also if it is not an address.
    fn claim_of(&self, typed: &str) -> Uuid {
        match Email::parse(typed) {
            Ok(email) => self.claim(email.key()),
            Err(_) => self.world.vault.keyed_hash(NO_ADDRESS_CONTEXT, typed),
        }
    }

    async fn owner_of(&self, claim: Uuid) -> Result<Option<UserId>, IdentityError> {
        let events = self.log.read_stream(StreamId::email(claim), Version::FIRST, Version::FIRST, 1).await?;
        let owner = events.first().map(account::claimed_by).transpose()?;
        Ok(owner.flatten())
    }

    async fn execute(
        &self,
        command: impl Into<AnyCommand>,
        actor: Actor,
        scope: Scope,
        if_match: Option<Vec<Version>>,
        context: RequestContext,
    ) -> Result<Answer, CommandError> {
        let request = Request {
            command: command.into(),
            caller: Caller { actor, scope },
            command_id: CommandId::new(self.world.ids.new_id()),
            correlation_id: context.correlation_id,
            causation_id: None,
            trace: context.trace,
            idempotency: context.idempotency,
            if_match,
        };
        self.commands.execute(request).await
    }
}

fn not_found() -> IdentityError {
    CommandError::Refused(Refusal::new(RefusalCode::NotFound, "there is no such user")).into()
}
