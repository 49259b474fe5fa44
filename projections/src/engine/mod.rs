//! Where rows are stored: SQLite or Postgres behind one small interface.
//!
//! An engine can run a statement, write many rows at once, and do both in one transaction that is
//! fenced by an epoch. The statements are the same for both engines: SQL that both understand, with
//! `$1`, `$2`, ... for parameters.

mod anew;
pub(crate) mod meta;
mod postgres;
mod schema;
mod sqlite;

use std::sync::Arc;

use crate::health::Health;
use crate::view::{Key, Kind, Value, ViewSpec};

pub(crate) use postgres::PostgresEngine;
pub use sqlite::Boot;
pub(crate) use sqlite::{SqliteEngine, forget_file, is_trustworthy, is_unreadable};

/// Why an engine failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    /// A newer projector has taken over; nothing was written.
    #[error("a newer projector has taken over")]
    Fenced,
    /// The database cannot be reached, or refuses the statement.
    #[error("the read models are unavailable: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("the read models are unavailable: {0}")]
    Full(String),
    /// What is stored cannot be read.
    #[error("the read models are damaged: {0}")]
    Corrupt(String),
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub sql: String,
    pub params: Vec<Value>,
}

/// Makes a statement.
pub(crate) fn sql(sql: impl Into<String>, params: Vec<Value>) -> Statement {
    Statement { sql: sql.into(), params }
}

/// A row to be written: key columns, then the others, and the document.
#[derive(Clone, Debug)]
pub(crate) struct RowWrite {
    pub values: Vec<Value>,
    pub doc: String,
    /// Whether the table may have a row at the key already.
    pub stored: bool,
}

/// What is to be written to one table.
#[derive(Debug)]
pub(crate) struct TableWrite {
    pub table: String,
    pub spec: &'static ViewSpec,
    pub upserts: Vec<RowWrite>,
    pub deletes: Vec<Key>,
    /// Whether the table has its secondary indexes. The terms of a table without them are written
    /// when the indexes are created.
    pub indexed: bool,
}

impl TableWrite {
    /// The same, in parts of at most this many rows.
    pub fn pieces(self, rows: usize) -> impl Iterator<Item = Self> {
        let Self { table, spec, upserts, deletes, indexed } = self;
        let (mut upserts, mut deletes) = (upserts.into_iter(), deletes.into_iter());
        std::iter::from_fn(move || {
            let upserts: Vec<_> = upserts.by_ref().take(rows).collect();
            let deletes: Vec<_> = deletes.by_ref().take(rows - upserts.len()).collect();
            let left = !upserts.is_empty() || !deletes.is_empty();
            left.then(|| Self { table: table.clone(), spec, upserts, deletes, indexed })
        })
    }
}

/// A step of a transaction.
#[derive(Debug)]
pub(crate) enum Step {
    Run(Statement),
    Write(TableWrite),
}

/// Rows of a select, with the columns in the order of the query.
pub(crate) type Rows = Vec<Vec<Value>>;

/// A database engine. Clones share its connections.
#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(SqliteEngine),
    Postgres(PostgresEngine),
}

impl Engine {
    /// What this process knows to be wrong with the stored data.
    pub fn health(&self) -> &Arc<Health> {
        match self {
            Self::Sqlite(engine) => engine.health(),
            Self::Postgres(engine) => engine.health(),
        }
    }

    /// Notes damage that an operation has found.
    pub fn noted<T>(&self, outcome: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(EngineError::Corrupt(what)) = &outcome {
            self.note_damage(what);
        }
        outcome
    }

    /// Notes that stored data cannot be read.
    pub fn note_damage(&self, what: &str) {
        if self.health().damaged(what) {
            tracing::error!(
                reason = what,
                "the read models are damaged: {what}; build them anew with `jangbu replay --from-scratch`, or start the server again"
            );
            if let Self::Sqlite(engine) = self {
                engine.remember_damage();
            }
        }
    }

    /// Runs a query; `kinds` are the types of its columns.
    pub async fn select(&self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        self.noted(match self {
            Self::Sqlite(engine) => engine.select(statement, kinds).await,
            Self::Postgres(engine) => engine.select(statement, kinds).await,
        })
    }

    /// Runs all steps or none. With an epoch: only if it is still the newest.
    pub async fn transaction(&self, epoch: Option<i64>, steps: Vec<Step>) -> Result<(), EngineError> {
        self.noted(match self {
            Self::Sqlite(engine) => engine.transaction(epoch, steps).await,
            Self::Postgres(engine) => engine.transaction(epoch, steps).await,
        })
    }

    /// The documents of these keys, in the order of the keys.
    pub async fn load(
        &self,
        table: &str,
        spec: &'static ViewSpec,
        keys: Vec<Key>,
    ) -> Result<Vec<Option<String>>, EngineError> {
        self.noted(match self {
            Self::Sqlite(engine) => engine.load(table.to_owned(), spec, keys).await,
            Self::Postgres(engine) => engine.load(table, spec, &keys).await,
        })
    }

    /// Takes a snapshot: its queries all see the state at this call, whenever they run.
    pub async fn freeze(&self) -> Result<Frozen, EngineError> {
        match self {
            Self::Sqlite(engine) => engine.freeze().await.map(Frozen::Sqlite),
            Self::Postgres(engine) => engine.freeze().await.map(Frozen::Postgres),
        }
    }

    /// The name of a table in this engine's SQL.
    pub fn table(&self, name: &str) -> String {
        match self {
            Self::Sqlite(_) => name.to_owned(),
            Self::Postgres(engine) => engine.table(name),
        }
    }

    /// Rows that a rebuild writes in one transaction. The embedded engine has one writer, so the
    /// live projector waits for at most this many rows; on Postgres a commit costs more than its
    /// rows.
    pub const fn rows_at_once(&self) -> usize {
        match self {
            Self::Sqlite(_) => 2_000,
            Self::Postgres(_) => 20_000,
        }
    }

    /// The database's own clock, milliseconds since 1970.
    pub const fn now_ms(&self) -> &'static str {
        match self {
            Self::Sqlite(engine) => engine.now_ms(),
            Self::Postgres(_) => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(engine) => engine.close().await,
            Self::Postgres(engine) => engine.close().await,
        }
    }
}

/// A snapshot that queries run on.
pub(crate) enum Frozen {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
}

impl Frozen {
    /// Runs a query.
    pub async fn select(&mut self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        match self {
            Self::Sqlite(snapshot) => snapshot.select(statement, kinds).await,
            Self::Postgres(snapshot) => snapshot.select(statement, kinds).await,
        }
    }
}
