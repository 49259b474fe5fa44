//! Messages that gateways and carriers send of their own accord.
//!
//! A message is checked by the adapter that the request names, stored, and only then acknowledged.
//! A message that was already stored is acknowledged, too. A message of a gateway that does not
//! sign proves nothing: it makes the worker ask that gateway, and is stored only if the gateway was
//! asked for a charge of the payment, so that strangers cannot fill the table. The worker of one
//! node at a time turns stored messages into commands, in the order of arrival for each payment and
//! parcel. A message that cannot be handled after several attempts stays, with the reason, for a
//! person to look at.

mod notice;
mod worker;

pub(crate) use worker::Failure;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::gateway::{CarrierNews, Observation, WebhookError};
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
    /// Failed attempts after which a message is left to a person.
    pub max_attempts: u32,
    /// The pause before the second attempt; it doubles with each one.
    pub retry_first: Duration,
    /// The longest pause between two attempts.
    pub retry_longest: Duration,
    /// How often the worker polls for messages that another node stored.
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

/// The dependencies of the inbox.
#[derive(Clone)]
pub struct InboxDeps {
    /// The decider.
    pub commands: Commands,
    /// The durable inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Decides which node's worker is active.
    pub lease: LeaseHolder,
    /// Clock, ids and vault.
    pub world: World,
    /// The gateways whose messages are accepted.
    pub gateways: Arc<Gateways>,
    /// The carriers whose messages are accepted.
    pub carriers: Arc<Carriers>,
    /// The limits of the inbox.
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

/// A message that is stored and may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whether all its notices had been stored before.
    pub duplicate: bool,
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// No adapter has this name.
    #[error("nobody by this name is known")]
    UnknownSource,
    /// The signature is missing, wrong or too old.
    #[error("the signature does not hold")]
    BadSignature,
    /// It is signed, but not a known message.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    /// It could not be stored: the sender has to send it again.
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

impl From<Failure> for HookError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(_) => Self::Unavailable,
            Failure::Message(reason) => Self::Unreadable(reason),
        }
    }
}

/// Accepts messages. Clones share one inbox.
#[derive(Clone)]
pub struct Hooks {
    deps: Arc<InboxDeps>,
    news: Arc<Notify>,
}

impl Hooks {
    /// Starts the worker, and returns the handle that accepts messages. When the worker is stopped,
    /// it finishes its current messages. Stop it before the decider.
    #[must_use]
    pub fn spawn(deps: InboxDeps) -> (Self, Worker) {
        let hooks = Self { deps: Arc::new(deps), news: Arc::new(Notify::new()) };
        let (deps, news) = (Arc::clone(&hooks.deps), Arc::clone(&hooks.news));
        (hooks, Worker::spawn("the inbox", |stop| worker::run(deps, news, stop)))
    }

    /// Accepts a webhook of a payment gateway: its headers and the exact bytes of the body.
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
        // Each notice is stored separately. If one is not stored, the sender repeats all of them,
        // and those that were stored are recognized.
        for notice in adapter.read_webhook(&headers, &body)? {
            if notice.observation == Observation::Ask {
                // Anybody can send it, so it is stored only if there is a charge to ask about.
                worker::charge_at(&self.deps, notice.payment_id, gateway).await.map_err(HookError::from)?;
            }
            let notice = Notice::of_gateway(notice);
            accepted.duplicate &= self.keep(source.clone(), notice, headers.clone(), body.clone()).await?.duplicate;
        }
        Ok(accepted)
    }

    /// Accepts a webhook of a carrier: its headers, the query of its address and the exact bytes of the body.
    ///
    /// # Errors
    /// [`HookError`]: nothing was stored, do not acknowledge.
    pub async fn receive_carrier(
        &self,
        carrier: &str,
        headers: Vec<(String, String)>,
        query: &str,
        body: Vec<u8>,
    ) -> Result<Accepted, HookError> {
        let adapter = self.deps.carriers.get(carrier).ok_or(HookError::UnknownSource)?;
        let notice = match adapter.read_news(&headers, query, &body)? {
            CarrierNews::Told(notice) => Notice::of_carrier(notice)?,
            CarrierNews::Ask { message_id, shipment_id } => {
                // It is stored only if there is a parcel to ask about.
                worker::parcel(&self.deps, shipment_id).await.map_err(HookError::from)?;
                Notice::Look { message_id, shipment_id }
            }
        };
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
        // A header of this name from the sender must not be mistaken for our own.
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
