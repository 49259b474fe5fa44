//! The thread that owns the writing connection. It takes all jobs that wait in the queue, runs them
//! in one transaction, commits, and only then answers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_kernel::log::LogError;
use jangbu_sqlite::{Checkpointer, Queue, move_all};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::keys::Keys;
use super::mark::Marker;
use super::read;
use super::receipts::Receipts;
use super::streams::Streams;
use super::versions::Versions;
use crate::error::StoreError;
use crate::handled::Handled;
use crate::head::HeadSignal;
use crate::row::to_u64;

/// Jobs that may wait in the queue. Further senders wait for a free place and keep their job until
/// then.
const QUEUE: usize = 256;
/// The most jobs, and the greatest weight (events), that share a transaction. They bound how long
/// one commit makes all callers wait.
const MAX_JOBS: usize = 64;
const MAX_WEIGHT: usize = 2_000;
/// The size of the WAL in bytes from which the writer runs a full checkpoint, which waits for
/// readers. Below it, the checkpoints of the other thread suffice, unless readers overlap without a
/// gap.
const WAL_LIMIT_BYTES: u64 = 256 * 1024 * 1024;
/// Commits between two looks at the WAL's size.
const COMMITS_PER_LOOK: u32 = 64;

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Unavailable(String),
    ReadOnly(String),
    Damaged(String),
    /// The commit's write to the disk failed, so it is unknown what is stored.
    Unknown(String),
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(text) => Self::Unavailable(text, None),
            Failure::ReadOnly(text) => Self::ReadOnly(text),
            Failure::Damaged(text) => Self::Damaged(text),
            Failure::Unknown(text) => Self::OutcomeUnknown(text),
        }
    }
}

/// A running transaction.
pub(super) struct Inside<'a> {
    pub connection: &'a Connection,
    pub versions: &'a mut Versions,
    pub receipts: &'a mut Receipts,
    pub streams: &'a mut Streams,
    /// Set when the same jobs have failed before: nothing may be assumed without reading it.
    pub careful: bool,
}

/// Something to do inside a transaction. It may run again in another transaction when another job
/// in the same one failed.
pub(super) trait Job: Send {
    /// Does the work. Called inside a transaction.
    fn run(&mut self, inside: &mut Inside<'_>) -> rusqlite::Result<()>;
    /// Answers, after the commit or the rollback.
    fn settle(self: Box<Self>, outcome: Result<(), Failure>);
    /// Its share of [`MAX_WEIGHT`].
    fn weight(&self) -> usize;
}

/// A small write, given as a closure.
pub(super) struct Task<T, F> {
    work: F,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, LogError>>,
}

impl<T, F: Fn(&Connection) -> rusqlite::Result<T>> Task<T, F> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, LogError>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { work, value: None, answer }, receiver)
    }
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> Job for Task<T, F> {
    fn run(&mut self, inside: &mut Inside<'_>) -> rusqlite::Result<()> {
        self.value = Some((self.work)(inside.connection)?);
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { value, answer, .. } = *self;
        // The caller may be gone; the write is valid all the same.
        let _ = answer.send(outcome.map_err(LogError::from).and_then(|()| value.ok_or_else(gone)));
    }

    fn weight(&self) -> usize {
        1
    }
}

enum Message {
    Job(Box<dyn Job>),
    Migrate(oneshot::Sender<Result<(), StoreError>>),
}

/// The handle to the thread.
pub(super) struct Writer {
    thread: jangbu_sqlite::Writer<Message>,
    failed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread. It keeps the lock on the folder until the last queued job is done.
    pub(super) fn spawn(writing: Loop) -> std::io::Result<Self> {
        let failed = Arc::clone(&writing.failed);
        let thread = jangbu_sqlite::Writer::spawn("store-writer", QUEUE, |queue| writing.run(queue))?;
        Ok(Self { thread, failed })
    }

    /// Sends a job to the thread. Once this returns, the job is carried out even if its caller is
    /// gone.
    pub(super) async fn send(&self, job: Box<dyn Job>) -> Result<(), LogError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(failed_before().into());
        }
        self.thread.send(Message::Job(job)).await.map_err(|_| gone())
    }

    /// Whether a write to the disk has failed, after which nothing more is written.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) async fn migrate(&self) -> Result<Result<(), StoreError>, LogError> {
        let (answer, receiver) = oneshot::channel();
        self.thread.send(Message::Migrate(answer)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }

    /// Lets the thread finish the queued jobs and waits for it.
    pub(super) async fn close(&self) {
        if !self.thread.end().await {
            tracing::error!("the store's writer thread ended badly");
        }
    }
}

pub(super) fn gone() -> LogError {
    LogError::Unavailable("the store is closed".into(), None)
}

fn failed_before() -> Failure {
    Failure::Unavailable("an earlier write to the disk failed, the process has to be restarted".into())
}

