//! Events of one stream, page by page, because a stream may have any length and an answer may not.

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::{StreamId, Version};

use super::fields::Line;
use super::problem::Problem;
use super::resource::{AsOf, version_as_of};
use super::view::Listing;
use crate::routes::audit::{RecordView, records};
use crate::state::App;

/// A cursor of this list: the version after which its page begins.
const CURSOR: (&str, &str) = ("{\"list\":\"events\",\"version\":", "}");

/// A page of a stream, the oldest events first.
pub(crate) async fn page(
    app: &App,
    stream: StreamId,
    as_of: Option<AsOf>,
    cursor: Option<Line<1, 1000>>,
    limit: usize,
) -> Result<Json<Listing<RecordView>>, Problem> {
    let after = match cursor {
        None => Version::ZERO,
        Some(cursor) => read_cursor(&cursor.0).ok_or_else(|| {
            Problem::invalid_at("/query/cursor", "bad_cursor", "the cursor is not one that this list gave out")
        })?,
    };
    let log = app.state.commands.log();
    let to_version = match as_of {
        Some(as_of) => version_as_of(app, stream, as_of).await?,
        None => log.versions(vec![stream]).await?.first().copied(),
    };
    let to_version = to_version.ok_or_else(|| Problem::not_found("stream"))?;
    let events = log.read_stream(stream, after.next(), to_version, limit).await?;
    let next = events.last().map(|last| last.version).filter(|last| *last < to_version);
    if events.is_empty() && next.is_none() && after == Version::ZERO {
        return Err(Problem::not_found("stream"));
    }
    Ok(Json(Listing { items: records(&events), next_cursor: next.map(write_cursor) }))
}

fn write_cursor(version: Version) -> String {
    let (before, behind) = CURSOR;
    URL_SAFE_NO_PAD.encode(format!("{before}{version}{behind}"))
}

fn read_cursor(text: &str) -> Option<Version> {
    let (before, behind) = CURSOR;
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let version: Version = decoded.strip_prefix(before)?.strip_suffix(behind)?.parse().ok()?;
    (write_cursor(version) == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_and_nothing_else_does(version: u64, text in "(?s).{0,60}|[-_A-Za-z0-9]{0,80}") {
            let version = Version::new(version);
            prop_assert_eq!(read_cursor(&write_cursor(version)), Some(version));
            if let Some(version) = read_cursor(&text) {
                prop_assert_eq!(write_cursor(version), text);
            }
        }
    }
}
