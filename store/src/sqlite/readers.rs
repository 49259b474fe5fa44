//! Connections that cannot write, used outside the async threads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jangbu_kernel::log::LogError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::Semaphore;

use super::setup;

/// A read that failed.
#[derive(Debug)]
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Log(LogError),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LogError> for ReadError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Log(error) => error,
            ReadError::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
                _ => Self::Unavailable("the store cannot be read".into(), Some(Box::new(error))),
            },
        }
    }
}

/// A bounded pool. Connections are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    size: u32,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, size: u32, busy_timeout: Duration) -> Self {
        let size = size.max(1);
        Self { path, busy_timeout, size, turns: Arc::new(Semaphore::new(size as usize)), idle: Arc::default() }
    }

    /// Runs `work` in one read transaction, so that several statements see one state.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, LogError> {
        let closed = || LogError::Unavailable("the store is closed".into(), None);
        let turn = tokio::time::timeout(self.busy_timeout, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_| LogError::Unavailable("no reader came free in time".into(), None))?
            .map_err(|_| closed())?;
        let (path, busy_timeout, idle) = (self.path.clone(), self.busy_timeout, Arc::clone(&self.idle));
        let read = move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => setup::connect_reader(&path, busy_timeout)?,
            };
            let transaction = connection.unchecked_transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            // Only a connection whose work succeeded is used again.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(turn);
            Ok::<T, ReadError>(value)
        };
        let result = tokio::task::spawn_blocking(read).await;
        result
            .map_err(|error| LogError::Unavailable("a read was broken off".into(), Some(Box::new(error))))?
            .map_err(LogError::from)
    }

    /// Waits for running reads and closes the connections.
    pub(super) async fn close(&self) {
        if let Ok(turns) = self.turns.acquire_many(self.size).await {
            self.turns.close();
            drop(turns);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
