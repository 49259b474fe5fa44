//! Login, refreshing a login, and logout.

use jangbu_aggregates::commands::{EndSession, RecordLoginFailure, RotateSession, StartSession};
use std::sync::Arc;

use jangbu_aggregates::session::{Session, SessionEndReason, SessionEvent};
use jangbu_aggregates::user::User;
use jangbu_aggregates::{DomainEvent, Scope};
use jangbu_kernel::{Actor, RecordedEvent, SessionId, StreamId, Timestamp, UserId};
use uuid::Uuid;

use super::attempts::{Circumstances, Count};
use super::refresh_token::RefreshToken;
use super::{AddressBlock, Identity, IdentityError, LoggedIn, RequestContext};
use crate::CommandError;
use crate::sealing::user_password_hash;

impl Identity {
    /// Checks address and password and starts a session.
    ///
    /// An unknown address has the same answer as a known one with a wrong password, and takes as
    /// much time. Wrong passwords delay the next attempt for both.
    ///
    /// # Errors
    /// [`IdentityError::BadCredentials`], [`IdentityError::Delayed`] after too many wrong
    /// passwords, [`IdentityError::Busy`], or a failure.
    pub async fn login(&self, email: &str, password: &str, context: RequestContext) -> Result<LoggedIn, IdentityError> {
        let claim = self.claim_of(email);
        let place = self.attempts.place(claim, context.from);
        let mut here = place.turn().await.ok_or(IdentityError::BUSY)?;
        // The same reads, whether the account exists or not.
        let owner = self.user_by_email(email).await?;
        let user_id = owner.unwrap_or_else(|| UserId::new(claim));
        let known = self.memory.recent(StreamId::user(user_id)).await?;
        let user = known.get::<User>().filter(|user| user.status().is_some());
        self.not_delayed(&mut here, claim, user_id, user, context.from).await?;
        let Some(sealed) = user.and_then(User::password_hash) else {
            self.passwords.verify_nothing(context.from, password.to_owned()).await?;
            self.attempts.failed(&mut here, claim, self.world.clock.now());
            return Err(IdentityError::BadCredentials);
        };
        let hash = self.world.vault.open(user_password_hash(user_id), sealed).await?;
        if !self.passwords.verify(context.from, password.to_owned(), hash).await? {
            self.attempts.failed(&mut here, claim, self.world.clock.now());
            self.note_wrong_password(user_id, context);
            return Err(IdentityError::BadCredentials);
        }
        *here = Count::default();
        drop(here);
        let roles = user.map(|user| user.roles().collect()).unwrap_or_default();
        let from = context.from;
        let session_id = SessionId::new(self.world.ids.new_id());
        let token = RefreshToken::mint(session_id, &*self.world.vault)?;
        let start = StartSession { session_id, user_id, token_hash: token.hash() };
        let answer = self.execute(start, Actor::User(user_id), Scope::Any, None, context).await?;
        self.attempts.succeeded(user_id, session_id, from);
        Ok(LoggedIn { user_id, roles, session_id, refresh_token: token.into_text(), position: answer.position })
    }

    async fn not_delayed(
        &self,
        here: &mut Count,
        claim: Uuid,
        user_id: UserId,
        user: Option<&User>,
        from: AddressBlock,
    ) -> Result<(), IdentityError> {
        let known_device = match self.attempts.device(user_id, from) {
            Some(session_id) => self.is_live(user_id, session_id).await?,
            None => false,
        };
        let unlocked_at = user.and_then(User::unlocked_at);
        let circumstances = Circumstances { known_device, unlocked_at, now: self.world.clock.now() };
        match self.attempts.wait(here, claim, circumstances) {
            Some(wait) => Err(IdentityError::Delayed { retry_after: wait.to_std().unwrap_or_default() }),
            None => Ok(()),
        }
    }

