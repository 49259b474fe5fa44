//! Ends a run of an import. Writes `import`.

use jangbu_kernel::{ImportId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::import::{Import, ImportCommand, ImportCounts, ImportEnd};
use crate::state::{Missing, States};

/// Ends a run of an import. Writes `import`.
#[derive(Clone, Debug, PartialEq)]
pub struct EndImport {
    /// Which import.
    pub import_id: ImportId,
    /// Which run.
    pub run: u32,
    /// How far it came.
    pub counts: ImportCounts,
    /// With its file, or before that.
    pub end: ImportEnd,
}

impl Command for EndImport {
    const RULES: Rules = Rules::internal("end_import");

    fn subject(&self) -> StreamId {
        StreamId::import(self.import_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let command = ImportCommand::End { run: self.run, counts: self.counts, end: self.end };
        append.only::<Import>(self.import_id, &command)
    }
}
