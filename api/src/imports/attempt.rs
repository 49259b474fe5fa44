//! Has one command of an import carried out, and says what became of it.

use std::time::Duration;

use jangbu_commands::{Answer, CommandError, Commands, ImportInterruption, ImportKind, Request};
use uuid::Uuid;

use super::line::{Outcome, RowOutcome};
use super::rows::in_the_row;
use crate::http::problem::{Code, Problem};

/// How often a command is tried while the store takes no writes, and how long is waited in between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What these events, by their types, made of a row.
pub(super) fn outcome_of<'a>(mut types: impl Iterator<Item = &'a str>) -> Outcome {
    match types.next() {
        None => Outcome::Unchanged,
        Some("product.created") => Outcome::Created,
        Some(_) => Outcome::Changed,
    }
}

/// Why a row was not carried out; an error ends the import.
pub(super) fn refused(
    number: u64,
    product_id: Option<Uuid>,
    kind: ImportKind,
    is_csv: bool,
    error: CommandError,
) -> Result<RowOutcome, ImportInterruption> {
    if matches!(error, CommandError::ShuttingDown) {
        return Err(ImportInterruption::ServerStopping);
    }
    if error.is_transient() {
        tracing::warn!(row = number, %error, "an import stops");
        return Err(ImportInterruption::StoreUnavailable);
    }
    let problem = Problem::from(error);
    let mut outcome = RowOutcome::refused(number, product_id, &problem);
    outcome.pointer = match outcome.pointer.take() {
        Some(pointer) => Some(in_the_row(kind, is_csv, &pointer)),
        None if kind == ImportKind::Stock && problem.code() == Code::NotFound => Some("/product_id".to_owned()),
        None => None,
    };
    Ok(outcome)
}

/// Executes a command, for as long as the store may take it after all.
pub(super) async fn persist(commands: &Commands, request: &Request) -> Result<Answer, CommandError> {
    let mut tries = 1;
    loop {
        match commands.execute(request.clone()).await {
            Err(error) if error.is_transient() && tries < TRIES => {
                tracing::debug!(%error, tries, "a row of an import is tried again");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}
