//! Path and query: read as strictly as bodies, rejected in the same shape.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use uuid::Uuid;

use super::fields::{At, Read, read_all};
use super::node::Node;
use super::problem::Problem;

/// A UUID in its hyphenated form, the only one this API writes.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    const HYPHENATED: usize = 36;
    (text.len() == HYPHENATED).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The pattern of a text in a path.
pub(crate) const PATH_TEXT: &str = r"^[^\x00-\x1f\x7f-\x9f/]{1,200}$";

/// The one id in the path.
pub(crate) struct PathId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let PathText(text) = PathText::from_request_parts(parts, state).await?;
        parse_uuid(&text)
            .map(Self)
            .ok_or_else(|| Problem::invalid_at("/path/id", "invalid_id", "the id in the path is not a UUID"))
    }
}

/// The two ids in the path: of a thing, and of a part of it.
pub(crate) struct PathIds(pub(crate) Uuid, pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = || Problem::invalid_at("/path", "malformed_path", "the path cannot be read");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        let ids: Vec<(&str, Option<Uuid>)> = params.iter().map(|(name, text)| (name, parse_uuid(text))).collect();
        match ids.as_slice() {
            [(_, Some(thing)), (_, Some(part))] => Ok(Self(*thing, *part)),
            [(name, None), _] | [_, (name, None)] => {
                let pointer = format!("/path/{name}");
                Err(Problem::invalid_at(pointer, "invalid_id", "an id in the path is not a UUID"))
            }
            _ => Err(wrong()),
        }
    }
}

/// The one text in the path, such as an order's number: 200 characters at most, none
/// of them a control character ([`PATH_TEXT`] is its pattern in the document).
pub(crate) struct PathText(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        const LONGEST: usize = 200;
        let wrong = || Problem::invalid_at("/path", "malformed_path", "the path cannot be read");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        let (_, text) = params.iter().next().ok_or_else(wrong)?;
        let fits = text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned())).ok_or_else(wrong)
    }
}

/// No list of this API has so many fields; further ones would only be reported as unknown.
const MOST_FIELDS: usize = 32;

/// The query string; unknown, repeated and malformed fields are rejected.
pub(crate) struct QueryFields<T>(pub(crate) T);

impl<T: Read, S: Send + Sync> FromRequestParts<S> for QueryFields<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let members = parse_query(parts.uri.query().unwrap_or_default())?;
        read_all(Node::Object(members), "/query").map(Self).map_err(Problem::invalid)
    }
}

/// The fields of a query, each once.
pub(super) fn parse_query(query: &str) -> Result<Vec<(String, Node)>, Problem> {
    let malformed = |detail: &str| Problem::invalid_at("/query", "malformed_query", detail);
    let mut members: Vec<(String, Node)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if members.len() == MOST_FIELDS {
            return Err(malformed("the query has too many fields"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or_else(|| malformed("the query is not valid UTF-8"))?;
        let value = decode(value).ok_or_else(|| malformed("the query is not valid UTF-8"))?;
        if members.iter().any(|(known, _)| *known == name) {
            return Err(Problem::invalid_at(
                At::Name(&At::Root("/query"), &name).pointer(),
                "repeated",
                "this stands twice in the query",
            ));
        }
        // `?status=` means the same as leaving it out, because forms send it so.
        if !value.is_empty() {
            members.push((name, Node::Bare(value)));
        }
    }
    Ok(members)
}

/// Percent-decoding, `+` as a space.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_decoding_gives_text_or_nothing() {
        assert_eq!(decode("%EC%82%AC%EA%B3%BC+a").as_deref(), Some("사과 a"));
        for broken in ["%", "%1", "%zz", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn only_hyphenated_uuids_are_ids() {
        assert!(parse_uuid("01890a5d-ac96-774b-bcce-b302099a8057").is_some());
        for other in ["", "1", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}"] {
            assert!(parse_uuid(other).is_none(), "{other}");
        }
    }
}
