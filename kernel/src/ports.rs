//! Ports to what is not pure: clock, ids, keys, checkpoints, leases, the inbox and the
//! timer queue. Only the program and the tests choose what stands behind them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{OrderId, UserId};
use crate::log::LogError;
use crate::sealed::{Sealed, SealedAt};
use crate::stream::StreamId;
use crate::text;
use crate::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, cut to whole milliseconds.
    fn now(&self) -> Timestamp;
}

/// Mints ids.
pub trait IdSource: Send + Sync + 'static {
    /// A new UUID v7: later ones sort behind earlier ones of this source.
    fn new_id(&self) -> Uuid;
}

/// A postal address, opened. Sealed as JSON under its owner's key wherever it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// Who receives.
    pub recipient: String,
    /// How to reach them.
    pub phone: String,
    /// Postal code.
    pub postal_code: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
}

/// Why nobody could send anything to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFault {
    /// The field, as in [`PostalAddress`].
    pub field: &'static str,
    /// One sentence for a person.
    pub detail: String,
}

impl PostalAddress {
    /// Longest recipient, telephone number, postal code and line, in characters: what fits on
    /// a label.
    const LONGEST: [usize; 4] = [100, 32, 16, 200];

    /// What no label can be made of, whoever carries the parcel. A [`Carrier`] adds its own
    /// rules to these.
    ///
    /// [`Carrier`]: crate::gateway::Carrier
    #[must_use]
    pub fn faults(&self) -> Vec<AddressFault> {
        let [recipient, phone, postal_code, line] = Self::LONGEST;
        let fields = [
            ("recipient", Some(&self.recipient), recipient),
            ("phone", Some(&self.phone), phone),
            ("postal_code", Some(&self.postal_code), postal_code),
            ("line1", Some(&self.line1), line),
            ("line2", self.line2.as_ref(), line),
        ];
        let given = fields.into_iter().filter_map(|(field, text, longest)| Some((field, text?, longest)));
        let unfit = given.filter(|(_, text, longest)| text::is_blank(text) || text.chars().count() > *longest);
        unfit
            .map(|(field, _, longest)| AddressFault { field, detail: format!("expected 1 to {longest} characters") })
            .collect()
    }
}

impl std::fmt::Debug for PostalAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostalAddress(..)")
    }
}

/// Why personal data could not be sealed or opened.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The owner's key is destroyed: the data is gone for good, by design.
    #[error("the key of this person is destroyed")]
    KeyDestroyed,
    /// The owner has no key yet.
    #[error("there is no key for this person")]
    NoKey,
    /// The ciphertext was altered, moved to another place or sealed under another key.
    #[error("the sealed text does not open")]
    DoesNotOpen,
    /// The keys could not be read or written.
    #[error("the key store failed")]
    Store(#[source] LogError),
}

/// Seals and opens personal fields: AES-256-GCM under a key per user, each key
/// wrapped by the master key. Owner, field and stream are bound into the ciphertext.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Makes the key of a new user, once; a second call changes nothing.
    ///
    /// # Errors
    /// When the key store fails, or the key was destroyed.
    async fn create_key(&self, owner: UserId) -> Result<(), VaultError>;
    /// Takes back the key of somebody who did not come into being after all: nothing was
    /// ever sealed under it that anybody kept. A vault that keeps no keys has nothing to do.
    ///
    /// # Errors
    /// When the key store fails.
    async fn discard_key(&self, _owner: UserId) -> Result<(), VaultError> {
        Ok(())
    }
    /// Seals a text.
    ///
    /// # Errors
    /// When the owner has no key or the key store fails.
    async fn seal(&self, owner: UserId, at: SealedAt<'_>, plain: &str) -> Result<Sealed, VaultError>;
    /// Opens a sealed text where it belongs. The owner is read from the text.
    ///
    /// # Errors
    /// When the key is gone or the text does not open.
    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError>;
    /// A keyed hash of a text, as a UUID v8: equal texts give equal ids, and
    /// without the master key nothing can be tried out. For claims on addresses.
    fn keyed_hash(&self, context: &str, text: &str) -> Uuid;
}

