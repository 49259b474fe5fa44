//! Logs when a required dependency is lost and when it is back: once each, however often it is
//! checked meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use jangbu_api::DependencyCheck;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the dependencies are checked.
const EVERY: Duration = Duration::from_secs(1);
/// Timeout of a check.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks until shutdown.
pub(super) async fn tell_what_is_lost(checks: Vec<(&'static str, DependencyCheck)>, shutdown: CancellationToken) {
    let mut lost: HashMap<&'static str, Instant> = HashMap::new();
    while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        for (name, check) in &checks {
            let Some(answer) = shutdown.run_until_cancelled(tokio::time::timeout(PATIENCE, check())).await else {
                return;
            };
            let problem = match answer {
                Ok(answer) => answer.err(),
                Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            note(&mut lost, name, problem);
        }
    }
}

fn note(lost: &mut HashMap<&'static str, Instant>, name: &'static str, problem: Option<String>) {
    match problem {
        Some(cause) if !lost.contains_key(name) => {
            lost.insert(name, Instant::now());
            tracing::error!(dependency = name, cause, "not ready any more: {name}: {cause}");
        }
        Some(_) => {}
        None => {
            if let Some(since) = lost.remove(name) {
                let seconds = since.elapsed().as_secs();
                tracing::info!(dependency = name, seconds, "ready again: {name}, after {seconds} s");
            }
        }
    }
}
