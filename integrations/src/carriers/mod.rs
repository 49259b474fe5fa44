//! Carriers. A new one is a file here and a line in [`CARRIERS`]. [`delivery_tracker`] is beside them: it makes
//! no labels, and follows parcels of carriers that this program does not speak to itself.

pub mod delivery_tracker;
pub mod manual;
pub mod sandbox;

use std::sync::Arc;

use jangbu_kernel::gateway::Carrier;

use crate::{ServiceSettings, SetupError};

/// Creates an adapter.
pub type Connect = fn(&ServiceSettings) -> Result<Arc<dyn Carrier>, SetupError>;

/// Every carrier that has an adapter.
pub const CARRIERS: &[(&str, Connect)] = &[(sandbox::NAME, sandbox::connect), (manual::NAME, manual::connect)];

/// The adapter of the carrier with this name.
///
/// # Errors
/// When there is none, or the settings are unusable.
pub fn connect(name: &str, settings: &ServiceSettings) -> Result<Arc<dyn Carrier>, SetupError> {
    let found = CARRIERS.iter().find(|(known, _)| *known == name);
    let (_, connect) = found.ok_or_else(|| SetupError::UnknownName(name.to_owned()))?;
    connect(settings)
}
