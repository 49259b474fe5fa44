//! Opens a further location. Writes `locations`.

use jangbu_kernel::{RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::locations::{LocationCode, Locations, LocationsCommand};
use crate::state::{Missing, States};

/// Opens a further location.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenLocation {
    /// The code that it gets.
    pub code: LocationCode,
    /// What it is called, 1-100 characters.
    pub name: String,
}

impl Command for OpenLocation {
    const RULES: Rules = Rules::new(
        "open_location",
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
        let open = LocationsCommand::Open { code: self.code.clone(), name: self.name.clone() };
        append.only::<Locations>(StreamId::locations().id, &open)
    }
}
