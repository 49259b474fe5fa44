//! Begins a run of an import. Writes `import`.

use jangbu_kernel::{ImportId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::import::{Import, ImportCommand, ImportKind};
use crate::state::{Missing, States};

/// Begins a run of an import. Writes `import`.
#[derive(Clone, Debug, PartialEq)]
pub struct StartImport {
    /// Which import.
    pub import_id: ImportId,
    /// What the rows of its file are.
    pub kind: ImportKind,
    /// How many.
    pub rows: u64,
}

impl Command for StartImport {
    const RULES: Rules = Rules::internal("start_import");

    fn subject(&self) -> StreamId {
        StreamId::import(self.import_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let command = ImportCommand::Start { kind: self.kind, rows: self.rows };
        append.only::<Import>(self.import_id, &command)
    }
}
