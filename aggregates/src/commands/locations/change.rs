//! Changes a location. Writes `locations`.

use jangbu_kernel::{RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::{LocationCode, Locations, LocationsCommand};
use crate::state::{Missing, States};

/// Renames, closes or reopens a location. What is at a closed one can leave, and nothing comes in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeLocation {
    /// Which location.
    pub code: LocationCode,
    /// What it is called, 1-100 characters; none: as it is.
    pub name: Option<String>,
    /// Whether goods can come in; none: as it is.
    pub active: Option<bool>,
}

impl Command for ChangeLocation {
    const RULES: Rules = Rules::new(
        "change_location",
        Reach::Any(Permission::StockWrite),
        Key::Optional,
        &[RefusalCode::LocationConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::locations()
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let change = LocationsCommand::Change { code: self.code.clone(), name: self.name.clone(), active: self.active };
        append.only::<Locations>(StreamId::locations().id, &change)
    }
}
