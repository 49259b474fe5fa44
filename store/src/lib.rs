//! Floor 2, the durable data: the log and the rest (receipts, snapshots, wrapped keys, checkpoints,
//! leases, the inbox), on three engines behind the ports of [`jangbu_kernel::log`] and
//! [`jangbu_kernel::ports`].
//!
//! It moves envelopes and never sees the types of an aggregate. What never may live here: a rule of
//! the shop, a read model's table, a decision of any kind, and anything that names another crate
//! than the kernel.
//!
//! Where to start: [`Store`] is what an engine provides; `batch.rs` computes the result of a batch
//! of appends, the same for all three engines; then one engine, the smallest first: [`memory`],
//! [`sqlite`], [`postgres`]. The hash of an event is defined in [`hash`], the tree over the hashes
//! in [`merkle`], its maintenance in [`sealer`], its verification in [`verify`]. The tables are in
//! `migrations/sqlite` and `migrations/postgres`; the suite that tests all engines against one
//! contract is in `tests/contract`.
//!
//! Invariants: positions are 1..n without gaps in commit order; the versions of a stream are 1..n
//! without gaps; an append is stored as a whole or not at all; what was acknowledged survives a
//! kill of the process and a power cut; a row of the events table is never updated or deleted.

pub(crate) mod batch;
pub mod error;
pub(crate) mod handled;
pub mod hash;
pub(crate) mod head;
pub(crate) mod leases;
pub mod ledger;
pub mod memory;
pub mod merkle;

pub(crate) mod portable;
pub mod postgres;
pub mod row;
pub mod sealer;
pub mod sqlite;
pub(crate) mod tail;
pub mod verify;

pub use error::StoreError;
pub use ledger::{KeptReceipt, Ledger, Marks, Store, StoredFrontier, StrayEntry};
pub use memory::MemoryStore;
pub use merkle::MerkleFrontier;

pub use portable::Told;
pub use postgres::PostgresStore;
pub use sealer::{Sealer, SealerHealth, SealerOptions, SealingFails, seal_in_pages, seal_to_head};
pub use sqlite::SqliteStore;
pub use verify::{Flaw, Pages, Verification, verify_each, verify_log};

/// The number of positions that one call of `read_all` with a filter searches at most. It bounds
/// the work of a call whose filter matches nothing.
pub const FILTER_WINDOW: u64 = 20_000;
