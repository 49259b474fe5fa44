//! Versions as entity tags (RFC 9110, sections 8.8.3 and 13.1).

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use jangbu_kernel::Version;

use super::problem::Problem;

/// `"<version>"`.
pub(crate) fn etag(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The condition in `If-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// No condition, or `*`, which always holds, because a command only ever acts on what exists.
    #[default]
    Anything,
    /// One of these versions. Weak tags and tags that are no version never match
    /// and are left out, so the list may be empty.
    OneOf(Vec<Version>),
}

impl IfMatch {
    /// Reads the header.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in headers.get_all(IF_MATCH) {
            let text = value.to_str().map_err(|_| malformed())?;
            if text.trim() == "*" {
                return Ok(Self::Anything);
            }
            for tag in parse_tags(text).ok_or_else(malformed)? {
                tags.push(tag);
            }
        }
        if tags.is_empty() {
            // A condition that names no version cannot hold, which differs from having no
            // condition.
            return if headers.contains_key(IF_MATCH) { Err(malformed()) } else { Ok(Self::Anything) };
        }
        Ok(Self::OneOf(tags.into_iter().filter(|tag| !tag.weak).filter_map(|tag| tag.version()).collect()))
    }
}

/// The entity tag of what is shown: the version, and after a hyphen a text for what is shown beside
/// it and has no version of its own. Conditions on writes compare the version alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    opaque: String,
}

impl Tag {
    pub(crate) fn new(version: Version, beside: Option<String>) -> Self {
        let opaque = beside.map_or_else(|| version.to_string(), |beside| format!("{version}-{beside}"));
        Self { opaque }
    }

    /// The value of the `ETag` header.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("\"{}\"", self.opaque)).unwrap_or(HeaderValue::from_static("\"0\""))
    }

    /// Whether `If-None-Match` names it; the answer is 304 then.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|text| {
            // Weak comparison: a weak tag matches too.
            text.trim() == "*" || parse_tags(text).is_some_and(|tags| tags.iter().any(|tag| tag.opaque == self.opaque))
        })
    }
}

fn malformed() -> Problem {
    Problem::invalid_at(
        "/headers/If-Match",
        "malformed_header",
        "If-Match is a list of entity tags such as \"3\", or *",
    )
}

struct Given<'a> {
    weak: bool,
    opaque: &'a str,
}

impl Given<'_> {
    fn version(&self) -> Option<Version> {
        let version = self.opaque.split_once('-').map_or(self.opaque, |(version, _)| version);
        let plain = version.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| version.parse().ok()).flatten()
    }
}

fn parse_tags(text: &str) -> Option<Vec<Given<'_>>> {
    let mut rest = text.trim();
    let mut tags = Vec::new();
    while !rest.is_empty() {
        // Elements of a list may be empty (RFC 9110, section 5.6.1).
        if let Some(tail) = rest.strip_prefix(',') {
            rest = tail.trim_start();
            continue;
        }
        let weak = rest.strip_prefix("W/");
        let (opaque, tail) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        tags.push(Given { weak: weak.is_some(), opaque });
        rest = tail.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_static(text));
        IfMatch::read(&headers)
    }

    fn of(versions: &[u64]) -> IfMatch {
        IfMatch::OneOf(versions.iter().copied().map(Version::new).collect())
    }

    #[test]
    fn tags_are_read_as_versions() {
        assert_eq!(read("\"3\"").unwrap(), of(&[3]));
        assert_eq!(read("\"3\" ,\"4\"").unwrap(), of(&[3, 4]));
        for text in ["\"3\",,\"4\"", ",\"3\" , \"4\",", "\"3\",\t, ,\"4\" ,"] {
            assert_eq!(read(text).unwrap(), of(&[3, 4]), "{text}");
        }
        assert_eq!(read("\"3-57\"").unwrap(), of(&[3]), "what is shown beside it is no condition");
        assert_eq!(read("*").unwrap(), IfMatch::Anything);
        assert_eq!(IfMatch::read(&HeaderMap::new()).unwrap(), IfMatch::Anything);
    }

    #[test]
    fn weak_and_foreign_tags_never_match() {
        for text in ["W/\"3\"", "\"abc\"", "\"+3\"", "\"-3\"", "\"\"", "\"99999999999999999999999\""] {
            assert_eq!(read(text).unwrap(), IfMatch::OneOf(vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for text in ["", " ", ",", " , ,", "3", "\"3", "\"3\" \"4\"", "\"3\",4"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("W/\"3\", \"9\""));
        assert!(Tag::new(Version::new(3), None).is_known(&headers));
        assert!(!Tag::new(Version::new(4), None).is_known(&headers));
    }

    #[test]
    fn a_tag_tells_apart_what_has_one_version() {
        let (before, after) =
            (Tag::new(Version::new(3), Some("57".to_owned())), Tag::new(Version::new(3), Some("56".to_owned())));
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, before.header());
        assert!(
            before.is_known(&headers)
                && !after.is_known(&headers)
                && !Tag::new(Version::new(3), None).is_known(&headers)
        );
    }
}
