//! The pool of connections for reading.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{EngineError, READ_PATIENCE, closed};

/// Connections for queries, as many as there are permits.
#[derive(Clone)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub fn new(idle: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(idle.len()));
        Self { idle: Arc::new(Mutex::new(idle)), permits }
    }

    /// Closes the connections; none is lent from now on.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A connection, as soon as one is free.
    pub async fn lend(&self) -> Result<Lent, EngineError> {
        let permit = tokio::time::timeout(READ_PATIENCE, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| EngineError::Unavailable("no reader came free in time".to_owned()))?
            .map_err(|_| closed())?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lent { connection, idle: Arc::clone(&self.idle), _permit: permit })
    }
}

/// A reader's connection, which returns to the pool on drop.
pub(crate) struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    pub fn connection(&mut self) -> Result<&mut Connection, EngineError> {
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
