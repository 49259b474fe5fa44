//! Where rows are kept: SQLite or Postgres behind one small interface.
//!
//! An engine knows how to run a statement, how to write many rows at once, and how
//! to do both in one transaction that is fenced by an epoch. What the statements are
//! is the same for both: SQL that both speak, with `$1`, `$2`, ... for parameters.

mod anew;
mod checkpoint;
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

/// Why an engine could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    /// A newer projector has taken over: nothing was written.
    #[error("a newer projector has taken over")]
    Fenced,
    /// The database cannot be reached, or refuses.
    #[error("the read models are unavailable: {0}")]
    Unavailable(String),
    /// There is no room on the disk.
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
    /// Whether the table has its secondary indexes. What is kept beside the rows of one
    /// that has not is made with them.
    pub indexed: bool,
}

impl TableWrite {
    /// The same, in parts of so many rows at most.
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

/// Rows of a select, column by column as asked.
pub(crate) type Rows = Vec<Vec<Value>>;

/// An engine. Clones share one.
#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(SqliteEngine),
    Postgres(PostgresEngine),
}

impl Engine {
    /// What is known to be wrong with what is stored.
    pub fn health(&self) -> &Arc<Health> {
        match self {
            Self::Sqlite(engine) => engine.health(),
            Self::Postgres(engine) => engine.health(),
        }
    }

    /// Takes note of what cannot be read, whoever finds it.
    pub fn noted<T>(&self, outcome: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(EngineError::Corrupt(what)) = &outcome {
            self.note_damage(what);
        }
        outcome
    }

    /// Takes note of something that cannot be read.
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

    /// The documents under some keys, in the order asked.
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

    /// Queries that all see the moment of this call, whenever they are run.
    pub async fn freeze(&self) -> Result<Frozen, EngineError> {
        match self {
            Self::Sqlite(engine) => engine.freeze().await.map(Frozen::Sqlite),
            Self::Postgres(engine) => engine.freeze().await.map(Frozen::Postgres),
        }
    }

    /// How this engine names a table in SQL.
    pub fn table(&self, name: &str) -> String {
        match self {
            Self::Sqlite(_) => name.to_owned(),
            Self::Postgres(engine) => engine.table(name),
        }
    }

    /// Rows that a rebuild writes at once. The embedded engine has one writer, and the live
    /// projector waits for so many at most; on Postgres a commit costs more than its rows.
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

/// Queries on one moment.
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
