//! SQLite: one writer connection on a thread of its own, and a pool of readers. In memory there is
//! one connection and no thread: work runs on the caller's thread.

mod connections;
mod files;
mod in_use;
mod readers;
mod statements;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jangbu_kernel::ports::Clock;
use jangbu_sqlite::{Checkpointer, Queue, TrySendError, Writer, open_to_read};
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params_from_iter};
use tokio::sync::oneshot;

use super::{EngineError, Rows, Statement, Step};
use crate::health::Health;
use crate::view::{Key, Kind, ViewSpec};
use connections::{UNSYNCED, connection, reader};
use files::damage_marker;
pub(crate) use files::{forget_file, is_unreadable};
pub use in_use::Boot;
pub(crate) use in_use::is_trustworthy;
use readers::{Lent, Readers};
use statements::{check_epoch, run, select_on, write_table};

/// The writer's page cache: the hot part of the tables and indexes.
const WRITER_CACHE_KIB: i32 = 20_480;
const CHECKPOINT_CACHE_KIB: i32 = 1_024;
const SCRATCH_CACHE_KIB: u32 = 65_536;
/// How long a connection waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a query waits for a free reader, and then for a file that another process has locked.
const READ_PATIENCE: Duration = Duration::from_secs(4);
/// Prepared statements kept on each connection: two per table and the queries.
const STATEMENTS: usize = 256;
/// Jobs that may wait for the writer thread, more than there are callers; further ones are
/// rejected.
const WRITE_QUEUE: usize = 4_096;

/// A job for the writer; it returns true if the disk was full.
type Job = Box<dyn FnOnce(&mut Connection) -> bool + Send>;

/// SQLite. Clones share one database.
#[derive(Clone)]
pub(crate) struct SqliteEngine {
    database: Database,
    health: Arc<Health>,
    /// Steps of SQLite's virtual machine that all queries took so far.
    steps: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Database {
    File(Arc<File>),
    Memory { connection: Arc<Mutex<Connection>>, clock: Option<Arc<dyn Clock>> },
}

/// A database file, and the connections that are open on it.
struct File {
    path: PathBuf,
    readers: usize,
    /// The machine's boot id, if this process owns the file.
    owner: Option<Boot>,
    open: RwLock<Open>,
}

/// The connections to one file. When the file is replaced, they close with their last user, and
/// SQLite does not touch the new file.
#[derive(Clone)]
struct Open {
    writer: Writer<Job>,
    readers: Readers,
}

impl File {
    fn open(&self) -> Open {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Open {
    fn at(path: &Path, readers: usize, owner: Option<&Boot>) -> Result<Self, EngineError> {
        let writer = connection(path, WRITER_CACHE_KIB)?;
        let beside = connection(path, CHECKPOINT_CACHE_KIB)?;
        if let Some(boot) = owner
            && in_use::begin(&writer, boot)?
        {
            for connection in [&writer, &beside] {
                connection.execute_batch(UNSYNCED).map_err(unavailable)?;
            }
        }
        let idle = (0..readers.max(1)).map(|_| reader(path)).collect::<Result<Vec<_>, _>>()?;
        let writer = start_writer(writer, beside, owner.is_some())
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        Ok(Self { writer, readers: Readers::new(idle) })
    }
}

/// The machine's clock, milliseconds since 1970.
const MACHINE_MS: &str = "cast(unixepoch('subsec') * 1000 as integer)";
/// The time of the given clock when the current job began.
const GIVEN_MS: &str = "(select ms from temp.clock)";

impl SqliteEngine {
    /// Opens or creates the database file. An owner passes the machine's current boot id and has to
    /// call [`is_trustworthy`] before. Nothing is synced until the owner closes the file.
    pub fn open(path: &Path, readers: usize, owner: Option<Boot>) -> Result<Self, EngineError> {
        let open = RwLock::new(Open::at(path, readers, owner.as_ref())?);
        let file = File { path: path.to_owned(), readers, owner, open };
        Ok(Self { database: Database::File(Arc::new(file)), health: Arc::default(), steps: Arc::default() })
    }

    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    pub const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Replaces the open file by an empty one, without reading it. False if there is no file.
    pub async fn replace_file(&self) -> Result<bool, EngineError> {
        let Database::File(file) = &self.database else { return Ok(false) };
        let file = Arc::clone(file);
        run_blocking(move || {
            forget_file(&file.path).map_err(|error| EngineError::Unavailable(error.to_string()))?;
            let new = Open::at(&file.path, file.readers, file.owner.as_ref())?;
            *file.open.write().unwrap_or_else(PoisonError::into_inner) = new;
            Ok(true)
        })
        .await
    }

    /// Leaves a marker of the damage for the next start.
    pub fn remember_damage(&self) {
        if let Database::File(file) = &self.database
            && let Err(error) = std::fs::write(damage_marker(&file.path), "")
        {
            tracing::warn!(%error, "no word of the damage could be left for the next start: {error}");
        }
    }

    /// A database in memory, which ends with its last handle. Without a clock it uses the
    /// machine's.
    pub fn in_memory(clock: Option<Arc<dyn Clock>>) -> Result<Self, EngineError> {
        let connection = Connection::open_in_memory().map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection
            .execute_batch("create temp table clock (ms bigint not null); insert into temp.clock values (0);")
            .map_err(unavailable)?;
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock };
        Ok(Self { database, health: Arc::default(), steps: Arc::default() })
    }

    /// A private temporary database: in memory as far as the page cache goes, and beyond it in an
    /// unnamed file in the system's temporary folder.
    pub fn scratch() -> Result<Self, EngineError> {
        let connection = Connection::open("").map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection
            .execute_batch(&format!(
                "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -{SCRATCH_CACHE_KIB};"
            ))
            .map_err(unavailable)?;
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock: None };
        Ok(Self { database, health: Arc::default(), steps: Arc::default() })
    }

