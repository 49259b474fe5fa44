//! SQLite: one writer connection on a thread of its own, a pool of readers. In memory
//! there is one connection and no thread: work is done where it is asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::time::Duration;

use jangbu_kernel::Timestamp;
use jangbu_kernel::ports::Clock;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::checkpoint::Checkpointer;
use super::{EngineError, Rows, Statement, Step, TableWrite};
use crate::health::Health;
use crate::view::{Key, Kind, Value, ViewSpec};

/// The writer's page cache: the hot part of the tables and indexes.
const WRITER_CACHE_KIB: u32 = 20_480;
const READER_CACHE_KIB: u32 = 2_048;
const CHECKPOINT_CACHE_KIB: u32 = 1_024;
const SCRATCH_CACHE_KIB: u32 = 65_536;
/// How long a connection waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a question waits for a file that another process has locked, and before that
/// for its turn.
const READ_PATIENCE: Duration = Duration::from_secs(4);
/// Prepared statements kept on each connection: two per table and the queries.
const STATEMENTS: usize = 256;
/// Jobs that wait for the writer thread, more than there are callers; beyond it they
/// are turned away.
const WRITE_QUEUE: usize = 4_096;

/// Something to be done by the writer; true when there was no room on the disk for it.
type Job = Box<dyn FnOnce(&mut Connection) -> bool + Send>;

/// SQLite. Clones share one database.
#[derive(Clone)]
pub(crate) struct SqliteEngine {
    database: Database,
    health: Arc<Health>,
}

#[derive(Clone)]
enum Database {
    File(Arc<File>),
    Memory { connection: Arc<Mutex<Connection>>, clock: Option<Arc<dyn Clock>> },
}

/// A database file, and what is open on it.
struct File {
    path: PathBuf,
    readers: usize,
    open: RwLock<Open>,
}

/// The connections to one file. When another file takes its place, they end with the
/// last who uses them; SQLite leaves alone what is not theirs any more.
#[derive(Clone)]
struct Open {
    writer: mpsc::SyncSender<Job>,
    readers: Readers,
}

impl File {
    fn open(&self) -> Open {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Open {
    fn at(path: &Path, readers: usize) -> Result<Self, EngineError> {
        let writer = connection(path, WRITER_CACHE_KIB)?;
        let idle = (0..readers.max(1)).map(|_| reader(path)).collect::<Result<Vec<_>, _>>()?;
        let permits = Arc::new(Semaphore::new(idle.len()));
        let pool = Readers { idle: Arc::new(Mutex::new(idle)), permits };
        let beside = connection(path, CHECKPOINT_CACHE_KIB)?;
        let checkpointer = Checkpointer::spawn(beside).map_err(|error| EngineError::Unavailable(error.to_string()))?;
        Ok(Self { writer: start_writer(writer, checkpointer)?, readers: pool })
    }
}

/// Beside the file, while something in it is known to be unreadable.
fn damage_marker(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// Whether a file is known to be damaged, or cannot even be opened.
pub(crate) fn is_unreadable(path: &Path) -> bool {
    damage_marker(path).exists() || (path.exists() && std::fs::File::open(path).is_err())
}

/// Removes a database file and what belongs to it.
pub(crate) fn forget_file(path: &Path) -> std::io::Result<()> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for file in [path.to_owned(), beside("-wal"), beside("-shm"), damage_marker(path)] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The machine's clock, milliseconds since 1970.
const MACHINE_MS: &str = "cast(unixepoch('subsec') * 1000 as integer)";
/// The clock that was given, as it stood when the work at hand began.
const GIVEN_MS: &str = "(select ms from temp.clock)";

#[derive(Clone)]
struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl SqliteEngine {
    /// Opens or makes the database file.
    pub fn open(path: &Path, readers: usize) -> Result<Self, EngineError> {
        let file = File { path: path.to_owned(), readers, open: RwLock::new(Open::at(path, readers)?) };
        Ok(Self { database: Database::File(Arc::new(file)), health: Arc::default() })
    }

    pub const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Puts an empty file in the place of the one that is open, and needs nothing of it.
    /// False where there is no file.
    pub async fn replace_file(&self) -> Result<bool, EngineError> {
        let Database::File(file) = &self.database else { return Ok(false) };
        let file = Arc::clone(file);
        run_blocking(move || {
            forget_file(&file.path).map_err(|error| EngineError::Unavailable(error.to_string()))?;
            let new = Open::at(&file.path, file.readers)?;
            *file.open.write().unwrap_or_else(PoisonError::into_inner) = new;
            Ok(true)
        })
        .await
    }

    /// Leaves word of a damage for the next start.
    pub fn remember_damage(&self) {
        if let Database::File(file) = &self.database
            && let Err(error) = std::fs::write(damage_marker(&file.path), "")
        {
            tracing::warn!(%error, "no word of the damage could be left for the next start: {error}");
        }
    }

    /// A database that ends with its last handle. Without a clock it goes by the machine's.
    pub fn in_memory(clock: Option<Arc<dyn Clock>>) -> Result<Self, EngineError> {
        let connection = Connection::open_in_memory().map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection
            .execute_batch("create temp table clock (ms bigint not null); insert into temp.clock values (0);")
            .map_err(unavailable)?;
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock };
        Ok(Self { database, health: Arc::default() })
    }

    /// A database of this process's own, in memory as far as the page cache goes and in a
    /// nameless file of the system's temporary folder beyond it.
    pub fn scratch() -> Result<Self, EngineError> {
        let connection = Connection::open("").map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection
            .execute_batch(&format!(
                "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -{SCRATCH_CACHE_KIB};"
            ))
            .map_err(unavailable)?;
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock: None };
        Ok(Self { database, health: Arc::default() })
    }

    /// A file as it is at this moment, only to be read. None where there is no such file.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>, EngineError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = reading_connection(path).map_err(unavailable)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let database = Database::Memory { connection: Arc::new(Mutex::new(connection)), clock: None };
        Ok(Some(Self { database, health: Arc::default() }))
    }

