//! Logs, metrics, panics.

use std::io::{self, IsTerminal as _};
use std::sync::Once;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, Settings};

/// The log of a server, on standard error, because standard output is for the greeting.
///
/// # Errors
/// When the filter is not valid.
pub fn for_a_server(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| {
        anyhow::anyhow!("JANGBU_LOG: {:?} is not a log filter: {error}; expected for example info", settings.log)
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(LogLines).log_internal_errors(false).with_ansi(in_colour());
    // A second server in one process (in tests) logs where the first one does.
    let _ = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The log of a command that prints a result: warnings only, unless the filter asks for more.
pub fn for_a_command(settings: &Settings) {
    let asked = if settings.log == "info" { "warn" } else { settings.log.as_str() };
    let filter = EnvFilter::try_new(asked).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = fmt().with_env_filter(filter).with_writer(LogLines).log_internal_errors(false);
    let _ = builder.with_ansi(in_colour()).without_time().try_init();
}

/// Whether log lines are coloured: only on a terminal, and unless that is turned off. Piped output
/// and files are plain.
fn in_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Standard error as the log writes to it: a line that cannot be written (the disk behind it is
/// full, its reader is gone) is lost and counted, because the shop must not depend on a reader.
#[derive(Clone, Copy, Debug, Default)]
struct LogLines;

impl io::Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().lock().write_all(line).is_err() {
            metrics::counter!("jangbu_log_lines_lost_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Upper bounds of the buckets of durations, in seconds: from a cached answer to longer than any
/// client waits.
const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Upper bounds of the buckets of counts of events.
const EVENTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

/// Installs the metrics recorder of this process, once.
///
/// # Errors
/// When another recorder is installed.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    static INSTALLED: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &EVENTS)?
        .install_recorder()?;
    crate::figures::describe();
    jangbu_kernel::never::listen(|what, place| {
        metrics::counter!("jangbu_never_total", "place" => place.to_string()).increment(1);
        tracing::error!(what, %place, "{what}, which cannot be, at {place}: please report it");
    });
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

/// Logs panics. The cause is logged once here; the watch over the parts notices that one has ended.
pub fn log_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
            let payload = panic.payload();
            let fixed = payload.downcast_ref::<&str>().copied();
            let made = payload.downcast_ref::<String>().map(String::as_str);
            tracing::error!(place, thread, message = fixed.or(made).unwrap_or_default(), "a panic at {place}");
        }));
    });
}