/// The data of the thread.
pub(super) struct Loop {
    connection: Connection,
    keys: Keys,
    checkpointer: Checkpointer,
    versions: Versions,
    receipts: Receipts,
    streams: Streams,
    handled: Arc<Handled>,
    /// The marks that the running transaction writes.
    riding: Vec<i64>,
    marker: Marker,
    lock: File,
    wal: PathBuf,
    head: Arc<HeadSignal>,
    failed: Arc<AtomicBool>,
    commits: u32,
}

impl Loop {
    pub(super) fn new(
        (connection, keys): (Connection, Keys),
        checkpointer: Checkpointer,
        (receipts, streams, handled): (Receipts, Streams, Arc<Handled>),
        lock: File,
        (folder, path): (&Path, &Path),
        (head, failed): (Arc<HeadSignal>, Arc<AtomicBool>),
    ) -> Self {
        Self {
            connection,
            keys,
            checkpointer,
            versions: Versions::new(),
            receipts,
            streams,
            handled,
            riding: Vec::new(),
            marker: Marker::new(folder, path),
            lock,
            wal: jangbu_sqlite::beside(path, "-wal"),
            head,
            failed,
            commits: 0,
        }
    }

    fn run(mut self, mut queue: Queue<Message>) {
        while let Some(message) = queue.next() {
            match message {
                Message::Job(job) => self.carry_out(take_more(job, &mut queue)),
                Message::Migrate(answer) => {
                    let _ = answer.send(self.migrate());
                }
            }
        }
        if self.checkpointer.stop().is_err() {
            tracing::error!("the store's checkpoint thread ended badly");
        }
        if self.failed.load(Ordering::Acquire) {
            // Moving the write-ahead log into the database would rely on pages that may never have
            // reached the disk, and SQLite does so when a connection is closed. The end of the
            // process closes it without that; the next start reads what is stored.
            std::mem::forget(self.connection);
            return;
        }
        self.marker.leave(&self.connection);
        if let Err(error) = move_all(&self.connection) {
            tracing::warn!(%error, "the write-ahead log was not folded in at the close, the next start will do it");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the store's connection did not close cleanly");
        }
        drop(self.lock);
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        self.keys.migrate(&mut self.connection)?;
        self.marker.leave(&self.connection);
        let failed = |cause| StoreError::Migrate(Box::new(cause));
        self.receipts.load(&mut self.connection).map_err(failed)?;
        self.streams.load(&mut self.connection).map_err(failed)
    }

    fn carry_out(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = self.transaction(&mut jobs);
        if matches!(outcome, Err(Failure::ReadOnly(_))) {
            self.checkpointer.make_room(&self.connection);
        }
        if jobs.len() > 1 && matches!(outcome, Err(Failure::Unavailable(_) | Failure::ReadOnly(_))) {
            // One of them may have made the others fail.
            for job in jobs {
                self.carry_out(vec![job]);
            }
            return;
        }
        let (head, outcome) = match outcome {
            Ok(head) => (Some(head), Ok(())),
            Err(failure) => (None, Err(failure)),
        };
        let rows = jobs.iter().map(|job| job.weight() as u64).sum();
        for job in jobs {
            job.settle(outcome.clone());
        }
        // Only now: watchers of the head find the new events in the tail.
        if let Some(head) = head {
            self.head.advance(to_u64(head));
            self.marker.committed(&self.connection);
            self.checkpointer.committed(rows, &self.connection);
            self.look_at_wal();
        }
    }

    /// Runs the jobs and commits; returns the head after it.
    fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<i64, Failure> {
        if self.failed.load(Ordering::Acquire) {
            return Err(failed_before());
        }
        let head = match self.run_inside(jobs, false) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.abandon(&error, false);
                self.run_inside(jobs, true)
            }
            other => other,
        };
        let head = match head {
            Ok(head) => head,
            Err(error) => return Err(self.abandon(&error, false)),
        };
        if let Err(error) = self.connection.execute_batch("commit") {
            return Err(self.abandon(&error, true));
        }
        self.receipts.committed();
        self.streams.committed();
        self.handled.marked(&self.riding);
        Ok(head)
    }

    fn run_inside(&mut self, jobs: &mut [Box<dyn Job>], careful: bool) -> rusqlite::Result<i64> {
        self.connection.execute_batch("begin immediate")?;
        let (versions, receipts, streams) = (&mut self.versions, &mut self.receipts, &mut self.streams);
        let mut inside = Inside { connection: &self.connection, versions, receipts, streams, careful };
        for job in jobs {
            job.run(&mut inside)?;
        }
        self.receipts.enter_some(&self.connection)?;
        self.streams.enter_some(&self.connection)?;
        self.take_marks_along()?;
        read::head(&self.connection)
    }

    /// Marks the handled messages that wait.
    fn take_marks_along(&mut self) -> rusqlite::Result<()> {
        self.riding = self.handled.waiting();
        if self.riding.is_empty() {
            return Ok(());
        }
        let mut mark = self.connection.prepare_cached("update inbox set handled = 1 where sequence = ?1")?;
        for sequence in &self.riding {
            mark.execute([sequence])?;
        }
        Ok(())
    }

    /// Rolls back, and decides what the failure means for the callers and for later writes.
    fn abandon(&mut self, error: &rusqlite::Error, committing: bool) -> Failure {
        self.versions.clear();
        self.receipts.rolled_back();
        self.streams.rolled_back();
        let (failure, fatal) = classify(error, committing);
        if fatal {
            self.failed.store(true, Ordering::Release);
            tracing::error!(%error, "a write to the disk failed: no append is accepted until the process is restarted");
        }
        // After some errors SQLite has already rolled back, and no transaction is open.
        if !self.connection.is_autocommit() && self.connection.execute_batch("rollback").is_err() {
            self.failed.store(true, Ordering::Release);
        }
        failure
    }

    /// Keeps the WAL from growing without limit when readers overlap.
    fn look_at_wal(&mut self) {
        self.commits += 1;
        if !self.commits.is_multiple_of(COMMITS_PER_LOOK) {
            return;
        }
        let grown = std::fs::metadata(&self.wal).is_ok_and(|file| file.len() > WAL_LIMIT_BYTES);
        if grown && let Err(error) = move_all(&self.connection) {
            tracing::warn!(%error, "the write-ahead log is long and could not be folded in");
        }
    }
}

