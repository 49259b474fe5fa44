//! The state and the decisions of the locations.

use std::collections::BTreeMap;

use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::LocationCode;
use super::event::{LocationClosed, LocationOpened, LocationRenamed, LocationReopened, LocationsEvent};
use crate::checks;
use crate::facts::Facts;

/// Locations of a shop, `main` among them.
const MOST: usize = 100;
/// Characters of a location's name.
const LONGEST_NAME: usize = 100;

/// A location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// What it is called.
    pub name: String,
    /// Whether goods can come in.
    pub active: bool,
}

/// The locations of the shop by their codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Locations {
    all: BTreeMap<LocationCode, Location>,
}

impl Default for Locations {
    fn default() -> Self {
        let main = Location { name: LocationCode::MAIN.to_owned(), active: true };
        Self { all: [(LocationCode::main(), main)].into() }
    }
}

/// A command on the locations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationsCommand {
    /// Keep goods at a further location.
    Open {
        /// The code that it gets.
        code: LocationCode,
        /// What it is called, 1-100 characters.
        name: String,
    },
    /// Change a location. What is none stays as it is.
    Change {
        /// Which.
        code: LocationCode,
        /// What it is called.
        name: Option<String>,
        /// Whether goods can come in.
        active: Option<bool>,
    },
}

impl Locations {
    /// All of them, in the order of their codes.
    pub fn all(&self) -> impl Iterator<Item = (&LocationCode, &Location)> {
        self.all.iter()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, code: &LocationCode) -> Option<&Location> {
        self.all.get(code)
    }

    fn open(&self, code: &LocationCode, name: &str) -> Decision<LocationsEvent> {
        if self.all.contains_key(code) {
            return conflict("there is a location with this code", "/code").into();
        }
        if let Err(refusal) = check_name(name) {
            return refusal.into();
        }
        if self.all.len() >= MOST {
            return conflict(&format!("a shop has at most {MOST} locations"), "/code").into();
        }
        Decision::one(LocationOpened { code: code.clone(), name: name.to_owned() })
    }

    fn change(&self, code: &LocationCode, name: Option<&str>, active: Option<bool>) -> Decision<LocationsEvent> {
        let Some(location) = self.all.get(code) else { return checks::not_found("location").into() };
        if let Some(Err(refusal)) = name.map(check_name) {
            return refusal.into();
        }
        if code.is_main() && active == Some(false) {
            return conflict("the main location is not closed", "/active").into();
        }
        let name = name.filter(|name| *name != location.name);
        let renamed = name.map(|name| LocationRenamed { code: code.clone(), name: name.to_owned() }.into());
        let turned = active.filter(|active| *active != location.active).map(|active| {
            let code = code.clone();
            if active { LocationReopened { code }.into() } else { LocationClosed { code }.into() }
        });
        let events: Vec<LocationsEvent> = renamed.into_iter().chain(turned).collect();
        if events.is_empty() { Decision::AlreadyDone } else { Decision::Record(events) }
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        let detail = format!("a name has 1 to {LONGEST_NAME} characters");
        return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/name"));
    }
    Ok(())
}

fn conflict(detail: &str, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::LocationConflict, detail).at(pointer)
}

impl Decider for Locations {
    const KIND: AggregateKind = AggregateKind::Locations;
    const STATE_VERSION: u16 = 1;
    type Event = LocationsEvent;
    type Command = LocationsCommand;
    type Facts = Facts;

    fn decide(&self, command: &LocationsCommand, _: &Facts) -> Decision<LocationsEvent> {
        match command {
            LocationsCommand::Open { code, name } => self.open(code, name),
            LocationsCommand::Change { code, name, active } => self.change(code, name.as_deref(), *active),
        }
    }

    fn evolve(&mut self, event: &LocationsEvent) {
        match event {
            LocationsEvent::Opened(opened) => {
                let location = Location { name: opened.name.clone(), active: true };
                self.all.insert(opened.code.clone(), location);
            }
            LocationsEvent::Renamed(renamed) => {
                if let Some(location) = self.all.get_mut(&renamed.code) {
                    location.name.clone_from(&renamed.name);
                }
            }
            LocationsEvent::Closed(closed) => {
                if let Some(location) = self.all.get_mut(&closed.code) {
                    location.active = false;
                }
            }
            LocationsEvent::Reopened(reopened) => {
                if let Some(location) = self.all.get_mut(&reopened.code) {
                    location.active = true;
                }
            }
        }
    }
}
