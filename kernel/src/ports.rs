//! Ports to what is not pure: clock, ids, keys, checkpoints, leases, the inbox and the timer queue.
//! Only the program and the tests choose their implementations.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::gateway::ParcelUnderWay;
use crate::ids::{NoticeId, OrderId, ReturnId, UserId};
use crate::log::LogError;
use crate::place::Position;
use crate::sealed::{Sealed, SealedAt};
use crate::stream::StreamId;
use crate::text;
use crate::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, cut to whole milliseconds.
    fn now(&self) -> Timestamp;
}

/// Makes ids.
pub trait IdSource: Send + Sync + 'static {
    /// A new UUID v7: ids of this source sort in the order in which they were made.
    fn new_id(&self) -> Uuid;
}

/// A postal address, in the clear. Wherever it is stored, it is sealed as JSON under its owner's
/// key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// The recipient's name.
    pub recipient: String,
    /// The recipient's telephone number.
    pub phone: String,
    /// Postal code.
    pub postal_code: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
}

/// Why an address cannot be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFault {
    /// The field, as in [`PostalAddress`].
    pub field: &'static str,
    /// One sentence for a person.
    pub detail: String,
}

impl PostalAddress {
    /// The greatest length of the recipient, the telephone number, the postal code and a line, in
    /// characters: what fits on a label.
    const LONGEST: [usize; 4] = [100, 32, 16, 200];

    /// What makes a label impossible, whichever carrier has the parcel. A [`Carrier`] adds its own
    /// rules.
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
    /// The owner's key is destroyed: the data is lost for good, by design.
    #[error("the key of this person is destroyed")]
    KeyDestroyed,
    /// The owner has no key yet.
    #[error("there is no key for this person")]
    NoKey,
    /// The ciphertext was altered, moved to another place, or sealed under another key.
    #[error("the sealed text does not open")]
    DoesNotOpen,
    /// The keys could not be read or written.
    #[error("the key store failed")]
    Store(#[source] LogError),
}

/// Seals and opens personal fields with AES-256-GCM under a key per user, which is wrapped by the
/// master key. Owner, field and stream are bound into the ciphertext.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Makes the key of a new user; a second call changes nothing.
    ///
    /// # Errors
    /// When the key store fails, or the key was destroyed.
    async fn create_key(&self, owner: UserId) -> Result<(), VaultError>;
    /// Removes the key of a user whose registration failed in the end; nothing that was sealed
    /// under it has been kept. A vault that stores no keys has nothing to do.
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
    /// Opens a sealed text at the place where it belongs. The text itself names its owner.
    ///
    /// # Errors
    /// When the key is gone or the text does not open.
    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError>;
    /// A keyed hash of a text, as a UUID v8. Equal texts have equal ids, and texts cannot be tried
    /// out without the master key. Used for claims on e-mail addresses.
    fn keyed_hash(&self, context: &str, text: &str) -> Uuid;
}

/// The durable store of keys, separate from the log. It has wrapped bytes only.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The wrapped key of a user. None: the user never had one; `Some(None)`: it was destroyed.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError>;
    /// Stores a wrapped key unless the user has one. Returns the key that is now valid; none if it
    /// was destroyed.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError>;
    /// Removes the key of a user whose registration failed, without a trace.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError>;
    /// Destroys the key of a user for good: what was sealed under it can never be opened again, and
    /// no other key is ever made for this user. Repeating it changes nothing.
    ///
    /// Each implementation documents how thoroughly its engine erases the key's bytes.
    ///
    /// # Errors
    /// When the store cannot be written, or overwriting the key could not be finished: try again
    /// then.
    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError>;
    /// A named wrapped secret of the shop itself, such as the token signing keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError>;
    /// Stores a named wrapped secret unless there is one. Returns the one that is now valid.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError>;
}

/// The durable progress of the readers of the log.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The position up to which the reader has done its work, at first 0.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn checkpoint(&self, reader: &str) -> Result<Position, LogError>;
    /// Moves the checkpoint forward; a lower position changes nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn advance(&self, reader: &str, position: Position) -> Result<(), LogError>;
}

