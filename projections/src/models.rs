//! The handle on the read models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::gateway::ParcelUnderWay;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{Clock, DueTimer, LapsedPoints, LapsedReturn, TimerQueue};
use jangbu_kernel::{AggregateKind, NoticeId, Position, ReturnId, StreamId, Timestamp, UserId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::engine::{
    Boot, Engine, EngineError, PostgresEngine, SqliteEngine, forget_file, is_trustworthy, is_unreadable, sql,
};
use crate::queries::{Queries, QueryError};
use crate::view::{Kind, Value};
use crate::views::{ShipmentRow, ShipmentStatus};

/// The file of the embedded read models, in the data folder. It can be deleted, because the log
/// restores it.
pub const FILE: &str = "views.db";

/// Connections that a comparison needs: one for the snapshot, one for other queries.
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

/// The read models. Clones share one engine. The projector writes them, everybody else reads them.
#[derive(Clone)]
pub struct ReadModels {
    pub(crate) engine: Engine,
    /// The position that this process's projector has written; none while this process does not
    /// project.
    pub(crate) published: watch::Sender<Option<Position>>,
    /// How many callers in this process wait for the views to show a position.
    pub(crate) waiting: watch::Sender<usize>,
}

impl ReadModels {
    /// Opens or creates the embedded read models in a data folder. A server may use them at the
    /// same time.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open_sqlite(dir: &Path, options: Options) -> Result<Self, QueryError> {
        Self::open_file(dir, options, None).await
    }

    /// The same, for the process that has the log open for writing. A file that cannot be read, or
    /// was in use when the machine went down, is thrown away, because the log restores it. Nothing
    /// is synced until the read models are closed.
    ///
    /// # Errors
    /// When the file cannot be opened or replaced.
    pub async fn own_sqlite(dir: &Path, options: Options) -> Result<Self, QueryError> {
        Self::own_sqlite_on(dir, options, Boot::current()).await
    }

    /// The same, with the boot id of the machine given by the caller.
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

    /// Opens or creates the read models in the log's Postgres database, in a schema of their own:
    /// `views`, or `<schema>_views` if the log is in another schema than `public`.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect_postgres(url: &str, options: Options) -> Result<Self, QueryError> {
        let engine = PostgresEngine::connect(url, options.connections).await?;
        Self::prepared(Engine::Postgres(engine)).await
    }

    /// Opens the embedded read models only for reading; nothing is created or written. None if
    /// there are none, or if the file was in use when the machine went down.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_sqlite_to_read(dir: &Path) -> Result<Option<Self>, QueryError> {
        let path = dir.join(FILE);
        if !is_trustworthy(&path, &Boot::current())? {
            return Ok(None);
        }
        let engine = SqliteEngine::open_to_read(&path)?;
        Ok(engine.map(|engine| Self::over(Engine::Sqlite(engine))))
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
        Ok(made.then(|| Self::over(engine)))
    }

    /// Read models in memory, for tests. They end with their last handle.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub async fn in_memory() -> Result<Self, QueryError> {
        Self::prepared(Engine::Sqlite(SqliteEngine::in_memory(None)?)).await
    }

    /// The same, with a given clock. All work runs on the caller's thread, so that a run can be
    /// repeated.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub async fn in_memory_at(clock: Arc<dyn Clock>) -> Result<Self, QueryError> {
        Self::prepared(Engine::Sqlite(SqliteEngine::in_memory(Some(clock))?)).await
    }

    fn over(engine: Engine) -> Self {
        Self { engine, published: watch::Sender::new(None), waiting: watch::Sender::new(0) }
    }

    async fn prepared(engine: Engine) -> Result<Self, QueryError> {
        engine.prepare().await?;
        Ok(Self::over(engine))
    }

    /// Steps of SQLite's virtual machine that the queries took so far: their cost, whatever machine
    /// they run on. None on Postgres, which keeps such statistics itself.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        match &self.engine {
            Engine::Sqlite(engine) => Some(engine.steps()),
            Engine::Postgres(_) => None,
        }
    }

    /// The queries on these read models.
    #[must_use]
    pub fn queries(&self) -> Queries {
        Queries::new(self.clone())
    }

    /// Closes the connections. Stop the projector first.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Why a file has to be thrown away, as far as can be told before it is used.
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
        let lapsed = self.lapsed("points", "user_id", now, limit).await?.into_iter();
        Ok(lapsed.map(|(id, lapsed_at)| LapsedPoints { user_id: UserId::new(id), lapsed_at }).collect())
    }

    async fn lapsed_returns(&self, now: Timestamp, limit: usize) -> Result<Vec<LapsedReturn>, LogError> {
        let lapsed = self.lapsed("returns", "id", now, limit).await?.into_iter();
        Ok(lapsed.map(|(id, lapsed_at)| LapsedReturn { return_id: ReturnId::new(id), lapsed_at }).collect())
    }

    async fn parcels_under_way(&self, limit: usize) -> Result<Vec<ParcelUnderWay>, LogError> {
        let (table, limit) = (self.engine.table("shipments"), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut parcels = Vec::new();
        // Status by status: the index has them in their order, however many parcels have arrived.
        for status in UNDER_WAY {
            let statement = sql(
                format!("select doc from {table} where status = $1 order by created_at, id limit $2"),
                vec![Value::name(status.name()), Value::int(limit)],
            );
            let rows = self.engine.select(statement, &[Kind::Text]).await.map_err(log_error)?;
            for row in rows {
                let doc = if let Some(Value::Text(Some(doc))) = row.first() { doc.as_str() } else { "" };
                let row: ShipmentRow =
                    serde_json::from_str(doc).map_err(|error| LogError::Damaged(error.to_string()))?;
                if let (Some(carrier), Some(tracking_number)) = (row.carrier, row.tracking_number) {
                    parcels.push(ParcelUnderWay { shipment_id: row.id, carrier, tracking_number });
                }
            }
        }
        Ok(parcels)
    }

    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, LogError> {
        let table = self.engine.table("notices");
        let statement = sql(
            format!(
                "select notice_id from {table} where retry_at is not null and retry_at <= $1 order by retry_at, notice_id limit $2"
            ),
            vec![Value::time(now), Value::int(i64::try_from(limit).unwrap_or(i64::MAX))],
        );
        let rows = self.engine.select(statement, &[Kind::Uuid]).await.map_err(log_error)?;
        let due = rows.into_iter().map(|row| match row.as_slice() {
            [Value::Uuid(Some(id))] => Ok(NoticeId::new(*id)),
            _ => Err(LogError::Damaged("a notice has no id".to_owned())),
        });
        due.collect()
    }
}

