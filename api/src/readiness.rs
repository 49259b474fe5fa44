//! Checks of the dependencies, for `/readyz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::http::words;

/// Checks one dependency; the text says what is wrong with it.
pub type DependencyCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A dependency by name.
type Named = (&'static str, DependencyCheck);

/// A dependency that does not answer in this time is down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A dependency.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DependencyCheck)]
pub(crate) struct CheckView {
    /// What it is.
    #[schema(examples("store"))]
    name: &'static str,
    /// Whether it answered within two seconds.
    #[schema(value_type = words::CheckState)]
    state: &'static str,
    /// Whether requests can only be served with it.
    required: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl CheckView {
    /// Whether this dependency allows the server to be ready.
    pub(crate) const fn lets_serve(&self) -> bool {
        self.detail.is_none() || !self.required
    }
}

/// The results of one check.
struct Looked {
    began: Instant,
    checks: Vec<CheckView>,
}

/// The last check of the dependencies; locked while a check runs.
#[derive(Default)]
pub(crate) struct LastLook(Mutex<Option<Looked>>);

impl LastLook {
    /// The state of every dependency, checked after the caller asked: the required ones first, then
    /// those outside, without which the shop takes orders all the same. One check at a time serves
    /// all callers that wait for one, because a check takes connections and probes have no rate
    /// limit.
    pub(crate) async fn look(&self, required: &[Named], outside: &[Named]) -> Vec<CheckView> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(looked) = last.as_ref().filter(|looked| looked.began >= asked) {
            return looked.checks.clone();
        }
        let began = Instant::now();
        let required = required.iter().map(|dependency| (dependency, true));
        let outside = outside.iter().map(|dependency| (dependency, false));
        let checks = required.chain(outside).map(|((name, check), required)| async move {
            let answer = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            let problem = answer.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
            CheckView { name, state: if problem.is_none() { "up" } else { "down" }, required, detail: problem }
        });
        let checks = join_all(checks).await;
        *last = Some(Looked { began, checks: checks.clone() });
        checks
    }
}
