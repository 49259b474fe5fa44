//! What gateways and carriers tell of their own accord.
//!
//! A message is checked by the adapter it names itself to be of, stored, and only then
//! acknowledged; a message that was here before is acknowledged too. One of a gateway that does
//! not sign proves nothing: it makes the worker ask that gateway, and is kept only where that
//! gateway was asked for a charge, so that strangers fill no table with it. The worker of one
//! node at a time turns stored messages into commands, in the order of arrival for each
//! payment and parcel. A message that cannot be handled after some tries stays, with its reason,
//! for a person to look at.

mod notice;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::gateway::{Observation, WebhookError};
use jangbu_kernel::ports::{Inbox, InboxMessage, World};
use tokio::sync::Notify;

use crate::adapters::{Carriers, Gateways};
use crate::decider::Commands;
use crate::lease::LeaseHolder;
use crate::worker::Worker;
use crate::workers::WorkerDeps;
use notice::Notice;

/// The limits of the inbox.
#[derive(Clone, Debug)]
pub struct InboxOptions {
    /// Messages that the worker takes at a time.
    pub page: usize,
    /// Failures after which a message is left to a person.
    pub max_attempts: u32,
    /// Wait before the second try; it doubles with each.
    pub retry_first: Duration,
    /// The longest wait between two tries.
    pub retry_longest: Duration,
    /// How often the worker looks for messages that another node took in.
    pub poll: Duration,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            page: 256,
            max_attempts: 10,
            retry_first: Duration::from_millis(200),
            retry_longest: Duration::from_secs(60),
            poll: Duration::from_millis(250),
        }
    }
}

/// What the inbox works with.
#[derive(Clone)]
pub struct InboxDeps {
    /// The decider.
    pub commands: Commands,
    /// The durable inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Says which node's worker works.
    pub lease: LeaseHolder,
    /// Clock, ids and vault.
    pub world: World,
    /// The gateways whose messages are taken.
    pub gateways: Arc<Gateways>,
    /// The carriers whose messages are taken.
    pub carriers: Arc<Carriers>,
    /// Its limits.
    pub options: InboxOptions,
}

impl From<&WorkerDeps> for InboxDeps {
    fn from(deps: &WorkerDeps) -> Self {
        Self {
            commands: deps.commands.clone(),
            inbox: Arc::clone(&deps.inbox),
            lease: deps.lease.clone(),
            world: deps.world.clone(),
            gateways: Arc::clone(&deps.gateways),
            carriers: Arc::clone(&deps.carriers),
            options: deps.receiving.clone(),
        }
    }
}

/// A message is stored and may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// All that it says had been stored before.
    pub duplicate: bool,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// No adapter has this name.
    #[error("nobody by this name is known")]
    UnknownSource,
    /// No signature, a wrong one, or one that is too old.
    #[error("the signature does not hold")]
    BadSignature,
    /// Signed, but not a message that is known here.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    /// It could not be stored: the sender is to send it again.
    #[error("the message cannot be stored now")]
    Unavailable,
}

impl From<WebhookError> for HookError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::BadSignature => Self::BadSignature,
            WebhookError::Unreadable(reason) => Self::Unreadable(reason),
        }
    }
}

impl From<worker::Failure> for HookError {
    fn from(failure: worker::Failure) -> Self {
        match failure {
            worker::Failure::Transient(_) => Self::Unavailable,
            worker::Failure::Message(reason) => Self::Unreadable(reason),
        }
    }
}

/// Takes messages in. A cheap handle.
#[derive(Clone)]
pub struct Hooks {
    deps: Arc<InboxDeps>,
    news: Arc<Notify>,
}

impl Hooks {
    /// Starts the worker; gives the handle that takes messages in. The worker finishes the
    /// messages in hand when it is stopped. Stop it before the decider.
    #[must_use]
    pub fn spawn(deps: InboxDeps) -> (Self, Worker) {
        let hooks = Self { deps: Arc::new(deps), news: Arc::new(Notify::new()) };
        let (deps, news) = (Arc::clone(&hooks.deps), Arc::clone(&hooks.news));
        (hooks, Worker::spawn("the inbox", |stop| worker::run(deps, news, stop)))
    }

    /// Takes in what a payment gateway tells: its headers and the exact bytes of the body.
    ///
    /// # Errors
    /// [`HookError`]: nothing was stored, do not acknowledge.
    pub async fn receive_payment(
        &self,
        gateway: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Accepted, HookError> {
        let adapter = self.deps.gateways.get(gateway).ok_or(HookError::UnknownSource)?;
        let source = format!("payments/{gateway}");
        let mut accepted = Accepted { duplicate: true };
        // Each is stored by itself. The sender repeats all of them when one is not, and those
        // that were stored are known then.
        for notice in adapter.read_webhook(&headers, &body)? {
            if notice.observation == Observation::Ask {
                // Anybody can send it: it is kept only where there is a charge to ask about.
                worker::charge_at(&self.deps, notice.payment_id, gateway).await.map_err(HookError::from)?;
            }
            let notice = Notice::of_gateway(notice);
            accepted.duplicate &= self.keep(source.clone(), notice, headers.clone(), body.clone()).await?.duplicate;
        }
        Ok(accepted)
    }

    /// Takes in what a carrier tells: its headers and the exact bytes of the body.
    ///
    /// # Errors
    /// [`HookError`]: nothing was stored, do not acknowledge.
    pub async fn receive_carrier(
        &self,
        carrier: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Accepted, HookError> {
        let adapter = self.deps.carriers.get(carrier).ok_or(HookError::UnknownSource)?;
        let notice = Notice::of_carrier(adapter.read_webhook(&headers, &body)?)?;
        self.keep(format!("carriers/{carrier}"), notice, headers, body).await
    }

    async fn keep(
        &self,
        source: String,
        notice: Notice,
        mut headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Accepted, HookError> {
        let message_id = notice.message_id().to_owned();
        // A sender's own header of this name must not pass for our reading.
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(notice::HEADER));
        headers.push((notice::HEADER.to_owned(), notice.to_json()));
        let received_at = self.deps.world.clock.now();
        let message = InboxMessage { sequence: 0, source, message_id, headers, body, received_at, attempts: 0 };
        match self.deps.inbox.store(message).await {
            Ok(new) => {
                metrics::counter!("jangbu_inbox_messages_total", "outcome" => if new { "stored" } else { "duplicate" })
                    .increment(1);
                self.news.notify_one();
                Ok(Accepted { duplicate: !new })
            }
            Err(error) => {
                tracing::error!(%error, "a message from outside cannot be stored");
                Err(HookError::Unavailable)
            }
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
