//! Answers to commands on what has a long stream: they go on from a row of the read model
//! instead of folding the stream from its beginning, so that no change costs more the more of
//! them there were.

use axum::response::Response;
use jangbu_commands::Answer;
use jangbu_kernel::RecordedEvent;
use jangbu_projections::fold::FoldError;
use uuid::Uuid;

use super::call::Call;
use super::prefer::Stage;
use super::problem::Problem;
use super::reply::{Made, Outcome};
use super::resource::{Resource, of_answer, reach};
use crate::state::App;

/// A row whose stream may be so long that folding it for an answer is worth avoiding.
pub(crate) trait LongStream: Resource {
    /// The row with the events folded in that stand behind its version.
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError>;
}

/// The row as the read model has it before a command is carried out. It is read then because
/// soon after others may have changed it again, and no row leads back to an earlier version.
pub(crate) struct Before<R>(Option<R>);

impl<R: LongStream> Before<R> {
    pub(crate) async fn read(app: &App, id: Uuid) -> Self {
        // A read model that does not answer costs a fold of the whole stream, not the command.
        Self(R::find(&app.state.queries, id).await.unwrap_or_default())
    }

    /// Answers the command with what it left.
    pub(crate) async fn answer(self, app: &App, call: &Call, answer: Answer) -> Result<Response, Problem> {
        let row = self.of_answer(app, &answer).await?;
        let reached = reach(app, call, answer.position, row.order_id()).await;
        // A client that waits for the end is shown the final state, also on a repeat.
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

    /// The row at exactly the version that the answer speaks of. A repeat of what was answered
    /// long ago has a version before the row's: then the stream is folded up to there.
    async fn of_answer(self, app: &App, answer: &Answer) -> Result<R, Problem> {
        let Some(row) = self.0.filter(|row| row.version() <= answer.version) else {
            return of_answer(app, answer).await;
        };
        let own = answer.events.iter().filter(|event| event.stream == answer.stream);
        let own: Vec<RecordedEvent> = own.map(|event| RecordedEvent::clone(event)).collect();
        if own.first().is_some_and(|first| first.version == row.version() + 1) {
            return Ok(row.fold_onto(&own)?);
        }
        if row.version() == answer.version {
            return Ok(row);
        }
        // The read model was behind, or others were faster.
        let from = row.version() + 1;
        let events = app.state.commands.between(answer.stream, from, Some(answer.version)).await?;
        Ok(row.fold_onto(&events)?)
    }
}

/// The row as it is now, and the position of its last change.
async fn now<R: LongStream>(app: &App, answer: &Answer, row: R) -> Result<(R, u64), Problem> {
    let found = R::find(&app.state.queries, answer.stream.id).await?;
    let row = found.filter(|newer| newer.version() > row.version()).unwrap_or(row);
    // The event at the row's own version is among them: it tells the position.
    let mut events = app.state.commands.between(answer.stream, row.version(), None).await?;
    let position = events.last().map_or(answer.position, |last| last.position.max(answer.position));
    events.retain(|event| event.version > row.version());
    Ok((row.fold_onto(&events)?, position))
}
