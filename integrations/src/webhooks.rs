//! Signatures of webhooks, by the Standard Webhooks specification: HMAC-SHA-256 over
//! `id.timestamp.body`, and a timestamp that is at most five minutes old.

use http::{HeaderMap, HeaderName, HeaderValue};
use jangbu_kernel::gateway::WebhookError;
use secrecy::{ExposeSecret as _, SecretString};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use crate::SetupError;

/// Verifies webhooks with the currently valid secrets.
pub struct WebhookVerifier {
    keys: Vec<Webhook>,
}

impl WebhookVerifier {
    /// A verifier that accepts a message signed with any of the secrets (base64, with or without
    /// `whsec_`).
    ///
    /// # Errors
    /// When there is no secret, or one is empty or not base64.
    pub fn new(secrets: &[SecretString]) -> Result<Self, SetupError> {
        let usable = |secret: &SecretString| !secret.expose_secret().trim_start_matches("whsec_").is_empty();
        if secrets.is_empty() || !secrets.iter().all(usable) {
            return Err(SetupError::WebhookSecret);
        }
        let keys = secrets.iter().map(|secret| Webhook::new(secret.expose_secret()));
        let keys = keys.collect::<Result<_, _>>().map_err(|_| SetupError::WebhookSecret)?;
        Ok(Self { keys })
    }

    /// The message's id, if its signature is valid.
    ///
    /// # Errors
    /// [`WebhookError::BadSignature`], whatever is wrong with it.
    pub fn verify(&self, headers: &[(String, String)], body: &[u8]) -> Result<String, WebhookError> {
        let id = only(headers, HEADER_WEBHOOK_ID)?;
        let timestamp = only(headers, HEADER_WEBHOOK_TIMESTAMP)?;
        // The library accepts any number; a realistic timestamp has ten digits.
        let plain = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        if id.is_empty() || !plain {
            return Err(WebhookError::BadSignature);
        }
        let signatures: Vec<&str> = values(headers, HEADER_WEBHOOK_SIGNATURE).collect();
        let mut signed = HeaderMap::new();
        let all = signatures.join(" ");
        for (name, value) in
            [(HEADER_WEBHOOK_ID, id), (HEADER_WEBHOOK_TIMESTAMP, timestamp), (HEADER_WEBHOOK_SIGNATURE, &all)]
        {
            let value = HeaderValue::from_str(value).map_err(|_| WebhookError::BadSignature)?;
            signed.insert(HeaderName::from_static(name), value);
        }
        if self.keys.iter().any(|key| key.verify(body, &signed).is_ok()) {
            Ok(id.to_owned())
        } else {
            Err(WebhookError::BadSignature)
        }
    }
}

