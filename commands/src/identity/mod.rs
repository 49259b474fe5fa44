//! Who somebody is: sign-up, login, the refresh of a login, the profile.
//!
//! Everything that is decided goes through the same commands as the rest of the
//! shop; what is done here is what a decision may not do: hashing passwords, sealing
//! personal fields, making secrets. Access tokens are the HTTP floor's business.

mod account;
mod email;
mod password;
mod refresh_token;
mod validation;

use std::sync::Arc;
use std::time::Duration;

use jangbu_aggregates::command::RegisterUser;
use jangbu_aggregates::session::{SessionEndReason, SessionEvent};
use jangbu_aggregates::{Command, DomainEvent, Scope};
use jangbu_kernel::log::{EventLog, LogError};
use jangbu_kernel::ports::{VaultError, World};
use jangbu_kernel::{Actor, CommandId, CorrelationId, Refusal, RefusalCode, Role, SessionId, StreamId, UserId};
use thiserror::Error;
use uuid::Uuid;

use self::account::Account;
pub use self::account::Profile;
pub use self::email::Email;
use self::password::PasswordPool;
pub use self::password::PasswordSettings;
use self::refresh_token::RefreshToken;
use self::validation::Checked;
pub use self::validation::FieldError;
use crate::sealing::{USER_EMAIL, USER_NAME, USER_PASSWORD_HASH, USER_PHONE};
use crate::{Answer, Caller, CommandError, Commands, Idempotency, Request};

/// How long what is known of an account may be used without a second look: the
/// bound on how late a change of roles or of status takes effect.
const ACCOUNT_MEMORY: Duration = Duration::from_millis(900);
/// Accounts kept in mind at once.
const ACCOUNTS_IN_MIND: u64 = 50_000;
/// The context of the keyed hash that claims an address.
const CLAIM_CONTEXT: &str = "email.claim";

/// What becomes of something that may be there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    Keep,
    /// It is taken out.
    Clear,
    /// It is replaced.
    Set(T),
}

/// What came with a request that is not its content.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Everything the request sets in motion carries it.
    pub correlation_id: CorrelationId,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// The caller's idempotency key, when there is one.
    pub idempotency: Option<Idempotency>,
}

/// Who wants an account.
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

/// A login that succeeded.
#[derive(Clone)]
pub struct LoggedIn {
    /// Who.
    pub user_id: UserId,
    /// What they are.
    pub roles: Vec<Role>,
    /// Which login.
    pub session_id: SessionId,
    /// The opaque token that gets the next access token, once.
    pub refresh_token: String,
    /// Position of the event that records it.
    pub position: u64,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedIn").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What an authenticator has to know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// What they are now, whatever a token says.
    pub roles: Vec<Role>,
    /// Whether they may act.
    pub active: bool,
}

/// Why somebody could not be signed up, logged in or shown.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Values break the rules of their fields.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// The shop said no, or the command did not get through.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Wrong address or password, or a token that does not count.
    #[error("the credentials do not count")]
    BadCredentials,
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

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    commands: Commands,
    log: Arc<dyn EventLog>,
    world: World,
    passwords: PasswordPool,
    statuses: moka::sync::Cache<UserId, Option<AccountStatus>>,
}

impl Identity {
    /// Puts the service together.
    #[must_use]
    pub fn new(commands: Commands, log: Arc<dyn EventLog>, world: World, settings: PasswordSettings) -> Self {
        let statuses = moka::sync::Cache::builder().max_capacity(ACCOUNTS_IN_MIND).time_to_live(ACCOUNT_MEMORY).build();
        Self { commands, log, world, passwords: PasswordPool::new(settings), statuses }
    }

    /// Signs a customer up.
    ///
    /// # Errors
    /// Invalid fields, a taken address, or a failure.
    pub async fn register(&self, registration: Registration, context: RequestContext) -> Result<Answer, IdentityError> {
        self.create_user(registration, vec![Role::Customer], Actor::Anonymous, context).await
    }

