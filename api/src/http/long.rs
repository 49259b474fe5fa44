//! Answers to commands on resources with a long stream: they start from a row of the read model
//! instead of folding the stream from its beginning, so that the cost of a change does not grow
//! with the number of earlier ones.

use axum::response::Response;
use jangbu_commands::Answer;
use jangbu_kernel::{Position, RecordedEvent};
use jangbu_projections::fold::FoldError;
use uuid::Uuid;

use super::call::Call;
use super::prefer::Stage;
use super::problem::Problem;
use super::reply::{Made, Outcome};
use super::resource::{Resource, of_answer, reach};
use crate::state::App;

/// A row whose stream may be so long that folding all of it for an answer is avoided.
pub(crate) trait LongStream: Resource {
    /// The row with the events after its version folded in.
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError>;
}

/// The row as the read model had it before the command. It is read first because others may have
/// changed it soon after, and an earlier version cannot be computed from a later row.
pub(crate) struct Before<R>(Option<R>);

impl<R: LongStream> Before<R> {
    pub(crate) async fn read(app: &App, id: Uuid) -> Self {
        // If the read model does not answer, the whole stream is folded; the command does not fail.
        Self(R::find(&app.state.queries, id).await.unwrap_or_default())
    }

    /// Answers the command with the resource at the resulting version.
    pub(crate) async fn answer(self, app: &App, call: &Call, answer: Answer) -> Result<Response, Problem> {
        let row = self.of_answer(app, &answer).await?;
        let reached = reach(app, call, answer.position, row.order_id()).await;
        // A client that waits for the settled state is shown that state, also on a repeat.
        let (row, position) = match call.wait.stage {
            Stage::Settled => now(app, &answer, row).await?,
            Stage::Committed | Stage::Projected => (row, answer.position),
        };
        let outcome = Outcome {
            version: row.version(),
            position,
            replayed: answer.replayed,
            reached: reached.is_some(),
            made: Made::Changed,
        };
        let view = row.view(app).await?;
        Ok(outcome.respond(call, &view))
    }

    /// The row at exactly the version of the answer. A repeat of an old request has a version
    /// before the row's; the stream is folded up to that version then.
    async fn of_answer(self, app: &App, answer: &Answer) -> Result<R, Problem> {
        let Some(row) = self.0.filter(|row| row.version() <= answer.version) else {
            return of_answer(app, answer).await;
        };
        let own = answer.events.iter().filter(|event| event.stream == answer.stream);
        let own: Vec<RecordedEvent> = own.map(|event| RecordedEvent::clone(event)).collect();
        if own.first().is_some_and(|first| first.version == row.version().next()) {
            return Ok(row.fold_onto(&own)?);
        }
        if row.version() == answer.version {
            return Ok(row);
        }
        // The read model was behind, or other writers were faster.
        let from = row.version().next();
        let events = app.state.commands.between(answer.stream, from, Some(answer.version)).await?;
        Ok(row.fold_onto(&events)?)
    }
}

/// The row as it is now, and the position of its last change.
async fn now<R: LongStream>(app: &App, answer: &Answer, row: R) -> Result<(R, Position), Problem> {
    let found = R::find(&app.state.queries, answer.stream.id).await?;
    let row = found.filter(|newer| newer.version() > row.version()).unwrap_or(row);
    // The page includes the event at the row's own version, because it has the position.
    let mut events = app.state.commands.between(answer.stream, row.version(), None).await?;
    let position = events.last().map_or(answer.position, |last| last.position.max(answer.position));
    events.retain(|event| event.version > row.version());
    Ok((row.fold_onto(&events)?, position))
}