fn values<'a>(headers: &'a [(String, String)], name: &'static str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A header that has to occur exactly once: with two it would be unclear which was signed.
fn only<'a>(headers: &'a [(String, String)], name: &'static str) -> Result<&'a str, WebhookError> {
    let mut found = values(headers, name);
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(WebhookError::BadSignature),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "b2xkIHNlY3JldCBmb3IgdGVzdHMgb25seQ==";
    const NEW: &str = "whsec_bmV3IHNlY3JldCBmb3IgdGVzdHMgb25seQ==";
    const BODY: &[u8] = br#"{"type":"charge.captured"}"#;

    fn now() -> i64 {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
    }

    fn verifier(secrets: &[&str]) -> WebhookVerifier {
        WebhookVerifier::new(&secrets.iter().map(|secret| (*secret).into()).collect::<Vec<_>>()).unwrap()
    }

    fn signed(secret: &str, at: i64) -> Vec<(String, String)> {
        let signature = Webhook::new(secret).unwrap().sign("msg_1", at, BODY).unwrap();
        vec![
            ("Webhook-Id".to_owned(), "msg_1".to_owned()),
            ("webhook-timestamp".to_owned(), at.to_string()),
            ("webhook-signature".to_owned(), signature),
        ]
    }

    fn with(headers: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
        let mut headers = headers.to_vec();
        headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value.to_owned()));
        headers
    }

    #[test]
    fn a_signature_under_any_secret_in_force_holds() {
        for secret in [OLD, NEW] {
            assert_eq!(verifier(&[OLD, NEW]).verify(&signed(secret, now()), BODY), Ok("msg_1".to_owned()));
        }
        assert_eq!(verifier(&[NEW]).verify(&signed(OLD, now()), BODY), Err(WebhookError::BadSignature));
    }

    #[test]
    fn several_signatures_may_come_in_one_header_or_in_many() {
        let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let headers = signed(OLD, now());
        let right = headers.last().unwrap().1.clone();
        let one = with(&headers, "webhook-signature", &format!("v1a,x {wrong} {right}"));
        assert!(verifier(&[OLD]).verify(&one, BODY).is_ok());
        let mut many = with(&headers, "webhook-signature", wrong);
        many.push(("Webhook-Signature".to_owned(), right));
        assert!(verifier(&[OLD]).verify(&many, BODY).is_ok());
    }

    #[test]
    fn what_was_altered_is_refused() {
        let check = verifier(&[OLD]);
        let good = signed(OLD, now());
        assert_eq!(check.verify(&good, b"{}"), Err(WebhookError::BadSignature));
        assert_eq!(check.verify(&good, &[0xff, 0xfe]), Err(WebhookError::BadSignature));
        assert_eq!(check.verify(&[], BODY), Err(WebhookError::BadSignature));
        for (name, value) in [
            ("webhook-id", "msg_2"),
            ("webhook-id", ""),
            ("webhook-id", "line\nbreak"),
            ("webhook-timestamp", "0"),
            ("webhook-timestamp", ""),
            ("webhook-timestamp", "soon"),
            ("webhook-timestamp", "-9223372036854775808"),
            ("webhook-timestamp", "9223372036854775807"),
            ("webhook-signature", ""),
            ("webhook-signature", "v1,"),
            ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ] {
            let altered = with(&good, name, value);
            assert_eq!(check.verify(&altered, BODY), Err(WebhookError::BadSignature), "{name}: {value}");
        }
        let mut twice = good;
        twice.push(("webhook-id".to_owned(), "msg_1".to_owned()));
        assert_eq!(check.verify(&twice, BODY), Err(WebhookError::BadSignature));
    }

    #[test]
    fn old_and_future_messages_are_refused() {
        let check = verifier(&[OLD]);
        for away in [-330, 330] {
            assert_eq!(check.verify(&signed(OLD, now() + away), BODY), Err(WebhookError::BadSignature));
        }
        assert!(check.verify(&signed(OLD, now() - 240), BODY).is_ok());
    }

    #[test]
    fn an_empty_or_broken_secret_is_refused_at_setup() {
        for secrets in [vec![], vec![""], vec!["whsec_"], vec!["not base64!"], vec![OLD, ""]] {
            let secrets: Vec<SecretString> = secrets.into_iter().map(Into::into).collect();
            assert!(matches!(WebhookVerifier::new(&secrets), Err(SetupError::WebhookSecret)));
        }
    }

    /// A header whose name is similar to one of ours, with any value.
    fn header() -> impl Strategy<Value = (String, String)> {
        let name = "webhook-(id|timestamp|signature)|Webhook-Id|[a-z-]{0,12}";
        let value = "(?s).{0,40}|-?[0-9]{0,25}|v1,[A-Za-z0-9+/=]{0,50}|(v1a?,[A-Za-z0-9=]{0,8} ?){0,5}";
        (name, value)
    }

    proptest! {
        #[test]
        fn nothing_that_was_not_signed_holds(
            headers in prop::collection::vec(header(), 0..6),
            body in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            prop_assert_eq!(verifier(&[OLD, NEW]).verify(&headers, &body), Err(WebhookError::BadSignature));
        }

        #[test]
        fn one_changed_byte_is_one_too_many(place in any::<prop::sample::Index>(), byte in 1_u8..) {
            let mut body = BODY.to_vec();
            let place = place.index(body.len());
            body[place] ^= byte;
            prop_assert_eq!(verifier(&[OLD]).verify(&signed(OLD, now()), &body), Err(WebhookError::BadSignature));
        }

        #[test]
        fn any_secret_is_usable_or_refused(secret in "(?s).{0,40}|(whsec_)?[A-Za-z0-9+/]{0,40}={0,2}") {
            let _ = WebhookVerifier::new(&[secret.into()]);
        }
    }
}