    /// The database's own clock, in SQL.
    pub const fn now_ms(&self) -> &'static str {
        match &self.database {
            Database::Memory { clock: Some(_), .. } => GIVEN_MS,
            Database::File(_) | Database::Memory { clock: None, .. } => MACHINE_MS,
        }
    }

    /// The writer thread ends with the last handle; the readers are closed now, and what
    /// is in the WAL goes into the file.
    pub async fn close(&self) {
        let Database::File(file) = &self.database else { return };
        let Open { readers, .. } = file.open();
        readers.permits.close();
        readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let moved =
            self.write(|connection| connection.execute_batch("pragma wal_checkpoint(truncate)").map_err(unavailable));
        if let Err(error) = moved.await {
            // The next opening does it.
            tracing::warn!(%error, "the read models' WAL stays behind: {error}");
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let writer = match &self.database {
            Database::File(file) => file.open().writer,
            Database::Memory { connection, clock } => {
                // Nothing is held across work that broke off but an open transaction, which its guard rolled back.
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
            // A caller that left does not want to know; the work is done all the same.
            let _ = answer.send(outcome);
            full
        });
        match writer.try_send(job) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(_)) => {
                return Err(EngineError::Unavailable("too many writes wait".to_owned()));
            }
            Err(mpsc::TrySendError::Disconnected(_)) => return Err(closed()),
        }
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
        self.read(move |connection| select_on(connection, &statement, kinds)).await
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
        // In process there is no round trip to save: one prepared statement, run for each key.
        self.read(move |connection| {
            let conditions: Vec<String> = spec.key.iter().map(|column| format!("{} = ?", column.name)).collect();
            let text = format!("select doc from {table} where {}", conditions.join(" and "));
            let mut prepared = connection.prepare_cached(&text).map_err(unavailable)?;
            keys.into_iter()
                .map(|key| {
                    let mut rows = prepared.query(params_from_iter(key.values())).map_err(unavailable)?;
                    let row = rows.next().map_err(unavailable)?;
                    // What is no text is no document either: whoever reads it finds that out.
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
                // Another process may write to a file that is only read here. The moment lasts
                // until the connection is closed.
                if connection.is_readonly("main").map_err(unavailable)? && connection.is_autocommit() {
                    connection.execute_batch("begin; select count(*) from lease;").map_err(unavailable)?;
                }
                return Ok(Snapshot::Live(self.clone()));
            }
        };
        let mut lent = readers.lend().await?;
        let lent = run_blocking(move || {
            // The moment is fixed by the first read of the transaction.
            lent.connection()?.execute_batch("begin; select count(*) from lease;").map_err(unavailable)?;
            Ok(lent)
        })
        .await?;
        Ok(Snapshot::Frozen(Some(lent)))
    }
}

impl Readers {
    async fn lend(&self) -> Result<Lent, EngineError> {
        let permit = tokio::time::timeout(READ_PATIENCE, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| EngineError::Unavailable("no reader came free in time".to_owned()))?
            .map_err(|_| closed())?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lent { connection, idle: Arc::clone(&self.idle), _permit: permit })
    }
}