/// Leases for work that one node at a time is to do. A lease saves the other nodes the same work,
/// but is not a lock: a node that was paused may go on for a moment after its lease has passed to
/// another one, so the work must be correct even if two nodes do it.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes a free lease or renews one's own, for `length` from now by the store's own clock.
    /// False if another holder has it. All holders of a lease use the same length.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError>;
    /// Returns a lease, so that another node can take it at once. A lease of another holder is left
    /// alone.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError>;
}

/// A message from outside, which is stored before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// Order of arrival; assigned by the store.
    pub sequence: u64,
    /// `payments/<gateway>` or `carriers/<carrier>`.
    pub source: String,
    /// The sender's id of the message: the same id from the same source means the same message.
    pub message_id: String,
    /// The headers of the message, and one that the inbox adds.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the body.
    pub body: Vec<u8>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How often handling it has failed.
    pub attempts: u32,
}

/// The durable inbox of messages from outside.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Stores a message; false if it was already stored. Its `sequence` is ignored.
    ///
    /// # Errors
    /// When the store cannot be written: do not acknowledge.
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError>;
    /// Messages not handled yet, oldest first, with fewer than `max_attempts` failures.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError>;
    /// Marks a message as handled. The mark is written with the next commit, or a moment later. If
    /// the program crashes before that, the message is pending again; on another node it may be
    /// pending for that moment.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError>;
    /// Counts a failed attempt to handle a message, and stores the reason.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError>;
}

/// A process that is parked, because something that it needs cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedProcess {
    /// The order whose process it is.
    pub order_id: OrderId,
    /// The stream that cannot be read: the process's own, or one of its order.
    pub stream: StreamId,
    /// What is wrong with the stream, for operators: types and positions, never a payload.
    pub reason: String,
    /// When it was first parked.
    pub parked_at: Timestamp,
}

/// The parked processes, durable. They cannot be recorded in their own streams, which may be
/// unreadable.
#[async_trait]
pub trait ParkedProcesses: Send + Sync + 'static {
    /// Parks a process; false if it was parked before, in which case the first reason stays.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError>;
    /// Parked processes in the order of their order ids, starting after the given one if there is
    /// one, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError>;
    /// The parked processes among these orders.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError>;
    /// The number of parked processes.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn parked_count(&self) -> Result<u64, LogError>;
    /// Removes a process from the list, so that it goes on.
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
    /// When it is due.
    pub due_at: Timestamp,
}

/// A points ledger with lapsed points that are not written off yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LapsedPoints {
    /// The owner of the ledger.
    pub user_id: UserId,
    /// When the first of the points lapsed.
    pub lapsed_at: Timestamp,
}

/// A return whose goods were not sent back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LapsedReturn {
    /// The return.
    pub return_id: ReturnId,
    /// By when the goods had to be on their way.
    pub lapsed_at: Timestamp,
}

/// The indexed tables of due times: read models of the processes' timer events, of the points
/// ledgers, of the returns and of the notices. They may be a moment behind the log.
#[async_trait]
pub trait TimerQueue: Send + Sync + 'static {
    /// Timers due at or before `now`, earliest first.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, LogError>;
    /// When the next timer is due, if there is one.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn next_due(&self) -> Result<Option<Timestamp>, LogError>;
    /// Points ledgers with points that lapsed at or before `now` and are not held for a payment, in
    /// the order of the time at which they lapsed.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn lapsed_points(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedPoints>, LogError>;
    /// Returns whose goods had to be on their way at or before `now` and are not, in the order of
    /// that time.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn lapsed_returns(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedReturn>, LogError>;
    /// Parcels that were dispatched and have not come to an end, the oldest of each status first, so many of each
    /// at most. None where nothing is known of parcels.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn parcels_under_way(&self, _: usize) -> Result<Vec<ParcelUnderWay>, LogError> {
        Ok(Vec::new())
    }
    /// Notices that were not delivered and are to be tried again at or before `now`, in the order of
    /// that time.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, LogError>;
}

/// The ports that most of the program needs, together.
#[derive(Clone)]
pub struct World {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// Seals and opens personal data.
    pub vault: Arc<dyn Vault>,
}
