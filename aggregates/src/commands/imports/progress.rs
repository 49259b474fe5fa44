//! Notes how far a run of an import has come. Writes `import`.

use jangbu_kernel::{ImportId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::import::{Import, ImportCommand, ImportCounts};
use crate::state::{Missing, States};

/// Notes how far a run of an import has come. Writes `import`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordImportProgress {
    /// Which import.
    pub import_id: ImportId,
    /// Which run.
    pub run: u32,
    /// How far.
    pub counts: ImportCounts,
}

impl Command for RecordImportProgress {
    const RULES: Rules = Rules::internal("record_import_progress");

    fn subject(&self) -> StreamId {
        StreamId::import(self.import_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let command = ImportCommand::Progress { run: self.run, counts: self.counts };
        append.only::<Import>(self.import_id, &command)
    }
}