    /// Signs somebody up with roles of the caller's choice; for operators and the first start.
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
        let Checked { email, name, phone } =
            validation::check_registration(&registration).map_err(IdentityError::Invalid)?;
        let email_claim = self.claim(email.key());
        let mut other_claims = self.claims_of(&registration.email);
        other_claims.retain(|claim| *claim != email_claim);
        // With a key the receipt must have the first word, or a repeat would be told that its own
        // address is taken.
        if context.idempotency.is_none() && self.user_by_email(&registration.email).await?.is_some() {
            let taken = Refusal::new(RefusalCode::EmailTaken, "the address has an account").at("/email");
            return Err(CommandError::Refused(taken).into());
        }
        let user_id = UserId::new(self.world.ids.new_id());
        let hash = self.passwords.hash(registration.password).await?;
        let vault = &self.world.vault;
        vault.create_key(user_id).await?;
        let phone = match &phone {
            Some(phone) => Some(vault.seal(user_id, USER_PHONE, phone).await?),
            None => None,
        };
        let command = Command::RegisterUser(RegisterUser {
            user_id,
            email_claim,
            other_claims,
            email: vault.seal(user_id, USER_EMAIL, email.as_str()).await?,
            name: vault.seal(user_id, USER_NAME, &name).await?,
            phone,
            password_hash: vault.seal(user_id, USER_PASSWORD_HASH, &hash).await?,
            roles,
        });
        Ok(self.execute(command, actor, Scope::Any, None, context).await?)
    }

    /// Checks address and password and begins a session.
    ///
    /// An unknown address costs as much time as a wrong password.
    ///
    /// # Errors
    /// [`IdentityError::BadCredentials`], `account_locked` after too many wrong
    /// passwords, or a failure.
    pub async fn login(&self, email: &str, password: &str, context: RequestContext) -> Result<LoggedIn, IdentityError> {
        let Some(account) = self.account_by_email(email).await? else {
            self.passwords.verify_nothing(password.to_owned()).await?;
            return Err(IdentityError::BadCredentials);
        };
        let user_id = account.user_id;
        if account.is_locked(self.world.clock.now()) {
            let locked = Refusal::new(RefusalCode::AccountLocked, "too many wrong passwords, try again later");
            return Err(CommandError::Refused(locked).into());
        }
        let hash = self.world.vault.open(USER_PASSWORD_HASH, &account.password_hash).await?;
        if !self.passwords.verify(password.to_owned(), hash).await? {
            let failed = Command::RecordLoginFailure { user_id };
            self.execute(failed, Actor::Anonymous, Scope::Any, None, context).await?;
            return Err(IdentityError::BadCredentials);
        }
        let session_id = SessionId::new(self.world.ids.new_id());
        let token = RefreshToken::mint(session_id)?;
        let start = Command::StartSession { session_id, user_id, token_hash: token.hash() };
        let answer = self.execute(start, Actor::User(user_id), Scope::Any, None, context).await?;
        Ok(LoggedIn {
            user_id,
            roles: account.roles,
            session_id,
            refresh_token: token.into_text(),
            position: answer.position,
        })
    }

    /// Exchanges a refresh token for the next one. A token that was exchanged before
    /// ends its whole family.
    ///
    /// # Errors
    /// [`IdentityError::BadCredentials`] or a failure.
    pub async fn refresh(&self, refresh_token: &str, context: RequestContext) -> Result<LoggedIn, IdentityError> {
        let presented = RefreshToken::parse(refresh_token).ok_or(IdentityError::BadCredentials)?;
        let session_id = presented.session_id();
        let user_id = self.owner_of_session(session_id).await?.ok_or(IdentityError::BadCredentials)?;
        let status = self.account(user_id).await?.filter(|status| status.active);
        let status = status.ok_or(IdentityError::BadCredentials)?;
        let next = RefreshToken::mint(session_id)?;
        let rotate = Command::RotateSession { session_id, presented_hash: presented.hash(), next_hash: next.hash() };
        let answer = match self.execute(rotate, Actor::User(user_id), Scope::Any, None, context).await {
            Ok(answer) => answer,
            Err(CommandError::Refused(_)) => return Err(IdentityError::BadCredentials),
            Err(other) => return Err(other.into()),
        };
        let rotated = answer
            .events
            .iter()
            .any(|event| matches!(DomainEvent::try_from(&**event), Ok(DomainEvent::Session(SessionEvent::Rotated(_)))));
        if !rotated {
            return Err(IdentityError::BadCredentials);
        }
        Ok(LoggedIn {
            user_id,
            roles: status.roles,
            session_id,
            refresh_token: next.into_text(),
            position: answer.position,
        })
    }

    /// Ends the session of a refresh token. A token that counts for nothing is no
    /// error: the caller is logged out either way.
    ///
    /// # Errors
    /// Only failures.
    pub async fn logout(&self, refresh_token: &str, context: RequestContext) -> Result<(), IdentityError> {
        let Some(token) = RefreshToken::parse(refresh_token) else { return Ok(()) };
        let session_id = token.session_id();
        let Some(live) = self.live_token_hash(session_id).await? else { return Ok(()) };
        if live.token_hash != token.hash() {
            return Ok(());
        }
        let end = Command::EndSession { session_id, reason: SessionEndReason::LoggedOut };
        match self.execute(end, Actor::User(live.user_id), Scope::Any, None, context).await {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// A user's own data, opened.
    ///
    /// # Errors
    /// `not_found`, or a failure.
    pub async fn profile(&self, user_id: UserId) -> Result<Profile, IdentityError> {
        self.opened(user_id, None).await
    }

    /// A user's own data as they were at a version of the stream: for answers to repeats.
    ///
    /// # Errors
    /// `not_found`, or a failure.
    pub async fn profile_at(&self, user_id: UserId, version: u64) -> Result<Profile, IdentityError> {
        self.opened(user_id, Some(version)).await
    }

    async fn opened(&self, user_id: UserId, version: Option<u64>) -> Result<Profile, IdentityError> {
        let account = Account::load(&*self.log, user_id, version).await?;
        account.ok_or_else(not_found)?.open(&*self.world.vault).await
    }

    /// Replaces name or telephone number; what is absent stays.
    ///
    /// # Errors
    /// Invalid fields, a version that moved on, or a failure.
    pub async fn change_profile(
        &self,
        user_id: UserId,
        name: Option<String>,
        phone: Change<String>,
        if_match: Option<u64>,
        context: RequestContext,
    ) -> Result<Answer, IdentityError> {
        let (name, phone) = validation::check_contact(name.as_deref(), phone).map_err(IdentityError::Invalid)?;
        let vault = &self.world.vault;
        let name = match name {
            Some(name) => Some(vault.seal(user_id, USER_NAME, &name).await?),
            None => None,
        };
        let clear_phone = phone == Change::Clear;
        let phone = match phone {
            Change::Set(phone) => Some(vault.seal(user_id, USER_PHONE, &phone).await?),
            Change::Keep | Change::Clear => None,
        };
        let command = Command::ChangeContactDetails { user_id, name, phone, clear_phone };
        let scope = Scope::Own(user_id);
        Ok(self.execute(command, Actor::User(user_id), scope, if_match, context).await?)
    }

    /// What an authenticator has to know, at most a second old.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn account(&self, user_id: UserId) -> Result<Option<AccountStatus>, IdentityError> {
        if let Some(known) = self.statuses.get(&user_id) {
            return Ok(known);
        }
        let account = Account::load(&*self.log, user_id, None).await?;
        // A lock keeps guessers out; whoever is logged in may go on.
        let status = account.map(|account| AccountStatus { roles: account.roles, active: true });
        self.statuses.insert(user_id, status.clone());
        Ok(status)
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

    /// Where the owner of an address may be found: under its form of today, and under those
    /// that it had when it was claimed earlier. One for a plain address.
    fn claims_of(&self, email: &str) -> Vec<Uuid> {
        Email::known_forms(email).iter().map(|form| self.claim(form)).collect()
    }

    async fn owner_of(&self, claim: Uuid) -> Result<Option<UserId>, IdentityError> {
        let events = self.log.read_stream(StreamId::email(claim), 1, 1, 1).await?;
        Ok(events.first().and_then(account::claimed_by))
    }

    async fn account_by_email(&self, email: &str) -> Result<Option<Account>, IdentityError> {
        match self.user_by_email(email).await? {
            Some(user_id) => Ok(Account::load(&*self.log, user_id, None).await?),
            None => Ok(None),
        }
    }

    async fn owner_of_session(&self, session_id: SessionId) -> Result<Option<UserId>, IdentityError> {
        Ok(self.live_token_hash(session_id).await?.map(|live| live.user_id))
    }

    async fn live_token_hash(&self, session_id: SessionId) -> Result<Option<account::LiveToken>, IdentityError> {
        account::live_token(&*self.log, session_id).await.map_err(Into::into)
    }

    async fn execute(
        &self,
        command: Command,
        actor: Actor,
        scope: Scope,
        if_match: Option<u64>,
        context: RequestContext,
    ) -> Result<Answer, CommandError> {
        let request = Request {
            command,
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