    /// Opens a file only to read it. None if it does not exist.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>, EngineError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = open_to_read(path).map_err(unavailable)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock: None };
        Ok(Some(Self { database, health: Arc::default(), steps: Arc::default() }))
    }

    /// The database's own clock, in SQL.
    pub const fn now_ms(&self) -> &'static str {
        match &self.database {
            Database::Memory { clock: Some(_), .. } => GIVEN_MS,
            Database::File(_) | Database::Memory { clock: None, .. } => MACHINE_MS,
        }
    }

    /// Closes the readers and ends the writer. The write-ahead log is moved into the file; an owner
    /// also syncs the file and marks it as closed.
    pub async fn close(&self) {
        let Database::File(file) = &self.database else { return };
        let Open { readers, writer } = file.open();
        readers.close();
        if !writer.end().await {
            tracing::warn!("the thread that writes the read models had broken off");
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let writer = match &self.database {
            Database::File(file) => file.open().writer,
            Database::Memory { connection, clock } => {
                // A panic leaves at most an open transaction, which its guard has rolled back.
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(clock) = clock {
                    connection
                        .prepare_cached("update temp.clock set ms = ?1")
                        .and_then(|mut set| set.execute([clock.now().timestamp_millis()]))
                        .map_err(unavailable)?;
                }
                return work(&mut connection);
            }
        };
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = work(connection);
            let full = matches!(outcome, Err(EngineError::Full(_)));
            // The caller may be gone; the work is done all the same.
            let _ = answer.send(outcome);
            full
        });
        writer.try_send(job).map_err(|reason| match reason {
            TrySendError::Full(_) => EngineError::Unavailable("too many writes wait".to_owned()),
            TrySendError::Closed(_) => closed(),
        })?;
        answered.await.map_err(|_| closed())?
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let Database::File(file) = &self.database else { return self.write(work).await };
        let mut lent = file.open().readers.lend().await?;
        run_blocking(move || work(lent.connection()?)).await
    }

    pub async fn select(&self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        let steps = Arc::clone(&self.steps);
        self.read(move |connection| {
            let (rows, taken) = select_on(connection, &statement, kinds)?;
            steps.fetch_add(taken, Ordering::Relaxed);
            Ok(rows)
        })
        .await
    }

    pub async fn transaction(&self, epoch: Option<i64>, steps: Vec<Step>) -> Result<(), EngineError> {
        self.write(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
            if let Some(epoch) = epoch {
                check_epoch(&transaction, epoch)?;
            }
            for step in steps {
                match step {
                    Step::Run(statement) => run(&transaction, &statement)?,
                    Step::Write(write) => write_table(&transaction, &write)?,
                }
            }
            transaction.commit().map_err(unavailable)
        })
        .await
    }

    pub async fn load(
        &self,
        table: String,
        spec: &'static ViewSpec,
        keys: Vec<Key>,
    ) -> Result<Vec<Option<String>>, EngineError> {
        // In process there is no round trip to save, so one prepared statement runs for each key.
        self.read(move |connection| {
            let conditions: Vec<String> = spec.key.iter().map(|column| format!("{} = ?", column.name)).collect();
            let text = format!("select doc from {table} where {}", conditions.join(" and "));
            let mut prepared = connection.prepare_cached(&text).map_err(unavailable)?;
            keys.into_iter()
                .map(|key| {
                    let mut rows = prepared.query(params_from_iter(key.values())).map_err(unavailable)?;
                    let row = rows.next().map_err(unavailable)?;
                    // What is not text becomes an empty text, which then fails to parse as a
                    // document.
                    let doc = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_str().unwrap_or_default().to_owned());
                    row.map(doc).transpose().map_err(unavailable)
                })
                .collect()
        })
        .await
    }

    pub async fn freeze(&self) -> Result<Snapshot, EngineError> {
        let readers = match &self.database {
            Database::File(file) => file.open().readers,
            Database::Memory { connection, .. } => {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                // Another process may write to a file that is only read here. The snapshot lasts
                // until the connection is closed.
                if connection.is_readonly("main").map_err(unavailable)? && connection.is_autocommit() {
                    connection.execute_batch("begin; select count(*) from lease;").map_err(unavailable)?;
                }
                return Ok(Snapshot::Live(self.clone()));
            }
        };
        let mut lent = readers.lend().await?;
        let lent = run_blocking(move || {
            // The first read of the transaction fixes the snapshot.
            lent.connection()?.execute_batch("begin; select count(*) from lease;").map_err(unavailable)?;
            Ok(lent)
        })
        .await?;
        Ok(Snapshot::Frozen(Some(lent)))
    }
}