/// Durable truth about keys, beside the log. Wrapped bytes only.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The wrapped key of a user; `Some(None)`: it was destroyed.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError>;
    /// Keeps a wrapped key unless the user has one; answers with the one that counts.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError>;
    /// Removes the key of a user who did not come into being, without a trace.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError>;
    /// Destroys the key of a user for good: what was sealed under it can never be opened again,
    /// and no other key is ever made for this user. Doing it again changes nothing.
    ///
    /// How much the engine does for the key's bytes to be gone is said where it is implemented.
    ///
    /// # Errors
    /// When the store cannot be written, or what it wrote over the key could not be finished:
    /// do it again then.
    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError>;
    /// A named wrapped secret of the shop itself (token signing keys).
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError>;
    /// Keeps a named wrapped secret unless there is one; answers with the one that counts.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError>;
}

/// How far a reader of the log has come, durable.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The position up to which the reader has done its work, 0 at first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn checkpoint(&self, reader: &str) -> Result<u64, LogError>;
    /// Moves the checkpoint forward; an older value changes nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn advance(&self, reader: &str, position: u64) -> Result<(), LogError>;
}

/// Work that one node at a time is to do. A lease spares the others the same work; it is
/// no lock: a node that was paused may go on for a moment after its lease has passed to another,
/// so the work must be right when two nodes do it.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes a lease that nobody holds, or renews one's own, for so long from now on by the
    /// store's own clock. False when another holds it. All ask for a lease with one length.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError>;
    /// Gives a lease back, so that another may have it at once; nothing happens to one that
    /// is another's.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError>;
}

/// A message from outside, stored before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// Order of arrival; assigned by the store.
    pub sequence: u64,
    /// `payments/<gateway>` or `carriers/<carrier>`.
    pub source: String,
    /// The sender's id of the message: the same id from the same source is one message.
    pub message_id: String,
    /// The headers that were signed, and the exact body.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the body.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// How often handling it has failed.
    pub attempts: u32,
}

/// The durable inbox of messages from outside.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Stores a message; false when it was here before. Its `sequence` is ignored.
    ///
    /// # Errors
    /// When the store cannot be written: do not acknowledge.
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError>;
    /// Messages not handled yet, oldest first, with fewer than `max_attempts` failures.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError>;
    /// Marks a message as handled. The mark is written with whatever is committed next, or a
    /// moment later: after a crash in between the message is pending once more, and on
    /// another node it may be for that moment.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError>;
    /// Counts a failure to handle a message, and keeps the reason.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError>;
}

/// A process that is left alone, because something that it needs cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedProcess {
    /// Whose process.
    pub order_id: OrderId,
    /// The stream that cannot be read: the process's own, or one of its order.
    pub stream: StreamId,
    /// What is wrong with it, for operators; types and positions, never a payload.
    pub reason: String,
    /// When it was first left alone.
    pub parked_at: Timestamp,
}

/// The processes that are left alone, durable. Their own streams cannot say so.
#[async_trait]
pub trait ParkedProcesses: Send + Sync + 'static {
    /// Keeps one; false when it was kept before, and then the first reason stays.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError>;
    /// Those behind an order's id, all of them when none is given, in the order of their
    /// ids, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError>;
    /// Those among these orders.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError>;
    /// How many there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked_count(&self) -> Result<u64, LogError>;
    /// Forgets one, which goes on.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn release(&self, order_id: OrderId) -> Result<(), LogError>;
}

/// A timer of a process that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTimer {
    /// The process's stream.
    pub stream: StreamId,
    /// The timer's name within the process.
    pub timer: String,
    /// When it was to ring.
    pub due_at: Timestamp,
}

/// A points ledger of which something has lapsed and is not written off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LapsedPoints {
    /// Whose.
    pub user_id: UserId,
    /// When the first of it lapsed.
    pub lapsed_at: Timestamp,
}

/// The indexed tables of due times, read models over the processes' timer events and over the
/// points ledgers. They may be a moment behind the log.
#[async_trait]
pub trait TimerQueue: Send + Sync + 'static {
    /// Timers due at or before `now`, earliest first.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, LogError>;
    /// When the next timer is due, if any is set.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn next_due(&self) -> Result<Option<Timestamp>, LogError>;
    /// Points ledgers of which something that no payment holds lapsed at or before `now`, by
    /// when that was.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn lapsed_points(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedPoints>, LogError>;
}

/// The ports that most of the house is given together.
#[derive(Clone)]
pub struct World {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Mints ids.
    pub ids: Arc<dyn IdSource>,
    /// Seals and opens personal data.
    pub vault: Arc<dyn Vault>,
}
