//! The connections for appending, and those of the decider. A pool tests and cleans a connection
//! between two uses, which takes a round trip each. A lane is reused as long as it works, and
//! discarded when its state is in doubt.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jangbu_kernel::log::LogError;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::Connect;
use super::setup;

pub(super) struct Lanes {
    connect: Connect,
    timeout: Duration,
    turns: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// A connection in use. If it is dropped, it is closed and the server rolls back.
pub(super) struct Lane<'a> {
    pub(super) connection: PgConnection,
    lanes: &'a Lanes,
    _turn: SemaphorePermit<'a>,
}

impl Lanes {
    pub(super) fn new(connect: Connect, lanes: u32, timeout: Duration) -> Self {
        Self { connect, timeout, turns: Semaphore::new(lanes.max(1) as usize), idle: Mutex::default() }
    }

    /// Takes a lane, and waits for one if all are in use.
    pub(super) async fn take(&self) -> Result<Lane<'_>, LogError> {
        let unavailable = |text: &str| LogError::Unavailable(text.into(), None);
        let turn = tokio::time::timeout(self.timeout, self.turns.acquire())
            .await
            .map_err(|_| unavailable("no connection came free in time"))?
            .map_err(|_| unavailable("the store is closed"))?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => tokio::time::timeout(self.timeout, self.connect.open())
                .await
                .map_err(|_| unavailable("the database does not answer"))?
                .map_err(setup::log_error)?,
        };
        Ok(Lane { connection, lanes: self, _turn: turn })
    }

    /// Refuses further work and closes the idle connections.
    pub(super) async fn close(&self) {
        self.turns.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            // No transaction is open on it. If closing it fails, the server notices that by itself.
            let _ = connection.close().await;
        }
    }
}

impl Lane<'_> {
    /// Returns the connection for the next use. Only to be called after the server has answered the
    /// last statement and no transaction is open.
    pub(super) fn give_back(self) {
        let Self { connection, lanes, .. } = self;
        lanes.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