/// Takes the jobs that wait behind the first one, within the limits of one transaction.
fn take_more(first: Box<dyn Job>, queue: &mut Queue<Message>) -> Vec<Box<dyn Job>> {
    let mut weight = first.weight();
    let mut jobs = vec![first];
    while jobs.len() < MAX_JOBS
        && weight < MAX_WEIGHT
        && let Some(Message::Job(job)) = queue.next_if(|message| matches!(message, Message::Job(_)))
    {
        weight += job.weight();
        jobs.push(job);
    }
    jobs
}

/// What an error means, and whether the engine may go on after it.
fn classify(error: &rusqlite::Error, committing: bool) -> (Failure, bool) {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => (Failure::ReadOnly(text), false),
        // The index of the write-ahead log could not grow, as on a full disk. The frames may
        // already be on the disk, and are valid if the process ends before others overwrite them.
        Some(_) if error.sqlite_error().is_some_and(is_index_too_small) => {
            if committing {
                (Failure::Unknown(text), false)
            } else {
                (Failure::ReadOnly(text), false)
            }
        }
        // After a failed fsync the system may have dropped the pages: trying again could succeed
        // without anything being on the disk.
        Some(ErrorCode::SystemIoFailure) if committing => (Failure::Unknown(text), true),
        Some(ErrorCode::SystemIoFailure) => (Failure::Unavailable(text), true),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (Failure::Damaged(text), true),
        // A constraint that is checked only at the commit: the transaction is still open.
        Some(ErrorCode::ConstraintViolation) => (Failure::Unavailable(text), false),
        // All other errors of a commit come after it began to write.
        _ if committing => (Failure::Unknown(text), false),
        _ => (Failure::Unavailable(text), false),
    }
}

fn is_index_too_small(error: &rusqlite::ffi::Error) -> bool {
    error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn a_full_disk_refuses_writes_and_goes_on() {
        for committing in [false, true] {
            let (outcome, fatal) = classify(&failure(rusqlite::ffi::SQLITE_FULL), committing);
            assert!(matches!(outcome, Failure::ReadOnly(_)));
            assert!(!fatal);
        }
    }

    #[test]
    fn an_index_that_cannot_grow_is_a_full_disk() {
        let (outcome, fatal) = classify(&failure(rusqlite::ffi::SQLITE_IOERR_SHMSIZE), false);
        assert!(matches!(outcome, Failure::ReadOnly(_)));
        assert!(!fatal);
        let (outcome, fatal) = classify(&failure(rusqlite::ffi::SQLITE_IOERR_SHMSIZE), true);
        assert!(matches!(outcome, Failure::Unknown(_)));
        assert!(!fatal);
    }

    /// A write that is not known to be undone is never reported as undone.
    #[test]
    fn a_commit_that_failed_for_another_reason_is_an_unknown_outcome() {
        for code in [rusqlite::ffi::SQLITE_NOMEM, rusqlite::ffi::SQLITE_BUSY, rusqlite::ffi::SQLITE_INTERRUPT] {
            assert!(matches!(classify(&failure(code), true), (Failure::Unknown(_), false)));
            assert!(matches!(classify(&failure(code), false), (Failure::Unavailable(_), false)));
        }
        let refused = classify(&failure(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY), true);
        assert!(matches!(refused, (Failure::Unavailable(_), false)));
    }

    #[test]
    fn a_failed_sync_at_the_commit_is_an_unknown_outcome_and_the_end() {
        let (outcome, fatal) = classify(&failure(rusqlite::ffi::SQLITE_IOERR_FSYNC), true);
        assert!(matches!(outcome, Failure::Unknown(_)));
        assert!(fatal);
        let (outcome, fatal) = classify(&failure(rusqlite::ffi::SQLITE_IOERR_READ), false);
        assert!(matches!(outcome, Failure::Unavailable(_)));
        assert!(fatal);
    }
}