    /// Records a wrong password in the background: an answer that waited for the log would reveal
    /// that the account exists. If too many are being recorded, it is only counted.
    fn note_wrong_password(&self, user_id: UserId, context: RequestContext) {
        metrics::counter!("jangbu_wrong_passwords_total").increment(1);
        let Ok(place) = Arc::clone(&self.notes).try_acquire_owned() else { return };
        let identity = self.clone();
        tokio::spawn(async move {
            let failed = RecordLoginFailure { user_id };
            if let Err(error) = identity.execute(failed, Actor::Anonymous, Scope::Any, None, context).await {
                tracing::warn!(%user_id, %error, "a wrong password could not be recorded");
            }
            drop(place);
        });
    }

    /// Exchanges a refresh token for the next one. If the same token comes again within a moment,
    /// it has the same successor, as long as that is unused. Later than that it counts as stolen,
    /// and its whole family ends.
    ///
    /// # Errors
    /// [`IdentityError::BadCredentials`] or a failure.
    pub async fn refresh(&self, refresh_token: &str, context: RequestContext) -> Result<LoggedIn, IdentityError> {
        let vault = &*self.world.vault;
        let presented = RefreshToken::parse(refresh_token).ok_or(IdentityError::BadCredentials)?;
        let session_id = presented.session_id();
        let session = self.memory.recent(StreamId::session(session_id)).await?;
        let user_id = session.get::<Session>().and_then(Session::user_id).ok_or(IdentityError::BadCredentials)?;
        let status = self.account(user_id).await?.filter(|status| status.active);
        let status = status.ok_or(IdentityError::BadCredentials)?;
        let next = presented.successor(vault);
        let rotate = RotateSession {
            session_id,
            presented_hash: presented.hash(),
            presented_generation: presented.generation(vault),
            next_hash: next.hash(),
        };
        let from = context.from;
        let answer = match self.execute(rotate, Actor::User(user_id), Scope::Any, None, context).await {
            Ok(answer) => answer,
            Err(CommandError::Refused(_)) => return Err(IdentityError::BadCredentials),
            Err(other) => return Err(other.into()),
        };
        if answer.events.iter().any(|event| is_end(event)) {
            self.memory.forget(StreamId::session(session_id));
            return Err(IdentityError::BadCredentials);
        }
        self.attempts.succeeded(user_id, session_id, from);
        let refresh_token = next.into_text();
        Ok(LoggedIn { user_id, roles: status.roles, session_id, refresh_token, position: answer.position })
    }

    /// Ends the session of a refresh token, which may be any token of its family. An invalid token
    /// is not an error: the caller is logged out either way.
    ///
    /// # Errors
    /// Only failures.
    pub async fn logout(&self, refresh_token: &str, context: RequestContext) -> Result<(), IdentityError> {
        let Some(token) = RefreshToken::parse(refresh_token) else { return Ok(()) };
        let session_id = token.session_id();
        let stream = StreamId::session(session_id);
        let known = self.memory.now(stream).await?;
        let Some(session) = known.get::<Session>() else { return Ok(()) };
        let Some(user_id) = session.user_id() else { return Ok(()) };
        if token.generation(&*self.world.vault).is_none() && !session.knows(&token.hash()) {
            return Ok(());
        }
        let end = EndSession { session_id, reason: SessionEndReason::LoggedOut };
        let ended = self.execute(end, Actor::User(user_id), Scope::Any, None, context).await;
        self.memory.forget(stream);
        match ended {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether a session of this user is live, at most a second ago.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_live(&self, user_id: UserId, session_id: SessionId) -> Result<bool, IdentityError> {
        let known = self.memory.recent(StreamId::session(session_id)).await?;
        let now: Timestamp = self.world.clock.now();
        let live = |session: &Session| session.user_id() == Some(user_id) && session.is_live(now);
        Ok(known.get::<Session>().is_some_and(live))
    }
}

fn is_end(event: &RecordedEvent) -> bool {
    matches!(DomainEvent::try_from(event), Ok(DomainEvent::Session(SessionEvent::Ended(_))))
}
