//! Checks log filters.
//!
//! The library that reads them accepts any word as the name of a part and then shows only that
//! part, so a misspelt level would silently turn the log off.

use tracing_subscriber::EnvFilter;

use super::ConfigError;
use crate::near::nearest;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The parts of this program that write to the log.
const OWN_PARTS: [&str; 11] = [
    "jangbu",
    "jangbu_aggregates",
    "jangbu_api",
    "jangbu_app",
    "jangbu_audit",
    "jangbu_commands",
    "jangbu_integrations",
    "jangbu_kernel",
    "jangbu_projections",
    "jangbu_sandbox",
    "jangbu_store",
];
const DEFAULT: &str = "info";

/// The filter as it was written, if it is valid.
pub(super) fn filter(text: Option<&str>) -> Result<String, ConfigError> {
    let text = text.unwrap_or(DEFAULT).trim();
    // Spans with fields may contain commas: those are left to the library.
    if !text.contains('[') {
        text.split(',').map(str::trim).try_for_each(directive).map_err(|problem| wrong(text, &problem))?;
    }
    EnvFilter::try_new(text).map_err(|error| wrong(text, &error.to_string()))?;
    Ok(text.to_owned())
}

fn wrong(text: &str, problem: &str) -> ConfigError {
    let example = "expected a level (off, error, warn, info, debug or trace), or parts with levels of their own such as \
                   info,jangbu_commands=debug";
    ConfigError::value("JANGBU_LOG", format!("{text:?} is not a log filter: {problem}; {example}"))
}

/// `<level>`, or `<part>=<level>`.
fn directive(text: &str) -> Result<(), String> {
    let Some((part, level)) = text.split_once('=') else {
        return check_level(text).map_err(|problem| {
            if is_own(text) { format!("say how much of {text} is wanted, as in {text}=debug") } else { problem }
        });
    };
    let first = part.split("::").next().unwrap_or_default().trim();
    if first.starts_with("jangbu") && !is_own(first) {
        return Err(format!("there is no part {first:?}{}", meant(first, &OWN_PARTS)));
    }
    check_level(level)
}

fn is_own(part: &str) -> bool {
    OWN_PARTS.contains(&part)
}

fn check_level(text: &str) -> Result<(), String> {
    let level = text.trim().to_ascii_lowercase();
    if LEVELS.contains(&level.as_str()) {
        Ok(())
    } else {
        Err(format!("{text:?} is no level{}", meant(&level, &LEVELS)))
    }
}

fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).first().map(|near| format!(", did you mean {near}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_levels_and_parts_is_taken() {
        for text in ["info", "WARN", "off", "info,jangbu_commands=debug", "warn,sqlx=info", "jangbu_api::http=trace"] {
            assert_eq!(filter(Some(text)).unwrap(), text);
        }
        assert_eq!(filter(None).unwrap(), "info");
    }

    #[test]
    fn a_misspelt_filter_is_refused_and_says_what_was_meant() {
        for (text, hint) in [
            ("inof", "did you mean info?"),
            ("deubg", "did you mean debug?"),
            ("verbose", "expected a level"),
            ("info,jangbu_comands=debug", "did you mean jangbu_commands?"),
            ("jangbu_commands=deubg", "did you mean debug?"),
            ("jangbu_commands", "jangbu_commands=debug"),
            ("info,,warn", "is no level"),
            ("info;debug", "is no level"),
            ("=debug,", "is no level"),
            ("", "is no level"),
        ] {
            let error = filter(Some(text)).unwrap_err().to_string();
            assert!(error.starts_with("JANGBU_LOG: ") && error.contains(hint), "{text:?}: {error}");
        }
    }
}
