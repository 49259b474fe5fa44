//! What an import keeps in mind, and what it decides.

use jangbu_kernel::{AggregateKind, Decider, Decision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{
    ImportCounts, ImportEvent, ImportFinished, ImportInterrupted, ImportInterruption, ImportKind, ImportProgressed,
    ImportStarted,
};
use crate::checks;
use crate::facts::Facts;

/// An import; before its first run, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    state: Option<ImportState>,
    /// The newest run, from 1; 0 before the first.
    run: u32,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportState {
    /// Rows are being carried out.
    Running,
    /// Every row has had its outcome.
    Done,
    /// It ended early; the file can be sent again.
    Interrupted,
}

jangbu_kernel::named!(ImportState);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportEnd {
    /// With its file.
    Finished,
    /// Before that.
    Interrupted(ImportInterruption),
}

/// What can be asked of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportCommand {
    /// Begin a run over a file with so many rows.
    Start {
        /// What the rows are.
        kind: ImportKind,
        /// How many.
        rows: u64,
    },
    /// Note how far a run has come.
    Progress {
        /// Which run.
        run: u32,
        /// How far.
        counts: ImportCounts,
    },
    /// End a run.
    End {
        /// Which run.
        run: u32,
        /// How far it came.
        counts: ImportCounts,
        /// How.
        end: ImportEnd,
    },
}

impl Decider for Import {
    const KIND: AggregateKind = AggregateKind::Import;
    const STATE_VERSION: u16 = 1;
    type Event = ImportEvent;
    type Command = ImportCommand;
    type Facts = Facts;

    fn decide(&self, command: &ImportCommand, _: &Facts) -> Decision<ImportEvent> {
        match command {
            ImportCommand::Start { kind, rows } => {
                Decision::one(ImportStarted { kind: *kind, run: self.run.saturating_add(1), rows: *rows })
            }
            ImportCommand::Progress { .. } | ImportCommand::End { .. } if self.state.is_none() => {
                checks::not_found("import").into()
            }
            ImportCommand::Progress { run, .. } | ImportCommand::End { run, .. } if !self.is_running(*run) => {
                Decision::AlreadyDone
            }
            ImportCommand::Progress { run, counts } => Decision::one(ImportProgressed { run: *run, counts: *counts }),
            ImportCommand::End { run, counts, end: ImportEnd::Finished } => {
                Decision::one(ImportFinished { run: *run, counts: *counts })
            }
            ImportCommand::End { run, counts, end: ImportEnd::Interrupted(reason) } => {
                Decision::one(ImportInterrupted { run: *run, counts: *counts, reason: *reason })
            }
        }
    }

    fn evolve(&mut self, event: &ImportEvent) {
        self.state = Some(match event {
            ImportEvent::Started(started) => {
                self.run = started.run;
                ImportState::Running
            }
            ImportEvent::Progressed(_) => ImportState::Running,
            ImportEvent::Finished(_) => ImportState::Done,
            ImportEvent::Interrupted(_) => ImportState::Interrupted,
        });
    }
}

impl Import {
    /// Where it stands; none before its first run.
    #[must_use]
    pub const fn state(&self) -> Option<ImportState> {
        self.state
    }

    fn is_running(&self, run: u32) -> bool {
        self.state == Some(ImportState::Running) && self.run == run
    }
}
