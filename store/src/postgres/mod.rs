//! The engine for several nodes: Postgres.
//!
//! A batch is one statement under the counter row (`append.rs`); appends have
//! connections of their own (`lanes.rs`), and so has what the decider reads; everything
//! else shares a bounded pool.
//! Other nodes' appends are noticed by `wakeups.rs`.

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

/// Added to the server's own limit before an answer counts as lost.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// How the engine is to be used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for everything but appending, at least 2.
    pub connections: u32,
    /// Connections for appending: how many batches may be on their way at once.
    pub lanes: u32,
    /// How long to wait for a free connection, or for a new one.
    pub acquire_timeout: Duration,
    /// The server ends a statement that takes longer.
    pub statement_timeout: Duration,
    /// The server ends a statement that waits longer for a lock.
    pub lock_timeout: Duration,
    /// For how long the outcome of an append is looked for after its answer was lost.
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

/// The Postgres engine. Clones share one handle; two calls of `connect` are two nodes.
///
/// End it with [`crate::Store::close`]: its background tasks keep it alive otherwise.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>, Reads);

/// On which connections a handle loads what is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// On the pool that everybody shares.
    Shared,
    /// On the decider's own lanes.
    Deciding,
}

/// Connections that the decider reads with: for what it loads, and for what it asks at the
/// end of a batch.
const DECIDING_LANES: u32 = 2;

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's settings hold a password.
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

struct Shared {
    pool: PgPool,
    lanes: Lanes,
    /// What the decider reads with, and nobody else.
    deciding: Lanes,
    options: Options,
    connect: Connect,
    head: HeadSignal,
    tail: Tail,
    handled: Handled,
    /// What the database must still have.
    known: Known,
    /// The last batch met what another node had written.
    contended: AtomicBool,
    /// Held by whoever reads into the tail what other nodes wrote.
    filling: tokio::sync::Mutex<()>,
    /// Set after an append of this node, to wake the others.
    appended: tokio::sync::Notify,
    stop: CancellationToken,
    /// Appends under way and the wake-up tasks; the close waits for them.
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
            head: HeadSignal::new(read::head(&pool).await.unwrap_or(0)),
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

    /// As [`PostgresStore::ask`], for what is written: nothing is when the log has gone back.
    async fn write<'a, T, F>(&'a self, question: impl Fn(&'a PgPool) -> F + Send) -> Result<T, LogError>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        self.0.known.still_there()?;
        self.ask(question).await
    }

    /// The rows of one statement, which may safely be asked twice, on the connections of
    /// this handle.
    async fn rows<'q>(
        &self,
        question: impl Fn() -> Query<'q, Postgres, PgArguments> + Send + Sync,
    ) -> Result<Vec<PgRow>, LogError> {
        if self.1 == Reads::Shared {
            return self.ask(|pool| question().fetch_all(pool)).await;
        }
        // At worst every idle lane is dead, and each is thrown away on the way.
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

    /// Asks the database something that may safely be asked twice: a pooled
    /// connection may turn out to have died while it was idle.
    async fn ask<'a, T, F>(&'a self, question: impl Fn(&'a PgPool) -> F + Send) -> Result<T, LogError>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        // At worst every idle connection is dead, and each is thrown away on the way.
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
