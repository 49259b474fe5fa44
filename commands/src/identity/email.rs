//! E-mail addresses: checked for shape and brought into one form.

/// An address in normal form: trimmed, lower case. Two spellings that reach one
/// mailbox by common practice are one address here.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// Longest address that mail systems carry (RFC 5321, section 4.5.3.1).
    pub const MAX_LENGTH: usize = 254;
    const MAX_LOCAL_LENGTH: usize = 64;

    /// Checks the shape `local@domain.tld`. Whether mail arrives there only mail can tell.
    ///
    /// # Errors
    /// When the text is not an address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let address = text.trim().to_lowercase();
        let (local, domain) = address.rsplit_once('@').ok_or(InvalidEmail)?;
        let plain = |c: char| {
            !c.is_control() && !c.is_whitespace() && !matches!(c, '@' | '<' | '>' | ',' | ';' | '"' | '\\' | '(' | ')')
        };
        let local_fits = (1..=Self::MAX_LOCAL_LENGTH).contains(&local.len())
            && local.chars().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let domain_fits = domain.contains('.') && domain.split('.').all(label_fits);
        if address.len() <= Self::MAX_LENGTH && local_fits && domain_fits {
            Ok(Self(address))
        } else {
            Err(InvalidEmail)
        }
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
        assert_eq!(Email::parse(" Kim.Minji@Example.COM "), Email::parse("kim.minji@example.com"));
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
