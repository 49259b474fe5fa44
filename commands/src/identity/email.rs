//! E-mail addresses: checks their shape and normalizes them.

use jangbu_kernel::text;

/// An address in normal form. Different spellings of one mailbox are one address: letter case,
/// composition and width of letters, and the two ways of writing a domain (RFC 5890) do not matter.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// The stored and shown form: lower case, NFC, the domain in its own script.
    address: String,
    /// The form for comparisons: local part folded, domain in ASCII. For an address of ASCII
    /// letters the two forms are the same.
    key: String,
}

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// The longest address that mail systems transport (RFC 5321, section 4.5.3.1).
    pub const MAX_LENGTH: usize = 254;
    const MAX_LOCAL_LENGTH: usize = 64;

    /// Checks the shape `local@domain.tld`. Only sending mail can show whether it arrives.
    ///
    /// # Errors
    /// When the text is not an address.
    pub fn parse(given: &str) -> Result<Self, InvalidEmail> {
        let kept = text::line(given).map_err(|_| InvalidEmail)?;
        let (local, domain) = split(&kept).ok_or(InvalidEmail)?;
        let local = text::composed(&local.to_lowercase());
        let (folded, domain) = (text::folded(&local), idna::domain_to_ascii(domain).map_err(|_| InvalidEmail)?);
        let domain_fits = domain.contains('.') && domain.split('.').all(label_fits);
        // If the folded form is not an address, other systems could treat it as another address.
        if !local_fits(&local) || !local_fits(&folded) || !domain_fits {
            return Err(InvalidEmail);
        }
        let (shown, readable) = idna::domain_to_unicode(&domain);
        let shown = if readable.is_ok() { shown } else { domain.clone() };
        let (address, key) = (format!("{local}@{shown}"), format!("{folded}@{domain}"));
        if address.len().max(key.len()) <= Self::MAX_LENGTH { Ok(Self { address, key }) } else { Err(InvalidEmail) }
    }

    /// The forms under which an address may have been claimed, the most likely first: as it was
    /// typed, which earlier versions used; the form of today; and the other spellings that earlier
    /// versions treated as different addresses.
    pub(super) fn known_forms(given: &str) -> Vec<String> {
        let mut forms = vec![given.trim().to_lowercase()];
        if let Ok(email) = Self::parse(given) {
            let domain = email.key.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
            let local = email.address.rsplit_once('@').map(|(local, _)| local).unwrap_or_default();
            let decomposed = text::decomposed(&email.address);
            forms.extend([email.key.clone(), format!("{local}@{domain}"), decomposed, email.address]);
        }
        let mut known = Vec::with_capacity(forms.len());
        for form in forms {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        known
    }

    /// The form for comparisons, the same for all spellings of one address.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The normal form, as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }
}

/// Local part and domain; the @ between them may be of any width.
fn split(text: &str) -> Option<(&str, &str)> {
    let (place, sign) = text.char_indices().rev().find(|(_, c)| matches!(c, '@' | '\u{ff20}' | '\u{fe6b}'))?;
    Some((text.get(..place)?, text.get(place + sign.len_utf8()..)?))
}

fn local_fits(local: &str) -> bool {
    let plain = |c: char| {
        !c.is_control() && !c.is_whitespace() && !matches!(c, '@' | '<' | '>' | ',' | ';' | '"' | '\\' | '(' | ')')
    };
    (1..=Email::MAX_LOCAL_LENGTH).contains(&local.len())
        && local.chars().all(plain)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

fn label_fits(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn spellings_of_one_address_are_one() {
        for (plain, others) in [
            (
                "kim.minji@example.com",
                vec![
                    " Kim.Minji@Example.COM ",
                    "ｋｉｍ．minji＠ｅｘａｍｐｌｅ.com",
                    "kim.\u{200b}minji@example.com",
                    "kim.minji@example。com",
                    "kim.minji@exam\u{ad}ple.com",
                ],
            ),
            (
                "가나@예시.kr",
                vec![
                    "\u{1100}\u{1161}나@예시.kr",
                    "가나@xn--vv4b11d.kr",
                    "가나@XN--VV4B11D.KR",
                    "가나@\u{110b}\u{1168}\u{1109}\u{1175}.kr",
                ],
            ),
            ("straße@example.com", vec!["STRASSE@example.com"]),
        ] {
            let plain = Email::parse(plain).unwrap();
            for other in others {
                assert_eq!(Email::parse(other).unwrap().key(), plain.key(), "{other}");
            }
        }
        assert_eq!(Email::parse("가나@XN--VV4B11D.kr").unwrap().as_str(), "가나@예시.kr");
    }

    #[test]
    fn a_plain_address_has_one_form_and_is_claimed_as_ever() {
        assert_eq!(Email::known_forms(" Kim.Minji@Example.COM "), ["kim.minji@example.com"]);
    }

    #[test]
    fn addresses_claimed_by_earlier_rules_are_found() {
        // Earlier versions only trimmed it and made it lower case, however its letters were
        // composed.
        for (then, now) in [
            ("\u{1100}\u{1161}@example.com", "가@example.com"),
            ("가@예시.kr", "가@xn--vv4b11d.kr"),
            ("가@xn--vv4b11d.kr", "가@예시.kr"),
            ("ｋｉｍ@example.com", "ｋｉｍ@example.com"),
            ("straße@example.com", "Straße@example.com"),
        ] {
            assert!(Email::known_forms(now).contains(&then.to_lowercase()), "{then} by {now}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b.kr",
            "a@b",
            "a b@c.kr",
            "a@b..kr",
            "a@-b.kr",
            "a@@b.kr",
            ".a@b.kr",
            "a\u{0}@b.kr",
            "a@b.kr\nx",
            "\u{3164}@b.kr",
            "\u{200d}@b.kr",
            "a\u{202e}b@c.kr",
            "a℀b\u{ff20}@c.kr",
            "a…b@c.kr",
            "a@b\u{2028}.kr",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        assert!(Email::parse(&format!("{}@example.com", "x".repeat(65))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn an_address_in_normal_form_is_its_own(text in "(?s).{0,60}|[a-zA-Z0-9.+]{0,70}@[a-zA-Z0-9.-]{0,70}|[가-힣İſK]{1,5}@[가-힣]{1,5}\\.kr") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.as_str());
                proptest::prop_assert!(again == Ok(email));
            }
        }
    }
}