/// A reader's connection, given back when this is dropped.
pub(crate) struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn connection(&mut self) -> Result<&mut Connection, EngineError> {
        self.connection.as_mut().ok_or_else(closed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit() {
                // Only a snapshot's read transaction is ever open here; ending it cannot lose anything.
                let _ = connection.execute_batch("rollback");
            }
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// Queries on one moment.
pub(crate) enum Snapshot {
    /// A reader inside a read transaction.
    Frozen(Option<Lent>),
    /// In memory there is one connection, so the moment is whenever a query runs.
    Live(SqliteEngine),
}

impl Snapshot {
    pub async fn select(&mut self, statement: Statement, kinds: &'static [Kind]) -> Result<Rows, EngineError> {
        match self {
            Self::Live(engine) => engine.select(statement, kinds).await,
            Self::Frozen(slot) => {
                let mut lent = slot.take().ok_or_else(closed)?;
                let (lent, rows) = run_blocking(move || {
                    let rows = select_on(lent.connection()?, &statement, kinds)?;
                    Ok((lent, rows))
                })
                .await?;
                *slot = Some(lent);
                Ok(rows)
            }
        }
    }
}

fn reader(path: &Path) -> Result<Connection, EngineError> {
    let connection = connection(path, READER_CACHE_KIB)?;
    connection.busy_timeout(READ_PATIENCE).map_err(unavailable)?;
    Ok(connection)
}

fn connection(path: &Path, cache_kib: u32) -> Result<Connection, EngineError> {
    let connection = Connection::open(path).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a statement with `limit ?` is parsed and planned again at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unavailable)?;
    // NORMAL: a power cut may take the last moments of rows and checkpoint together, and
    // the log gives them back. Checkpoints are `checkpoint.rs`'s business. No mmap: every connection's
    // mapping would count as this process's memory.
    connection
        .execute_batch(&format!(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -{cache_kib}; pragma temp_store = memory; pragma wal_autocheckpoint = 0; pragma journal_size_limit = 67108864;"
        ))
        .map_err(unavailable)?;
    Ok(connection)
}

/// A connection that cannot write, also where nothing can be written: a read-only mount has
/// no room for the index of a write-ahead log. A database without one is read as it lies.
fn reading_connection(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = match Connection::open_with_flags(path, flags).and_then(readable) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let folded_in = !std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0);
    if !folded_in || !matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) {
        return Err(error);
    }
    // In the form of a URI, where these have a meaning of their own.
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{name}?immutable=1");
    Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI).and_then(readable)
}

/// Opening is lazy: whether the file can be read shows at the first read.
fn readable(connection: Connection) -> rusqlite::Result<Connection> {
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn start_writer(
    mut connection: Connection,
    mut checkpointer: Checkpointer,
) -> Result<mpsc::SyncSender<Job>, EngineError> {
    let (jobs, queue) = mpsc::sync_channel::<Job>(WRITE_QUEUE);
    std::thread::Builder::new()
        .name("views-writer".to_owned())
        .spawn(move || {
            for job in queue {
                if job(&mut connection) {
                    checkpointer.make_room(&connection);
                }
                checkpointer.after(&connection);
            }
        })
        .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    Ok(jobs)
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
        // The file ends where a page of it should be.
        Some(ErrorCode::SystemIoFailure) if is_cut_off(&error) => EngineError::Corrupt(error.to_string()),
        None if is_unfit(&error) => EngineError::Corrupt(error.to_string()),
        _ => EngineError::Unavailable(error.to_string()),
    }
}

/// Whether a column holds what this program never wrote.
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

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = ToSqlOutput::Owned(SqlValue::Null);
        Ok(match self {
            Self::Uuid(Some(id)) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Text(Some(text)) | Self::Terms(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Name(name) => ToSqlOutput::Borrowed(ValueRef::Text(name.as_bytes())),
            Self::Int(Some(number)) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Self::Bool(Some(is)) => ToSqlOutput::Owned(SqlValue::Integer(i64::from(*is))),
            Self::Time(Some(at)) => ToSqlOutput::Owned(SqlValue::Integer(at.timestamp_millis())),
            Self::Uuid(None) | Self::Text(None) | Self::Int(None) | Self::Bool(None) | Self::Time(None) => null,
        })
    }
}

