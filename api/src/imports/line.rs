//! What an import tells: a line of JSON for each row, and a last one for the whole.

use jangbu_commands::{ImportCounts, ImportInterruption, ImportState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem::{Code, FieldProblem, Problem};
use crate::http::words;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It made something.
    Created,
    /// It changed something.
    Changed,
    /// Its effect was there already.
    Unchanged,
    /// An earlier run of this import had carried it out.
    Replayed,
    /// The shop refused it.
    Refused,
    /// It could not be understood.
    Invalid,
}

jangbu_kernel::named!(Outcome);

impl Outcome {
    pub(super) const fn count(self, counts: &mut ImportCounts) {
        let count = match self {
            Self::Created => &mut counts.created,
            Self::Changed => &mut counts.changed,
            Self::Unchanged => &mut counts.unchanged,
            Self::Replayed => &mut counts.replayed,
            Self::Refused => &mut counts.refused,
            Self::Invalid => &mut counts.invalid,
        };
        *count = count.saturating_add(1);
    }
}

/// What became of a row of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowOutcome {
    /// Which row, from 1; the head of a CSV file is none.
    pub row: u64,
    /// What became of it; in a dry run, what would.
    #[schema(value_type = words::RowOutcomeWord)]
    pub outcome: Outcome,
    /// The product that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Uuid>,
    /// Why it was refused or is invalid: a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The column or the field that is in the way: a JSON pointer (RFC 6901) into the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Everything that is wrong with it, when it is more than that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RowError>,
}

/// One thing that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// The column or the field: a JSON pointer (RFC 6901) into the row.
    pub pointer: String,
    /// Stable code of the broken rule.
    #[schema(examples("required"))]
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
}

impl RowOutcome {
    pub(super) fn of(row: u64, outcome: Outcome, product_id: Option<Uuid>) -> Self {
        Self { row, outcome, product_id, code: None, pointer: None, detail: None, errors: Vec::new() }
    }

    pub(super) fn invalid(row: u64, product_id: Option<Uuid>, problems: Vec<FieldProblem>) -> Self {
        let mut errors: Vec<_> = problems
            .into_iter()
            .map(|problem| RowError { pointer: problem.pointer, code: problem.code.to_owned(), detail: problem.detail })
            .collect();
        let first = errors.first().cloned();
        if errors.len() < 2 {
            errors.clear();
        }
        let (code, pointer, detail) =
            first.map_or((None, None, None), |first| (Some(first.code), Some(first.pointer), Some(first.detail)));
        Self { row, outcome: Outcome::Invalid, product_id, code, pointer, detail, errors }
    }

    pub(super) fn refused(row: u64, product_id: Option<Uuid>, problem: &Problem) -> Self {
        let pointer = problem.errors().first().map(|error| error.pointer.clone());
        let outcome = if problem.code() == Code::ValidationFailed { Outcome::Invalid } else { Outcome::Refused };
        Self {
            row,
            outcome,
            product_id,
            code: Some(problem.code().name().to_owned()),
            pointer,
            detail: Some(problem.detail().to_owned()),
            errors: Vec::new(),
        }
    }

    /// Whether the row was not carried out because of what it says.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self.outcome, Outcome::Refused | Outcome::Invalid)
    }
}

/// What became of the file, told at last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportSummary {
    /// Under which it is found again; null for a dry run, which leaves nothing.
    pub import_id: Option<Uuid>,
    /// `done` when every row has had its outcome; sent again under its key, an `interrupted` one goes on.
    #[schema(value_type = words::ImportState)]
    pub state: ImportState,
    /// Why it was interrupted.
    #[schema(value_type = Option<words::ImportInterruption>)]
    pub reason: Option<ImportInterruption>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// How many rows the file has.
    pub rows: u64,
    /// Rows that made something.
    pub created: u64,
    /// Rows that changed something.
    pub changed: u64,
    /// Rows whose effect was there already.
    pub unchanged: u64,
    /// Rows that an earlier run of this import had carried out.
    pub replayed: u64,
    /// Rows that the shop refused.
    pub refused: u64,
    /// Rows that could not be understood.
    pub invalid: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A line of what an import tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ImportLine {
    /// Of a row.
    Row(RowOutcome),
    /// Of the whole, at last.
    Summary {
        /// What became of the file.
        summary: ImportSummary,
    },
}
