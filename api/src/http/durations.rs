//! How long requests took, by method, route and status. Each histogram is looked up once and kept:
//! finding it by name and labels takes longer than recording.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use metrics::Histogram;

/// The histograms of one route, by method and status.
type OfRoute = HashMap<(&'static str, u16), Histogram>;

/// The histograms of all routes. Their number is bounded, because methods, routes and statuses are
/// the program's own words.
#[derive(Default)]
pub(crate) struct Durations(RwLock<HashMap<String, OfRoute>>);

impl Durations {
    /// Records a request.
    pub(crate) fn record(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let key = (method, status.as_u16());
        let made = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = made.get(route).and_then(|of_route| of_route.get(&key)) {
            return histogram.record(took);
        }
        drop(made);
        let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", key.1.to_string())];
        let histogram = metrics::histogram!("http_request_duration_seconds", &labels);
        histogram.record(took);
        let mut made = self.0.write().unwrap_or_else(PoisonError::into_inner);
        made.entry(route.to_owned()).or_default().insert(key, histogram);
    }
}