fn select_on(connection: &Connection, statement: &Statement, kinds: &[Kind]) -> Result<Rows, EngineError> {
    let mut prepared = connection.prepare_cached(&statement.sql.replace('$', "?")).map_err(unavailable)?;
    let mut rows = prepared.query(params_from_iter(&statement.params)).map_err(unavailable)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        let mut values = Vec::with_capacity(kinds.len());
        for (place, kind) in kinds.iter().enumerate() {
            values.push(match kind {
                Kind::Uuid => Value::Uuid(
                    row.get::<_, Option<Vec<u8>>>(place)
                        .map_err(unavailable)?
                        .map(|bytes| {
                            Uuid::from_slice(&bytes)
                                .map_err(|_| EngineError::Corrupt("an id is not 16 bytes".to_owned()))
                        })
                        .transpose()?,
                ),
                Kind::Text => Value::Text(row.get(place).map_err(unavailable)?),
                Kind::Int => Value::Int(row.get(place).map_err(unavailable)?),
                Kind::Bool => Value::Bool(row.get(place).map_err(unavailable)?),
                Kind::Time => {
                    let millis: Option<i64> = row.get(place).map_err(unavailable)?;
                    Value::Time(millis.and_then(Timestamp::from_timestamp_millis))
                }
                Kind::Terms => Value::Terms(row.get(place).map_err(unavailable)?),
            });
        }
        found.push(values);
    }
    Ok(found)
}

fn check_epoch(transaction: &Transaction<'_>, epoch: i64) -> Result<(), EngineError> {
    let held: i64 = transaction
        .prepare_cached("select epoch from lease where id = 1")
        .and_then(|mut held| held.query_row([], |row| row.get(0)))
        .map_err(unavailable)?;
    if held == epoch { Ok(()) } else { Err(EngineError::Fenced) }
}

fn run(transaction: &Transaction<'_>, statement: &Statement) -> Result<(), EngineError> {
    let text = statement.sql.replace('$', "?");
    let mut prepared = transaction.prepare_cached(&text).map_err(unavailable)?;
    let mut rows = prepared.query(params_from_iter(&statement.params)).map_err(unavailable)?;
    while rows.next().map_err(unavailable)?.is_some() {}
    Ok(())
}

fn write_table(transaction: &Transaction<'_>, write: &TableWrite) -> Result<(), EngineError> {
    if !write.upserts.is_empty() {
        // Row by row: an insert of many rows keeps a journal of its own in case it has to
        // be undone half way, which costs more than the calls it saves.
        let mut upsert = transaction.prepare_cached(&upsert_text(write)).map_err(unavailable)?;
        for row in &write.upserts {
            for (place, value) in row.values.iter().enumerate() {
                upsert.raw_bind_parameter(place + 1, value).map_err(unavailable)?;
            }
            upsert.raw_bind_parameter(row.values.len() + 1, row.doc.as_str()).map_err(unavailable)?;
            upsert.raw_execute().map_err(unavailable)?;
        }
    }
    if write.spec.has_terms() && write.indexed {
        write_terms(transaction, write)?;
    }
    if !write.deletes.is_empty() {
        let conditions: Vec<String> = write.spec.key.iter().map(|column| format!("{} = ?", column.name)).collect();
        let text = format!("delete from {} where {}", write.table, conditions.join(" and "));
        let mut delete = transaction.prepare_cached(&text).map_err(unavailable)?;
        for key in &write.deletes {
            delete.execute(params_from_iter(key.values())).map_err(unavailable)?;
        }
    }
    Ok(())
}

fn upsert_text(write: &TableWrite) -> String {
    let names: Vec<&str> = write.spec.all_columns().map(|column| column.name).collect();
    let key: Vec<&str> = write.spec.key.iter().map(|column| column.name).collect();
    let updates: String =
        write.spec.changing_columns().map(|column| format!("{0} = excluded.{0}, ", column.name)).collect();
    format!(
        "insert into {} ({}, doc) values ({}?) on conflict ({}) do update set {updates}doc = excluded.doc",
        write.table,
        names.join(", "),
        "?, ".repeat(names.len()),
        key.join(", "),
    )
}

/// Fills the table of terms. A row's terms are fixed: they come with it and go with it.
fn write_terms(transaction: &Transaction<'_>, write: &TableWrite) -> Result<(), EngineError> {
    let mut keep = transaction
        .prepare_cached(&format!("insert or ignore into {}_terms (term, id) values (?1, ?2)", write.table))
        .map_err(unavailable)?;
    for row in write.upserts.iter().filter(|row| !row.stored) {
        let Some(id) = row.values.first() else { continue };
        for value in &row.values {
            if let Value::Terms(terms) = value {
                for term in terms.split(' ').filter(|term| !term.is_empty()) {
                    keep.execute((term, id)).map_err(unavailable)?;
                }
            }
        }
    }
    let mut forget =
        transaction.prepare_cached(&format!("delete from {}_terms where id = ?1", write.table)).map_err(unavailable)?;
    for key in &write.deletes {
        forget.execute([Value::id(key.id)]).map_err(unavailable)?;
    }
    Ok(())
}
