//! The engine for several nodes: Postgres.
//!
//! A batch is one statement under the counter row (`append.rs`). Appends have connections of their
//! own (`lanes.rs`), and so have the reads of the decider; everything else shares a bounded pool.
//! Appends of other nodes are noticed by `wakeups.rs`.

mod append;
mod columns;
mod connect;
mod copy;
mod evidence;
mod known;
mod lanes;
mod ports;
mod read;
mod setup;
mod wakeups;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jangbu_kernel::Position;
use jangbu_kernel::log::LogError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::StoreError;
use crate::handled::Handled;
use crate::head::HeadSignal;
use crate::tail::Tail;
use connect::Connect;
use known::Known;
use lanes::Lanes;
#[cfg(test)]
pub(crate) use setup::scripts;

/// Added to the server's own time limit before an answer counts as lost.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// Options of the engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for everything except appending, at least 2.
    pub connections: u32,
    /// Connections for appending, which is also the number of batches that can be in flight at
    /// once.
    pub lanes: u32,
    /// How long to wait for a free connection, or for a new one.
    pub acquire_timeout: Duration,
    /// The server cancels a statement that takes longer.
    pub statement_timeout: Duration,
    /// The server cancels a statement that waits longer for a lock.
    pub lock_timeout: Duration,
    /// For how long to search for the outcome of an append whose answer was lost.
    pub resolve_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 8,
            lanes: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            resolve_timeout: Duration::from_secs(15),
        }
    }
}

/// The Postgres engine. Clones share one handle; two calls of `connect` make two nodes.
///
/// End it with [`crate::Store::close`], because its background tasks keep it alive otherwise.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>, Reads);

/// The connections on which a handle loads what a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The shared pool.
    Shared,
    /// The lanes of the decider.
    Deciding,
}

/// Connections that the decider reads with: one for loading, and one for the checks at the end of a
/// batch.
const DECIDING_LANES: u32 = 2;

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's options contain a password.
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

struct Shared {
    pool: PgPool,
    lanes: Lanes,
    /// The lanes of the decider, used by nothing else.
    deciding: Lanes,
    options: Options,
    connect: Connect,
    head: HeadSignal,
    tail: Tail,
    handled: Handled,
    /// What the database must still have.
    known: Known,
    /// Whether the last batch had a conflict with another node.
    contended: AtomicBool,
    /// Held while events of other nodes are read into the tail.
    filling: tokio::sync::Mutex<()>,
    /// Notified after an append of this node, to wake the other nodes.
    appended: tokio::sync::Notify,
    stop: CancellationToken,
    /// Running appends and the wake-up tasks; closing waits for them.
    tasks: TaskTracker,
}

impl PostgresStore {
    /// Connects. Tables are made by [`crate::Store::migrate`].
    ///
    /// # Errors
    /// When the URL is malformed, the server does not answer, or the store is
    /// newer than this program.
    pub async fn connect(url: &str, options: Options) -> Result<Self, StoreError> {
        let connect = Connect::to(url, &options)?;
        connect.inspect(options.acquire_timeout).await?;
        let pool = setup::pool(&connect, &options).await?;
        setup::refuse_newer(&pool).await?;
        setup::warn_if_commits_are_not_durable(&pool).await;
        let shared = Arc::new(Shared {
            lanes: Lanes::new(connect.clone(), options.lanes, options.acquire_timeout),
            deciding: Lanes::new(connect.clone(), DECIDING_LANES, options.acquire_timeout),
            head: HeadSignal::new(read::head(&pool).await.unwrap_or(Position::ZERO)),
            tail: Tail::default(),
            handled: Handled::default(),
            known: Known::default(),
            contended: AtomicBool::new(false),
            filling: tokio::sync::Mutex::default(),
            pool,
            options,
            connect,
            appended: tokio::sync::Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        wakeups::spawn(&shared);
        Ok(Self(shared, Reads::Shared))
    }

    /// Like [`PostgresStore::ask`], for writes. It refuses to write if the log has gone back.
    async fn write<'a, T, F>(&'a self, question: impl Fn(&'a PgPool) -> F + Send) -> Result<T, LogError>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        self.0.known.still_there()?;
        self.ask(question).await
    }

    /// The rows of one statement, which must be safe to repeat, on the connections of this handle.
    async fn rows<'q>(
        &self,
        question: impl Fn() -> Query<'q, Postgres, PgArguments> + Send + Sync,
    ) -> Result<Vec<PgRow>, LogError> {
        if self.1 == Reads::Shared {
            return self.ask(|pool| question().fetch_all(pool)).await;
        }
        // In the worst case every idle lane is dead, and each is discarded by one attempt.
        for _ in 0..DECIDING_LANES {
            match self.rows_on_lane(question()).await? {
                Err(error) if setup::is_connection_loss(&error) => {}
                answered => return answered.map_err(setup::log_error),
            }
        }
        self.rows_on_lane(question()).await?.map_err(setup::log_error)
    }

    async fn rows_on_lane(
        &self,
        question: Query<'_, Postgres, PgArguments>,
    ) -> Result<Result<Vec<PgRow>, sqlx::Error>, LogError> {
        let mut lane = self.0.deciding.take().await?;
        let limit = self.0.options.statement_timeout + ANSWER_GRACE;
        let answered = tokio::time::timeout(limit, question.fetch_all(&mut lane.connection)).await;
        let answered = answered.map_err(|_| LogError::Unavailable("the database does not answer".into(), None))?;
        if answered.is_ok() {
            lane.give_back();
        }
        Ok(answered)
    }

    /// Runs something that is safe to repeat: a pooled connection may have died while it was idle.
    async fn ask<'a, T, F>(&'a self, question: impl Fn(&'a PgPool) -> F + Send) -> Result<T, LogError>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        // In the worst case every idle connection is dead, and each is discarded by one attempt.
        let mut attempts = self.0.options.connections + 1;
        loop {
            attempts -= 1;
            match question(&self.0.pool).await {
                Err(error) if attempts > 0 && setup::is_connection_loss(&error) => {}
                Err(sqlx::Error::PoolTimedOut) => return Err(connect::why_none_came_free(&self.0).await),
                other => return other.map_err(setup::log_error),
            }
        }
    }
}
