//! The HTTP client of commands that talk to a server.

use std::time::Duration;

/// Less than servers keep an idle connection: a request on a connection that the server closes at
/// the same moment is lost.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// A client for one server.
///
/// # Errors
/// When a server with TLS has to be reached from a machine without trust anchors.
pub fn client(base_url: &str, patience: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .timeout(patience)
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(LONGEST_IDLE)
        .no_proxy();
    // Without TLS no trust anchors are needed, and a minimal machine has none.
    if base_url.starts_with("https://") { builder.build() } else { builder.tls_certs_only([]).build() }
}
