//! The connections for appending, and those of the decider. A pool tests and tidies a connection between
//! two uses, which is a round trip each; a lane is used as long as it works and
//! thrown away when anything about it is in doubt.

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

/// A connection in use. Dropped, it is closed and the server rolls back.
pub(super) struct Lane<'a> {
    pub(super) connection: PgConnection,
    lanes: &'a Lanes,
    _turn: SemaphorePermit<'a>,
}

impl Lanes {
    pub(super) fn new(connect: Connect, lanes: u32, timeout: Duration) -> Self {
        Self { connect, timeout, turns: Semaphore::new(lanes.max(1) as usize), idle: Mutex::default() }
    }

    /// A lane, waiting for one if all are in use.
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

    /// Refuses further work and closes what is idle.
    pub(super) async fn close(&self) {
        self.turns.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            // Nothing is open on it; if the goodbye fails the server notices by itself.
            let _ = connection.close().await;
        }
    }
}

impl Lane<'_> {
    /// Keeps the connection for the next use. Only after the server has
    /// answered the last statement and no transaction is open.
    pub(super) fn give_back(self) {
        let Self { connection, lanes, .. } = self;
        lanes.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
