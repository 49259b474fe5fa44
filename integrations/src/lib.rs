//! Floor 2, the external systems: payment gateways, carriers, mail and messages, the vault, the clock and the source
//! of ids, each behind a port of `kernel`.
//!
//! Neither a rule of the shop nor anything of the log lives here: an adapter translates a port's
//! call into a foreign API and the answer back into an outcome, and a lost answer is always
//! `Unknown`, never a failure. Start with [`gateways`]; all calls go through [`outbound`], and all
//! messages from outside through [`webhooks`]. A new gateway or carrier is one file in its folder
//! and one line in the registry beside it.

pub mod carriers;
pub mod channels;
pub mod clock;
pub mod gateways;
pub mod ids;
pub mod outbound;
pub mod vault;
pub mod webhooks;

use secrecy::SecretString;
use thiserror::Error;

pub use clock::SystemClock;
pub use ids::UuidV7Source;
pub use outbound::OutboundPolicy;
pub use vault::{MasterKey, SealingVault, SecretBox};

/// How an external service is reached.
#[derive(Clone)]
pub struct ServiceSettings {
    /// Base address, `http://...` or `https://...`.
    pub base_url: String,
    /// The key that identifies the shop to it.
    pub api_key: SecretString,
    /// The secrets that sign its webhooks; more than one while a secret is rotated.
    pub webhook_secrets: Vec<SecretString>,
    /// Timeouts and retries of calls to it.
    pub policy: OutboundPolicy,
}

/// Why an adapter could not be created.
#[derive(Debug, Error)]
pub enum SetupError {
    /// No adapter has this name.
    #[error("there is no adapter named {0:?}")]
    UnknownName(String),
    /// The base address is not valid.
    #[error("the base address {0:?} is not an http or https address")]
    BaseUrl(String),
    /// The API key cannot be sent in a header.
    #[error("the API key holds characters that a header cannot carry")]
    ApiKey,
    /// There is no webhook secret, or one is not base64.
    #[error("a webhook secret is missing or is not base64")]
    WebhookSecret,
    /// No HTTP client could be created, for example because the machine has no trust anchors.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The address of the mail server is not valid. It is not repeated, since it may hold a password.
    #[error("the mail server's address is not understood, expected smtp://USER:PASSWORD@HOST:PORT or smtps://...")]
    MailServer,
    /// The sender of mails is not an address.
    #[error("{0:?} is not a sender, expected ADDRESS or NAME <ADDRESS>")]
    MailFrom(String),
    /// The breaker's settings are not valid.
    #[error("the circuit breaker's settings make no sense: {0}")]
    Breaker(String),
}
