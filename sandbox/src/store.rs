//! The sandbox's own file: one SQLite database, written by one thread.
//!
//! Work is sent to the thread as closures. Everything that queued up while the
//! last transaction was committing goes into the next one, and nobody is
//! answered before the commit. `synchronous = NORMAL` under WAL: killing the
//! process loses nothing, which is what a simulated outside world has to survive;
//! a power cut may lose the last moments.

use std::path::Path;

use jangbu_sqlite::{Queue, Writer};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use thiserror::Error;
use tokio::sync::oneshot;

/// How many pieces of work may wait for the thread before callers have to wait.
const QUEUE: usize = 4_096;
/// How many pieces of work one transaction takes at most.
const BATCH: usize = 512;
/// Every statement of this crate fits, with room.
const STATEMENTS: usize = 128;

/// The sandbox's file failed.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// The file could not be opened or given its tables.
    #[error("cannot open the sandbox file: {0}")]
    Open(String),
    /// The transaction failed; nothing of it was written.
    #[error("the sandbox file failed: {0}")]
    Failed(String),
    /// The sandbox is stopping.
    #[error("the sandbox is stopping")]
    Stopping,
}

trait Job: Send {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<F, T> {
    work: Option<F>,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(db)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(StoreError::Stopping),
            (Err(error), _) => Err(error),
        };
        // A caller that went away needs no answer.
        let _ = self.reply.send(answer);
    }
}

/// A handle on the thread; the thread ends when it is closed or the last handle is dropped.
#[derive(Clone)]
pub struct Store(Writer<Box<dyn Job>>);

impl Store {
    /// Opens the file (or a database in memory) and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a sandbox's.
    pub fn open(file: Option<&Path>) -> Result<Self, StoreError> {
        let db = connect(file).map_err(|error| StoreError::Open(error.to_string()))?;
        let thread = Writer::spawn("sandbox-store", QUEUE, move |queue| serve(&db, queue));
        thread.map(Self).map_err(|error| StoreError::Open(error.to_string()))
    }

    /// Does a piece of work inside a transaction and answers after the commit.
    ///
    /// # Errors
    /// When the transaction failed: nothing of the work was written.
    pub async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call { work: Some(work), outcome: None, reply });
        self.0.send(job).await.map_err(|_| StoreError::Stopping)?;
        answer.await.map_err(|_| StoreError::Stopping)?
    }

    /// Ends the thread after the work that is already queued, even while handles are left, and
    /// waits for it.
    pub async fn close(&self) {
        // The thread never panics.
        self.0.end().await;
    }
}

fn connect(file: Option<&Path>) -> rusqlite::Result<Connection> {
    let db = match file {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(include_str!("schema.sql"))?;
    db.execute("INSERT INTO faults VALUES (1, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING", [])?;
    Ok(db)
}

fn serve(db: &Connection, mut queue: Queue<Box<dyn Job>>) {
    while let Some(first) = queue.next() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Some(job) = queue.next_if(|_| true)
        {
            batch.push(job);
        }
        let committed = commit(db, &mut batch).map_err(|error| StoreError::Failed(error.to_string()));
        for job in batch {
            job.answer(committed.clone());
        }
    }
}

fn commit(db: &Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    // Immediate: a second sandbox on the file makes this one wait, not fail half-way.
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    for job in batch {
        job.run(&transaction)?;
    }
    transaction.commit()
}
