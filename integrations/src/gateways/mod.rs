//! Payment gateways. A new one is a file here and a line in [`GATEWAYS`].

pub mod sandbox;

use std::sync::Arc;

use jangbu_kernel::gateway::PaymentGateway;

use crate::{ServiceSettings, SetupError};

/// Makes an adapter.
pub type Connect = fn(&ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError>;

/// Every gateway there is an adapter for.
pub const GATEWAYS: &[(&str, Connect)] = &[(sandbox::NAME, sandbox::connect)];

/// The adapter of the gateway with this name.
///
/// # Errors
/// When there is none, or the settings are unusable.
pub fn connect(name: &str, settings: &ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError> {
    let found = GATEWAYS.iter().find(|(known, _)| *known == name);
    let (_, connect) = found.ok_or_else(|| SetupError::UnknownName(name.to_owned()))?;
    connect(settings)
}