impl ReadModels {
    /// The ids in a column of a view whose rows have lapsed by now, and when each did.
    async fn lapsed(
        &self,
        view: &str,
        id: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Uuid, Timestamp)>, LogError> {
        let table = self.engine.table(view);
        let statement = sql(
            format!(
                "select {id}, lapses_at from {table} where lapses_at is not null and lapses_at <= $1 order by lapses_at, {id} limit $2"
            ),
            vec![Value::time(now), Value::int(i64::try_from(limit).unwrap_or(i64::MAX))],
        );
        let rows = self.engine.select(statement, &[Kind::Uuid, Kind::Time]).await.map_err(log_error)?;
        let lapsed = rows.into_iter().map(|row| match row.as_slice() {
            [Value::Uuid(Some(id)), Value::Time(Some(lapsed_at))] => Ok((*id, *lapsed_at)),
            _ => Err(LogError::Damaged(format!("a row of {view} has no id or no time"))),
        });
        lapsed.collect()
    }
}

/// The statuses of a parcel between its hand-over and its end.
const UNDER_WAY: [ShipmentStatus; 5] = [
    ShipmentStatus::Dispatched,
    ShipmentStatus::InTransit,
    ShipmentStatus::OutForDelivery,
    ShipmentStatus::AttemptFailed,
    ShipmentStatus::Exception,
];