/// A snapshot that queries run on.
pub(crate) enum Snapshot {
    /// A reader inside a read transaction.
    Frozen(Option<Lent>),
    /// The only connection. In memory its queries see the state at the time they run; on a file
    /// that is only read it is inside a read transaction.
    Live(SqliteEngine),
}

impl Snapshot {
    pub async fn select(&mut self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        match self {
            Self::Live(engine) => engine.select(statement, kinds).await,
            Self::Frozen(slot) => {
                let mut lent = slot.take().ok_or_else(closed)?;
                let (lent, rows) = run_blocking(move || {
                    let (rows, _) = select_on(lent.connection()?, &statement, kinds)?;
                    Ok((lent, rows))
                })
                .await?;
                *slot = Some(lent);
                Ok(rows)
            }
        }
    }
}

fn start_writer(mut connection: Connection, beside: Connection, owned: bool) -> std::io::Result<Writer<Job>> {
    let on_error = |error: &rusqlite::Error| {
        tracing::warn!(%error, "the read models' write-ahead log could not be moved for now: {error}");
    };
    let mut checkpointer = Checkpointer::spawn("views-checkpoint", beside, on_error)?;
    Writer::spawn("views-writer", WRITE_QUEUE, move |mut jobs: Queue<Job>| {
        let mut rows_before = 0;
        for job in &mut jobs {
            if job(&mut connection) {
                checkpointer.make_room(&connection);
            }
            let rows = connection.total_changes();
            checkpointer.committed(rows.saturating_sub(rows_before), &connection);
            rows_before = rows;
        }
        if jobs.was_told_to_end() {
            if checkpointer.stop().is_err() {
                tracing::warn!("the thread that moves the read models' write-ahead log had broken off");
            }
            let closed = if owned { in_use::end(&connection) } else { in_use::move_all(&connection) };
            if let Err(error) = closed {
                // The next opening does it, or starts over if the machine was restarted.
                tracing::warn!(%error, "the read models' file was not closed in good order: {error}");
            }
        }
    })
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| EngineError::Unavailable(error.to_string()))?
}

fn unavailable(error: rusqlite::Error) -> EngineError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => EngineError::Full(error.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => EngineError::Corrupt(error.to_string()),
        // The file ends where one of its pages should be.
        Some(ErrorCode::SystemIoFailure) if is_cut_off(&error) => EngineError::Corrupt(error.to_string()),
        None if is_unfit(&error) => EngineError::Corrupt(error.to_string()),
        _ => EngineError::Unavailable(error.to_string()),
    }
}

/// Whether a column has a value that this program never writes.
const fn is_unfit(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
}

fn is_cut_off(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

fn closed() -> EngineError {
    EngineError::Unavailable("the read models are closed".to_owned())
}
