//! The handle on the read models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{Clock, DueTimer, LapsedPoints, TimerQueue};
use jangbu_kernel::{AggregateKind, StreamId, Timestamp, UserId};
use tokio::sync::watch;

use crate::engine::{
    Boot, Engine, EngineError, PostgresEngine, SqliteEngine, forget_file, is_trustworthy, is_unreadable, sql,
};
use crate::queries::{Queries, QueryError};
use crate::view::{Kind, Value};

/// The file of the embedded read models, in the data folder. It can be deleted: the
/// log gives it back.
pub const FILE: &str = "views.db";

/// Connections that a comparison needs: for the frozen moment, and for what is asked beside it.
const READING_CONNECTIONS: u32 = 2;

/// How read models are opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections: readers of the embedded file, or the pool on Postgres.
    pub connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 8 }
    }
}

/// The read models. Clones share one engine; the projector writes, everybody reads.
#[derive(Clone)]
pub struct ReadModels {
    pub(crate) engine: Engine,
    /// What this process's projector has written; None while there is none here.
    pub(crate) published: watch::Sender<Option<u64>>,
}

impl ReadModels {
    /// Opens or makes the embedded read models in a data folder, also beside a running
    /// server.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open_sqlite(dir: &Path, options: Options) -> Result<Self, QueryError> {
        Self::open_file(dir, options, None).await
    }

    /// The same, for the process that has the log open to write: what cannot be read, or was
    /// in use when the machine went down, is thrown away, the log gives it back. Nothing is
    /// synced until the read models are closed.
    ///
    /// # Errors
    /// When the file cannot be opened or replaced.
    pub async fn own_sqlite(dir: &Path, options: Options) -> Result<Self, QueryError> {
        Self::own_sqlite_on(dir, options, Boot::current()).await
    }

    /// The same, on a machine that is told what it is called since it was started.
    ///
    /// # Errors
    /// When the file cannot be opened or replaced.
    pub async fn own_sqlite_on(dir: &Path, options: Options, boot: Boot) -> Result<Self, QueryError> {
        let path = dir.join(FILE);
        let reason = match doubt(path.clone(), boot.clone()).await? {
            Some(reason) => reason,
            None => match Self::open_file(dir, options, Some(boot.clone())).await {
                Err(QueryError::Corrupt(reason)) => reason,
                other => return other,
            },
        };
        tracing::warn!(%reason, "{} cannot be relied on ({reason}): it is thrown away and built anew from the log", path.display());
        forget_file(&path)
            .map_err(|error| QueryError::Unavailable(format!("{} cannot be removed: {error}", path.display())))?;
        Self::open_file(dir, options, Some(boot)).await
    }

    async fn open_file(dir: &Path, options: Options, owner: Option<Boot>) -> Result<Self, QueryError> {
        let path = dir.join(FILE);
        let readers = usize::try_from(options.connections).unwrap_or(1);
        let engine = tokio::task::spawn_blocking(move || SqliteEngine::open(&path, readers, owner))
            .await
            .map_err(|error| QueryError::Unavailable(error.to_string()))??;
        Self::prepared(Engine::Sqlite(engine)).await
    }

    /// Opens or makes the read models in the log's Postgres database, in a schema of their
    /// own: `views`, or `<schema>_views` where the log is in another schema than `public`.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect_postgres(url: &str, options: Options) -> Result<Self, QueryError> {
        let engine = PostgresEngine::connect(url, options.connections).await?;
        Self::prepared(Engine::Postgres(engine)).await
    }

    /// Opens the embedded read models only to read them; nothing is made or
    /// written. None where there are none, or only what the machine left when it went down.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_sqlite_to_read(dir: &Path) -> Result<Option<Self>, QueryError> {
        let path = dir.join(FILE);
        if !is_trustworthy(&path, &Boot::current())? {
            return Ok(None);
        }
        let engine = SqliteEngine::open_to_read(&path)?;
        Ok(engine.map(|engine| Self { engine: Engine::Sqlite(engine), published: watch::channel(None).0 }))
    }

    /// The same in the log's Postgres database.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect_postgres_to_read(url: &str) -> Result<Option<Self>, QueryError> {
        let engine = Engine::Postgres(PostgresEngine::connect(url, READING_CONNECTIONS).await?);
        let made = sql("select to_regclass($1) is not null", vec![Value::text(engine.table("projections"))]);
        let made = engine.select(made, &[Kind::Bool]).await?;
        let made = made.first().and_then(|row| row.first()) == Some(&Value::bool(true));
        Ok(made.then(|| Self { engine, published: watch::channel(None).0 }))
    }

    /// Read models that end with their last handle, for tests.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub async fn in_memory() -> Result<Self, QueryError> {
        Self::prepared(Engine::Sqlite(SqliteEngine::in_memory(None)?)).await
    }

    /// The same, going by a clock that is given. No thread but the caller's works on
    /// them, so that a run can be repeated.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub async fn in_memory_at(clock: Arc<dyn Clock>) -> Result<Self, QueryError> {
        Self::prepared(Engine::Sqlite(SqliteEngine::in_memory(Some(clock))?)).await
    }

    async fn prepared(engine: Engine) -> Result<Self, QueryError> {
        engine.prepare().await?;
        let (published, _) = watch::channel(None);
        Ok(Self { engine, published })
    }

    /// What this handle's queries took so far, in steps of SQLite's own machine: their price,
    /// whatever the machine they run on. None on Postgres, which keeps such figures itself.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        match &self.engine {
            Engine::Sqlite(engine) => Some(engine.steps()),
            Engine::Postgres(_) => None,
        }
    }

    /// What can be asked.
    #[must_use]
    pub fn queries(&self) -> Queries {
        Queries::new(self.clone())
    }

    /// Closes the connections. Stop the projector first.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Why a file has to be thrown away, as far as that shows before it is used.
