//! Payment gateways. A new one is a file here and a line in [`GATEWAYS`].

pub mod hostpay;
pub mod sandbox;

use std::sync::Arc;

use jangbu_kernel::gateway::PaymentGateway;
use reqwest::Url;

use crate::{ServiceSettings, SetupError};

/// Creates an adapter.
pub type Connect = fn(&ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError>;

/// Every gateway that has an adapter.
pub const GATEWAYS: &[(&str, Connect)] = &[(sandbox::NAME, sandbox::connect), (hostpay::NAME, hostpay::connect)];

/// The adapter of the gateway with this name.
///
/// # Errors
/// When there is none, or the settings are unusable.
pub fn connect(name: &str, settings: &ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError> {
    let found = GATEWAYS.iter().find(|(known, _)| *known == name);
    let (_, connect) = found.ok_or_else(|| SetupError::UnknownName(name.to_owned()))?;
    connect(settings)
}

/// Whether a buyer can be redirected there.
fn is_page(url: &str) -> bool {
    const LONGEST: usize = 2_000;
    url.len() <= LONGEST && Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Whether a charge's reference is safe as a path segment. References come from the gateway or from
/// staff, and one that could change the path is not sent.
fn is_plain(reference: &str) -> bool {
    const LONGEST: usize = 100;
    (1..=LONGEST).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