async fn doubt(path: PathBuf, boot: Boot) -> Result<Option<String>, QueryError> {
    let looked = tokio::task::spawn_blocking(move || {
        if is_unreadable(&path) {
            return Ok(Some("what it holds is known to be damaged, or it cannot be opened".to_owned()));
        }
        match is_trustworthy(&path, &boot) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some("it was in use when the machine went down".to_owned())),
            Err(EngineError::Corrupt(reason)) => Ok(Some(reason)),
            Err(error) => Err(error),
        }
    });
    Ok(looked.await.map_err(|error| QueryError::Unavailable(error.to_string()))??)
}

fn log_error(error: EngineError) -> LogError {
    match error {
        EngineError::Fenced | EngineError::Unavailable(_) | EngineError::Full(_) => {
            LogError::Unavailable(error.to_string(), None)
        }
        EngineError::Corrupt(text) => LogError::Damaged(text),
    }
}

#[async_trait]
impl TimerQueue for ReadModels {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, LogError> {
        let table = self.engine.table("timers");
        let statement = sql(
            format!(
                "select process_id, timer, due_at from {table} where due_at <= $1 order by due_at, process_id, timer limit $2"
            ),
            vec![Value::time(now), Value::int(i64::try_from(limit).unwrap_or(i64::MAX))],
        );
        let rows = self.engine.select(statement, &[Kind::Uuid, Kind::Text, Kind::Time]).await.map_err(log_error)?;
        let due = rows.into_iter().map(|row| match row.as_slice() {
            [Value::Uuid(Some(id)), Value::Text(Some(timer)), Value::Time(Some(due_at))] => Ok(DueTimer {
                stream: StreamId::new(AggregateKind::Fulfilment, *id),
                timer: timer.clone(),
                due_at: *due_at,
            }),
            _ => Err(LogError::Damaged("a timer has no time".to_owned())),
        });
        due.collect()
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, LogError> {
        let table = self.engine.table("timers");
        let statement = sql(format!("select due_at from {table} order by due_at limit 1"), vec![]);
        let rows = self.engine.select(statement, &[Kind::Time]).await.map_err(log_error)?;
        Ok(rows.first().and_then(|row| if let Some(Value::Time(at)) = row.first() { *at } else { None }))
    }

    async fn lapsed_points(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedPoints>, LogError> {
        let table = self.engine.table("points");
        let statement = sql(
            format!(
                "select user_id, lapses_at from {table} where lapses_at is not null and lapses_at <= $1 order by lapses_at, user_id limit $2"
            ),
            vec![Value::time(now), Value::int(i64::try_from(limit).unwrap_or(i64::MAX))],
        );
        let rows = self.engine.select(statement, &[Kind::Uuid, Kind::Time]).await.map_err(log_error)?;
        let lapsed = rows.into_iter().map(|row| match row.as_slice() {
            [Value::Uuid(Some(id)), Value::Time(Some(lapsed_at))] => {
                Ok(LapsedPoints { user_id: UserId::new(*id), lapsed_at: *lapsed_at })
            }
            _ => Err(LogError::Damaged("a points ledger has no owner or no time".to_owned())),
        });
        lapsed.collect()
    }
}
